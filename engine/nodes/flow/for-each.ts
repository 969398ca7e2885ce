/** Runs its body once per element of an array; the runner walks the body and collects the results. */
import { EngineError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject, jsonEqual } from '../../json.ts'
import { limits } from '../../limits.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { json } from '../../node/form-fields.ts'
import { kindOf, parseJsonText } from '../../node/json-text.ts'
import { type Elements, LoopNode, type NodeOutput, withResult } from '../../node/node.ts'

type Values = { array_expression: Json }

export class ForEach extends LoopNode {
  static override identifier = 'for-each'
  static override category = 'Flow'
  static override label = 'For each'
  static override description = 'Runs the nodes on its port "subdag" once per element of an array, in order'
  static override example: JsonObject = { array_expression: '{{ data.order.lines }}' }
  static override form = defineForm({
    array_expression: json({
      label: 'Array',
      help: 'A template that gives a list, JSON, or a key path such as data.list or items',
      required: true,
      kind: 'json-or-text',
    }),
  })

  async execute(input: NodeOutput, context: NodeContext): Promise<Elements> {
    const items = this.#itemsOf((context.form as Values).array_expression, input.data)
    // an array that already is the data's `items` is not stored twice
    const known = jsonEqual(input.data.items, items)
    return { output: known ? input : withResult(input, 'items', items), items }
  }

  #itemsOf(value: Json, data: JsonObject): Json[] {
    const items = typeof value === 'string' ? fromText(value.trim(), data) : value
    if (!Array.isArray(items)) {
      const expression = typeof value === 'string' ? ` "${value.slice(0, 100)}"` : ''
      throw this.#fault(`array_expression${expression} gives ${kindOf(items)}; it must give a list`)
    }
    if (items.length > limits.forEachItemsMax) {
      const text = `${items.length} elements are above the limit of ${limits.forEachItemsMax}; split the list`
      throw new EngineError('LIMIT_PASSED', `Cannot loop in node "${this.definition.id}": ${text}`)
    }
    return items
  }

  #fault(what: string): EngineError {
    const details = { node: this.definition.id, field: 'array_expression' }
    return new EngineError('FORM_INVALID', `Cannot loop in node "${this.definition.id}": ${what}`, { details })
  }
}

function fromText(text: string, data: JsonObject): Json | undefined {
  if (text.startsWith('[') || text.startsWith('{')) return parseJsonText(text).value
  return at({ data }, text) ?? at(data, text)
}

/** Follows a key path (`data.list`, `orders.0.lines`) through own keys only. */
function at(root: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = root
  for (const key of path.split('.')) {
    if (Array.isArray(value) && /^\d+$/.test(key)) value = value[Number(key)]
    else if (isJsonObject(value) && Object.hasOwn(value, key)) value = value[key]
    else return undefined
  }
  return value
}
