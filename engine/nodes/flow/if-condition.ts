/** Goes on by `yes` or `no`. */
import type { JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { condition } from '../../node/form-fields.ts'
import { ConditionalNode, type NodeOutput, type Routed, withResult } from '../../node/node.ts'

type Values = { condition_expression: { expression: string; result: boolean } }

export class IfCondition extends ConditionalNode {
  static override identifier = 'if-condition'
  static override category = 'Flow'
  static override label = 'If'
  static override description = 'Takes the branch "yes" when its condition holds, else the branch "no"'
  static override example: JsonObject = { condition_expression: "data.get('followers', 0) > 500" }
  static override form = defineForm({
    condition_expression: condition({
      label: 'Condition',
      help: "An expression, e.g. data.get('followers', 0) > 500, or text with templates that renders to one",
      required: true,
    }),
  })

  async execute(input: NodeOutput, context: NodeContext): Promise<Routed> {
    const { expression, result } = (context.form as Values).condition_expression
    const route = result ? 'yes' : 'no'
    return { output: withResult(input, 'if_condition', { route, expression, result }), route }
  }
}
