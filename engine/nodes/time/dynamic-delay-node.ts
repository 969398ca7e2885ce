/**
 * Spreads its executions over a total time, irregularly: each delay is its share of what is left, jittered, and the last
 * takes the rest, so that they sum to the total to the millisecond. Then a new round begins. What is left is state, and
 * draws repeat when an item is processed again, so a crash changes no delay.
 */
import type { JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { durationMs, type Unit, unitLabels } from '../../node/duration.ts'
import { defineForm } from '../../node/form.ts'
import { choice, number } from '../../node/form-fields.ts'
import { BlockingNode, type NodeOutput } from '../../node/node.ts'

type Values = { total_time: number; unit: Unit; executions: number; jitter_percent: number }

/** `left` delays and `leftMs` remain of this round, which is of `totalMs` and `executions`. */
type State = { left: number; leftMs: number; totalMs: number; executions: number }

export class DynamicDelay extends BlockingNode {
  static override identifier = 'dynamic-delay-node'
  static override stateful = true
  static override untimed = true
  static override category = 'Time'
  static override label = 'Dynamic delay'
  static override description = 'Waits for irregular times that sum to a total over a number of executions'
  static override example: JsonObject = { total_time: 1, unit: 'hours', executions: 20, jitter_percent: 30 }
  static override form = defineForm({
    total_time: number({ label: 'Total time', required: true, above: 0 }),
    unit: choice({ label: 'Unit', default: 'seconds', labels: unitLabels }),
    executions: number({ label: 'Executions', help: 'Within the total time', required: true, min: 1, whole: true }),
    jitter_percent: number({ label: 'Jitter', help: 'In percent of a delay', default: 30, min: 0, max: 100 }),
  })

  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const { total_time, unit, executions, jitter_percent } = context.form as Values
    const totalMs = durationMs(total_time, unit)
    const round = { left: executions, leftMs: totalMs, totalMs, executions }
    const known = context.state.get() as State | undefined
    const same = known?.totalMs === totalMs && known.executions === executions && known.left > 0
    const state = same ? known : round
    const ms = nextDelayMs(state, jitter_percent, context.random.next())
    context.state.set({ ...state, left: state.left - 1, leftMs: state.leftMs - ms })
    await context.delay(ms)
    return input
  }
}

function nextDelayMs(state: State, jitterPercent: number, draw: number): number {
  if (state.left === 1) return state.leftMs
  const share = state.leftMs / state.left
  return Math.min(state.leftMs, Math.round(share * (1 + ((2 * draw - 1) * jitterPercent) / 100)))
}
