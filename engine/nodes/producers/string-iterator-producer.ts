/** Yields the parts of a text. Its state is the number of parts already yielded. */
import type { JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { choice, text, textarea } from '../../node/form-fields.ts'
import { ExecutionCompleted, type NodeOutput, type Produced, ProducerNode, withResult } from '../../node/node.ts'

type Values = { data_content: string; separator_type: 'newline' | 'comma' | 'custom'; custom_separator?: string }

export class StringIteratorProducer extends ProducerNode {
  static override identifier = 'string-iterator-producer'
  static override stateful = true
  static override category = 'Producers'
  static override label = 'String iterator'
  static override description = 'Splits a text and yields its parts, one per iteration, trimmed and without empty ones'
  static override example: JsonObject = { data_content: 'ann\nbob\ncid', separator_type: 'newline' }
  static override form = defineForm(
    {
      data_content: text({ label: 'Text', help: 'What to split', required: true, widget: textarea }),
      separator_type: choice({
        label: 'Separator',
        default: 'newline',
        labels: { newline: 'New line', comma: 'Comma', custom: 'Custom' },
      }),
      custom_separator: text({
        label: 'Custom separator',
        help: 'Only with separator "custom"',
        depends_on: ['separator_type'],
      }),
    },
    values => {
      const { separator_type: type, custom_separator: separator = '' } = values as Values
      if (type !== 'custom' || separator !== '') return []
      return [{ field: 'custom_separator', code: 'FORM_REQUIRED', message: 'is empty; "custom" needs a separator' }]
    },
  )

  #form: Values | undefined
  #parts: readonly string[] = []

  async execute(input: NodeOutput, context: NodeContext): Promise<Produced> {
    const index = (context.state.get() as number | undefined) ?? 0
    const value = this.#partsOf(context.form as Values)[index]
    if (value === undefined) return new ExecutionCompleted()
    context.state.set(index + 1)
    return withResult(input, 'string_iterator', { value, iteration_index: index + 1 })
  }

  /** Split once per form, not once per item; a form without templates is the same object each time. */
  #partsOf(form: Values): readonly string[] {
    if (this.#form === form) return this.#parts
    this.#form = form
    this.#parts = form.data_content
      .split(separatorOf(form))
      .map(part => part.trim())
      .filter(part => part !== '')
    return this.#parts
  }
}

function separatorOf(form: Values): string | RegExp {
  if (form.separator_type === 'custom') return form.custom_separator ?? ''
  return form.separator_type === 'comma' ? ',' : /\r\n|\r|\n/
}
