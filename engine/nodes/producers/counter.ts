/** Counts. Its state is how many numbers it has yielded, so that a run goes on exactly where its last commit was. */
import type { JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { choice, number } from '../../node/form-fields.ts'
import { ExecutionCompleted, type NodeOutput, type Produced, ProducerNode, withResult } from '../../node/node.ts'

type Values = { min_value: number; max_value: number; direction: 'increment' | 'decrement'; step: number }

export class Counter extends ProducerNode {
  static override identifier = 'counter'
  static override stateful = true
  static override category = 'Producers'
  static override label = 'Counter'
  static override description =
    'Yields the numbers of a range, one per iteration, upwards or downwards, and then completes'
  static override example: JsonObject = { min_value: 1, max_value: 10, direction: 'increment', step: 1 }
  static override form = defineForm(
    {
      min_value: number({ label: 'Smallest value', help: 'Where counting up begins', required: true, default: 0 }),
      max_value: number({ label: 'Largest value', help: 'Where counting down begins', required: true, default: 10 }),
      direction: choice({
        label: 'Direction',
        default: 'increment',
        labels: { increment: 'Increment', decrement: 'Decrement' },
      }),
      step: number({ label: 'Step', help: 'Added or taken away each time', default: 1, above: 0 }),
    },
    values => {
      const { min_value: min, max_value: max } = values as Values
      if (min <= max) return []
      const message = `is ${min}, above "max_value", which is ${max}; exchange them`
      return [{ field: 'min_value', code: 'FORM_INVALID', message }]
    },
  )

  async execute(input: NodeOutput, context: NodeContext): Promise<Produced> {
    const { min_value: min, max_value: max, direction, step } = context.form as Values
    const up = direction === 'increment'
    const taken = (context.state.get() as number | undefined) ?? 0
    // fractions are not exact: a last number that is off by less than rounding shows is still inside the bound
    if (taken > Math.floor((max - min) / step + 1e-9)) return new ExecutionCompleted()
    context.state.set(taken + 1)
    const first = up ? min : max
    const current = rounded(first + (up ? taken : -taken) * step, first, step)
    return withResult(input, 'counter', { current, min, max, step, direction, iteration: taken + 1 })
  }
}

/** To as many decimals as the numbers it was made of: 3 × 0.1 is 0.3. */
function rounded(value: number, first: number, step: number): number {
  const decimals = Math.max(decimalsOf(first), decimalsOf(step))
  return decimals > 15 ? value : Number(value.toFixed(decimals))
}

function decimalsOf(value: number): number {
  const [digits = '', exponent = '0'] = String(value).split('e')
  return Math.max(0, (digits.split('.')[1]?.length ?? 0) - Number(exponent))
}
