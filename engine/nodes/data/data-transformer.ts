/** Makes new data from a JSON template (see node/form-json.ts for how values cannot break it). */
import { EngineError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { json, toggle } from '../../node/form-fields.ts'
import { kindOf } from '../../node/json-text.ts'
import { BlockingNode, type NodeOutput, withResult } from '../../node/node.ts'

type Values = { output_template: Json; overwrite: boolean }

export class DataTransformer extends BlockingNode {
  static override identifier = 'data-transformer'
  static override category = 'Data'
  static override label = 'Data transformer'
  static override description = 'Makes new data from a JSON template'
  static override example: JsonObject = {
    output_template: '{ "name": "{{ data.name | title }}", "total": {{ data.price * data.count }} }',
    overwrite: true,
  }
  static override form = defineForm({
    output_template: json({
      label: 'Output template',
      help: 'JSON with templates: a text that is exactly one {{ }}, or a bare {{ }}, keeps its native type',
      required: true,
    }),
    overwrite: toggle({
      label: 'Overwrite',
      help: 'On: the output is only the result. Off: the data is kept and the result added under a key of its own',
      default: true,
    }),
  })

  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const { output_template: result, overwrite } = context.form as Values
    if (!overwrite) return withResult(input, 'data_transformer', result)
    if (isJsonObject(result)) return { ...input, data: result }
    const node = this.definition.id
    const text = `output_template gives ${kindOf(result)}; with "overwrite" it must give an object`
    throw new EngineError('FORM_INVALID', `Cannot transform data in node "${node}": ${text}`, {
      details: { node, field: 'output_template' },
    })
  }
}
