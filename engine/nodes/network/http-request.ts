/**
 * Calls an HTTP service. It may call twice for one item (after a crash), so every request that may change something
 * carries `Idempotency-Key`, the same for the same item, unless the user set one.
 */
import { z } from 'zod'
import { codeOf, EngineError, messageOf } from '../../errors.ts'
import type { Json, JsonObject } from '../../json.ts'
import type { HttpCall, NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { choice, json, number, text } from '../../node/form-fields.ts'
import { parseJsonText } from '../../node/json-text.ts'
import { BlockingNode, type NodeOutput, withResult } from '../../node/node.ts'
import type { HttpResponse } from '../../ports.ts'

type Scalar = string | number | boolean
type Values = {
  method: string
  url: string
  headers?: Record<string, Scalar>
  query_params?: Record<string, Scalar | null | Scalar[]>
  body?: Json
  timeout_seconds: number
  auth_type: 'none' | 'basic' | 'bearer'
  auth_username?: string
  auth_password?: string
  auth_bearer_token?: string
  on_error: 'output' | 'fail'
}

const scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text or a number' })
const headersSchema = z.record(z.string().regex(/^[\w!#$%&'*+.^`|~-]+$/, 'is not a header name'), scalar, {
  error: 'must be a JSON object of texts',
})
const querySchema = z.record(z.string(), z.union([scalar, z.null(), z.array(scalar)]), {
  error: 'must be a JSON object of texts',
})

export class HttpRequest extends BlockingNode {
  static override identifier = 'http-request'
  static override effects = 'outside' as const
  static override category = 'Network'
  static override label = 'HTTP request'
  static override description = 'Calls an HTTP service and adds what it answered'
  static override example: JsonObject = {
    method: 'POST',
    url: '{{ workflowenv.API }}/orders',
    body: '{ "id": "{{ data.id }}" }',
    auth_type: 'bearer',
    auth_bearer_token: '{{ workflowenv.TOKEN }}',
    on_error: 'fail',
  }
  static override form = defineForm(
    {
      method: choice({ label: 'Method', default: 'GET', labels: methods() }),
      url: text({
        label: 'URL',
        required: true,
        pattern: /^https?:\/\/[^\s/?#]+\S*$/i,
        expected: 'must be a full URL, beginning with http:// or https://',
        charsMax: 8_192,
      }),
      headers: json({ label: 'Headers', help: 'A JSON object', schema: headersSchema }),
      query_params: json({
        label: 'Query parameters',
        help: 'A JSON object; lists repeat the name',
        schema: querySchema,
      }),
      body: json({ label: 'Body', help: 'JSON, or a text', kind: 'json-or-text' }),
      timeout_seconds: number({ label: 'Time-out in seconds', default: 30, above: 0, max: 86_400 }),
      auth_type: choice({
        label: 'Authentication',
        default: 'none',
        labels: { none: 'None', basic: 'Basic', bearer: 'Bearer' },
      }),
      auth_username: text({ label: 'User', depends_on: ['auth_type'] }),
      auth_password: text({ label: 'Password', secret: true, depends_on: ['auth_type'] }),
      auth_bearer_token: text({ label: 'Token', secret: true, depends_on: ['auth_type'] }),
      on_error: choice({
        label: 'On errors',
        help: 'No answer, or a status of 400 and above',
        default: 'output',
        labels: { output: 'Go on, with the error in the output', fail: 'Fail the item' },
      }),
    },
    values => {
      const { auth_type: type, auth_bearer_token: token = '', auth_username: user = '' } = values as Values
      const missing = type === 'bearer' && token === '' ? 'auth_bearer_token' : undefined
      const field = type === 'basic' && user === '' ? 'auth_username' : missing
      if (field === undefined) return []
      return [{ field, code: 'FORM_REQUIRED', message: `is empty; "${type}" authentication needs it` }]
    },
  )

  async execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    const form = context.form as Values
    const started = context.clock.now()
    const answer = await send(toCall(form, context.idempotencyKey), context, form.on_error)
    const error = answer.error ?? (answer.status >= 400 ? `HTTP status ${answer.status}` : null)
    if (error !== null && form.on_error === 'fail') {
      const text = `Cannot ${form.method} "${form.url}" in node "${this.definition.id}": ${error}`
      throw new EngineError('HTTP_FAILED', text, { details: { node: this.definition.id, status: answer.status } })
    }
    const { status, headers } = answer
    const duration_ms = Math.max(0, context.clock.now() - started)
    return withResult(input, 'http_request', { status, headers, body: bodyOf(answer), duration_ms, error })
  }
}

type Answer = HttpResponse & { error?: string }

/** With `output`, no answer is an answer with status 0. What aborts the iteration is never caught. */
async function send(call: HttpCall, context: NodeContext, onError: Values['on_error']): Promise<Answer> {
  try {
    return await context.http.request(call)
  } catch (error) {
    if (onError === 'fail' || context.signal.aborted || codeOf(error) !== 'HTTP_FAILED') throw error
    return { status: 0, headers: {}, body: '', error: messageOf(error) }
  }
}

function toCall(form: Values, idempotencyKey: string): HttpCall {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(form.headers ?? {})) headers[name] = String(value)
  const offer = (name: string, value: string) => {
    const given = Object.keys(headers).some(known => known.toLowerCase() === name.toLowerCase())
    if (!given) headers[name] = value
  }
  const body = bodyText(form.body)
  if (body !== undefined) offer('Content-Type', body.type)
  if (form.auth_type === 'basic') {
    offer('Authorization', `Basic ${base64(`${form.auth_username ?? ''}:${form.auth_password ?? ''}`)}`)
  }
  if (form.auth_type === 'bearer') offer('Authorization', `Bearer ${form.auth_bearer_token ?? ''}`)
  if (form.method !== 'GET') offer('Idempotency-Key', idempotencyKey)
  return {
    method: form.method,
    url: withQuery(form.url, form.query_params ?? {}),
    headers,
    timeoutMs: Math.round(form.timeout_seconds * 1_000),
    ...(body === undefined ? {} : { body: body.text }),
  }
}

/** JSON for whatever is JSON, also when it was written as text. */
function bodyText(body: Json | undefined): { text: string; type: string } | undefined {
  if (body === undefined || body === null || body === '') return undefined
  if (typeof body !== 'string') return { text: JSON.stringify(body), type: 'application/json' }
  const isJson = /^\s*[[{]/.test(body) && parseJsonText(body).fault === undefined
  return { text: body, type: isJson ? 'application/json' : 'text/plain; charset=utf-8' }
}

function withQuery(url: string, params: NonNullable<Values['query_params']>): string {
  const pairs = Object.entries(params).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value])
      .filter(one => one !== null)
      .map(one => `${encodeURIComponent(name)}=${encodeURIComponent(String(one))}`),
  )
  if (pairs.length === 0) return url
  const [address = '', ...fragment] = url.split('#')
  const asked = address.includes('?') ? address.replace(/[?&]?$/, last => (last === '?' ? '?' : '&')) : `${address}?`
  return [`${asked}${pairs.join('&')}`, ...fragment].join('#')
}

/** JSON answers as values, all others as text. */
function bodyOf(answer: Answer): Json {
  if (answer.error !== undefined) return null
  const name = Object.keys(answer.headers).find(key => key.toLowerCase() === 'content-type')
  const type = name === undefined ? '' : (answer.headers[name] ?? '')
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) return answer.body
  return parseJsonText(answer.body).value ?? answer.body
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** The engine has no host to ask for it. */
function base64(plain: string): string {
  const bytes = new TextEncoder().encode(plain)
  let out = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const three = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    const letters = [18, 12, 6, 0].map(shift => BASE64[(three >> shift) & 63]).join('')
    out += letters.slice(0, Math.min(4, bytes.length - i + 1)).padEnd(4, '=')
  }
  return out
}

function methods(): Record<string, string> {
  const names = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']
  return Object.fromEntries(names.map(name => [name, name]))
}
