import { describe, expect, it } from 'vitest'
import { EngineError } from '../../../../engine/errors.ts'
import type { JsonObject } from '../../../../engine/json.ts'
import { compileForm } from '../../../../engine/node/form.ts'
import type { NodeOutput } from '../../../../engine/node/node.ts'
import { HttpRequest } from '../../../../engine/nodes/network/http-request.ts'
import type { HttpResponse } from '../../../../engine/ports.ts'
import { NodeBench } from '../../../support/fake-context.ts'

const url = 'https://example.test/a'
const ok: HttpResponse = { status: 200, headers: { 'content-type': 'text/plain' }, body: 'fine' }

async function call(form: JsonObject, answer: HttpResponse | Error = ok, data: JsonObject = {}) {
  const bench = new NodeBench(HttpRequest, { url, ...form }, { http: () => answer })
  const output = (await bench.run(data)) as NodeOutput
  return { sent: bench.calls[0], result: output.data.http_request as JsonObject }
}

describe('http-request sends', () => {
  const json = { 'Content-Type': 'application/json', 'Idempotency-Key': 'key-1' }
  const table: [string, JsonObject, object][] = [
    ['a plain GET', {}, { method: 'GET', url, headers: {}, timeoutMs: 30_000 }],
    [
      'a key with what may change something',
      { method: 'delete' },
      { method: 'DELETE', headers: { 'Idempotency-Key': 'key-1' } },
    ],
    [
      'the key of the user',
      { method: 'POST', headers: { 'idempotency-key': 'k' } },
      { headers: { 'idempotency-key': 'k' } },
    ],
    [
      'headers as text',
      { headers: '{"X-N": "{{ data.n }}", "X-B": true}' },
      { headers: { 'X-N': '5', 'X-B': 'true' } },
    ],
    ['an object as JSON', { method: 'PUT', body: { n: '{{ data.n }}' } }, { body: '{"n":5}', headers: json }],
    ['JSON text', { method: 'PUT', body: '{"t": "{{ data.t }}"}' }, { body: '{"t":"a \\"b\\" & c"}', headers: json }],
    [
      'constant JSON text as it is',
      { method: 'PUT', body: '{"n":12345678901234567890}' },
      { body: '{"n":12345678901234567890}' },
    ],
    [
      'text',
      { method: 'PUT', body: 'n={{ data.n }}' },
      { body: 'n=5', headers: { ...json, 'Content-Type': 'text/plain; charset=utf-8' } },
    ],
    [
      'the content type of the user',
      { method: 'PUT', body: '{}', headers: { 'content-type': 'x/y' } },
      { headers: { 'content-type': 'x/y', 'Idempotency-Key': 'key-1' } },
    ],
    [
      'a query',
      { query_params: { q: '{{ data.t }}', l: ['1', 2], no: null, ä: true } },
      { url: `${url}?q=a%20%22b%22%20%26%20c&l=1&l=2&%C3%A4=true` },
    ],
    ['a further query', { url: `${url}?x=1#top`, query_params: '{"y": 2}' }, { url: `${url}?x=1&y=2#top` }],
    ['a query after a question mark', { url: `${url}?`, query_params: { y: 2 } }, { url: `${url}?y=2` }],
    [
      'basic authentication',
      { auth_type: 'basic', auth_username: 'Aladdin', auth_password: 'open sesame' },
      { headers: { Authorization: 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==' } },
    ],
    [
      'basic authentication in UTF-8',
      { auth_type: 'basic', auth_username: 'ü' },
      { headers: { Authorization: 'Basic w7w6' } },
    ],
    [
      'a bearer token',
      { auth_type: 'bearer', auth_bearer_token: 't{{ data.n }}' },
      { headers: { Authorization: 'Bearer t5' } },
    ],
    ['a time-out', { timeout_seconds: '1.5' }, { timeoutMs: 1_500 }],
  ]
  it.each(table)('%s', async (_name, form, expected) => {
    const { sent } = await call(form, ok, { n: 5, t: 'a "b" & c' })
    expect(sent).toMatchObject(expected)
    if ('headers' in expected) expect(sent?.headers).toEqual(expected.headers)
    if (!('body' in form)) expect(sent).not.toHaveProperty('body')
  })
})

describe('http-request puts out', () => {
  const refused = new EngineError('HTTP_FAILED', 'connection refused')
  const answer = (status: number, body: string, type: string) => ({ status, headers: { 'content-type': type }, body })
  const table: [string, HttpResponse | Error, JsonObject][] = [
    ['text', ok, { status: 200, body: 'fine', error: null, headers: { 'content-type': 'text/plain' } }],
    ['JSON', answer(200, '{"a":[1]}', 'application/json; charset=utf-8'), { body: { a: [1] }, error: null }],
    ['other JSON', answer(200, '[1]', 'application/problem+json'), { body: [1] }],
    ['what only claims to be JSON', answer(200, '<html>', 'application/json'), { body: '<html>' }],
    ['no JSON of another type', answer(200, '[1]', 'text/plain'), { body: '[1]' }],
    [
      'a status as an error',
      answer(503, 'busy', 'text/plain'),
      { status: 503, body: 'busy', error: 'HTTP status 503' },
    ],
    ['no answer', refused, { status: 0, headers: {}, body: null, error: 'connection refused' }],
  ]
  it.each(table)('%s', async (_name, given, expected) => {
    const { result } = await call({}, given)
    expect(result).toMatchObject(expected)
    expect(Object.keys(result).sort()).toEqual(['body', 'duration_ms', 'error', 'headers', 'status'])
  })

  it('the time it took', async () => {
    const bench = new NodeBench(
      HttpRequest,
      { url },
      {
        now: 1_000,
        http: () => {
          bench.now += 42
          return ok
        },
      },
    )
    expect(await bench.run()).toMatchObject({ data: { http_request: { duration_ms: 42 } } })
  })

  const failing: [string, HttpResponse | Error, string][] = [
    ['no answer', refused, 'connection refused'],
    ['a bad status', answer(404, '', 'text/plain'), 'HTTP status 404'],
  ]
  it.each(failing)('nothing with on_error "fail": %s', async (_name, given, message) => {
    await expect(call({ on_error: 'fail' }, given)).rejects.toMatchObject({
      code: 'HTTP_FAILED',
      message: expect.stringContaining(message),
    })
  })

  it('nothing when its iteration was aborted, whatever on_error says', async () => {
    const bench = new NodeBench(HttpRequest, { url }, { http: () => refused })
    bench.abort()
    await expect(bench.run()).rejects.toBe(refused)
  })

  it('nothing when something else broke', async () => {
    const bug = new TypeError('a bug')
    await expect(call({}, bug)).rejects.toBe(bug)
  })
})

describe('http-request refuses', () => {
  const wrong: [string, JsonObject, string][] = [
    ['a URL without a scheme', { url: 'example.test' }, 'url'],
    ['another scheme', { url: 'file:///etc/passwd' }, 'url'],
    ['a method that is not', { method: 'FETCH' }, 'method'],
    ['headers that are no object', { headers: '["a"]' }, 'headers'],
    ['a header name that is not', { headers: { 'a b': '1' } }, 'headers'],
    ['a header that is an object', { headers: { a: {} } }, 'headers'],
    ['no token', { auth_type: 'bearer' }, 'auth_bearer_token'],
    ['no user', { auth_type: 'basic', auth_password: 'x' }, 'auth_username'],
    ['no time', { timeout_seconds: 0 }, 'timeout_seconds'],
  ]
  it.each(wrong)('%s', (_name, form, field) => {
    expect(compileForm(HttpRequest.form, { url, ...form }, { strict: false }).problems).toMatchObject([{ field }])
  })
})
