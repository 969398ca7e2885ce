/** Answers the request of an `api` workflow with a status, headers and a body of its own, once the iteration committed. */
import type { Json, JsonObject } from '../../json.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { choice, json, number } from '../../node/form-fields.ts'
import { BlockingNode, type NodeOutput, type WorkflowType, withResult } from '../../node/node.ts'

type Values = {
  status_code: number
  body_source: 'from_input' | 'custom'
  body_json?: Json
  headers?: Json
}

/** What HTTP allows in the name and in the value of a header. */
const headerName = /^[!#$%&'*+.^_`|~\w-]+$/
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/
/** The connection's own business. */
const notOurs = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'upgrade', 'trailer'])

export class HttpResponse extends BlockingNode {
  static override identifier = 'http-response'
  static override workflowTypes: readonly WorkflowType[] = ['api']
  static override category = 'Network'
  static override label = 'HTTP response'
  static override description = 'Answers the request that started the workflow'
  static override example: JsonObject = {
    status_code: 201,
    body_source: 'custom',
    body_json: '{"id": "{{ data.id }}"}',
  }
  static override form = defineForm(
    {
      status_code: number({ label: 'Status', default: 200, min: 200, max: 599, whole: true }),
      body_source: choice({
        label: 'Body',
        default: 'from_input',
        labels: { from_input: 'The data', custom: 'The body below' },
      }),
      body_json: json({ label: 'Own body', help: 'JSON with templates', depends_on: ['body_source'] }),
      headers: json({ label: 'Headers', help: 'JSON: an object of texts' }),
    },
    values =>
      headerFaults((values as Values).headers).map(message => ({ field: 'headers', code: 'FORM_INVALID', message })),
  )

  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const { status_code: status, body_source, body_json = null, headers } = context.form as Values
    const body = body_source === 'custom' ? body_json : input.data
    context.respond({ status, headers: asTexts(headers), body })
    return withResult(input, 'http_response', { status, headers: asTexts(headers), body })
  }
}

function asTexts(headers: Json | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries((headers ?? {}) as JsonObject).map(([name, value]) => [name, String(value)]))
}

function headerFaults(headers: Json | undefined): string[] {
  if (headers === undefined || headers === null || headers === '') return []
  if (typeof headers !== 'object' || Array.isArray(headers)) return ['must be an object of texts']
  return Object.entries(headers).flatMap(([name, value]) => {
    if (!headerName.test(name)) return [`has the name ${JSON.stringify(name)}, which no header can have`]
    if (notOurs.has(name.toLowerCase())) return [`sets "${name}", which belongs to the connection; leave it out`]
    const isText = ['string', 'number', 'boolean'].includes(typeof value) && headerValue.test(String(value))
    return isText ? [] : [`has a value for "${name}" that no header can have`]
  })
}
