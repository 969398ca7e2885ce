/** Goes on by the key of the first case that holds, else by `default`. */
import { isJsonObject, type JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { caseKey, caseList } from '../../node/form-condition.ts'
import { cases } from '../../node/form-fields.ts'
import { ConditionalNode, type NodeOutput, type Routed, withResult } from '../../node/node.ts'

type Values = { cases: { key: string; expression: string; result: boolean }[] }

export class Switch extends ConditionalNode {
  static override identifier = 'switch'
  static override category = 'Flow'
  static override label = 'Switch'
  static override description = 'Takes the branch of the first case whose condition holds, else the branch "default"'
  static override example: JsonObject = {
    cases: [
      { key: 'large', condition: 'data.total > 1000' },
      { key: 'small', condition: 'data.total > 0' },
    ],
  }
  static override form = defineForm({
    cases: cases({
      label: 'Cases',
      help: 'A list of { "key": …, "condition": … }; the conditions are tried in order',
      required: true,
    }),
  })

  static override ports(form: JsonObject): readonly string[] {
    const keys = (caseList(form.cases) ?? []).map(entry => (isJsonObject(entry) ? caseKey(entry) : undefined))
    return [...new Set([...keys.filter(key => key !== undefined), 'default'])]
  }

  async execute(input: NodeOutput, context: NodeContext): Promise<Routed> {
    const route = (context.form as Values).cases.find(tried => tried.result)?.key ?? 'default'
    return { output: withResult(input, 'switch', { route }), route }
  }
}
