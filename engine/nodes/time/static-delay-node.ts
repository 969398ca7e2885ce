/** Waits. The delay is durable: after a crash only the rest is waited for. */
import type { JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { durationMs, type Unit, unitLabels } from '../../node/duration.ts'
import { defineForm } from '../../node/form.ts'
import { choice, number } from '../../node/form-fields.ts'
import { BlockingNode, type NodeOutput } from '../../node/node.ts'

type Values = { interval: number; unit: Unit }

export class StaticDelay extends BlockingNode {
  static override identifier = 'static-delay-node'
  static override untimed = true
  static override category = 'Time'
  static override label = 'Static delay'
  static override description = 'Waits for a fixed time, then passes the data on'
  static override example: JsonObject = { interval: 5, unit: 'seconds' }
  static override form = defineForm({
    interval: number({ label: 'Time to wait', required: true, min: 0 }),
    unit: choice({ label: 'Unit', default: 'seconds', labels: unitLabels }),
  })

  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const { interval, unit } = context.form as Values
    await context.delay(durationMs(interval, unit))
    return input
  }
}
