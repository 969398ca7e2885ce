import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { peekQueue } from '../../engine/store/inspect.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'

type Nodes = Record<string, [string, JsonObject]>
const double: [string, JsonObject] = ['data-transformer', { output_template: '{"total": "{{ data.n * 2 }}"}' }]

async function asked(nodes: Nodes, edges: string, more: JsonObject = {}) {
  const bench = apiBench()
  const hook: Nodes = { h: ['webhook-producer', { webhook_id: 'x' }] }
  const file = { id: 'w', ...rawconfig({ ...hook, ...nodes }, edges, { workflow_type: 'api', ...more }) }
  expect((await bench.send('POST /api/workflow', file)).body).toMatchObject({ problems: [] })
  const ask = (method: string, body?: JsonObject | string, query = '', headers = {}) =>
    bench.send(`${method} /api/workflow/w/execute${query}`, body, headers)
  /** Resolves when a request runs. */
  const begun = () => new Promise<void>(resolve => bench.onEvent(resolve))
  return { ...bench, ask, begun }
}

describe('an api workflow', () => {
  it('answers with what comes out, and is counted', async () => {
    const { ask, send } = await asked({ d: double }, 'h>d')
    expect(await ask('POST', { input: { n: 2 } })).toMatchObject({
      status: 200,
      body: { success: true, workflow_id: 'w', output: { total: 4 }, execution_time_ms: expect.any(Number) },
    })
    expect((await ask('PUT', { n: 3 })).body.output).toEqual({ total: 6 })
    expect((await send('GET /api/workflow/w')).body).toMatchObject({ runs_count: 2, workflow_type: 'api' })
  })

  it('sees method, query and headers, but not who the client is to us', async () => {
    const { ask } = await asked(
      { d: ['data-transformer', { output_template: '{"r": "{{ data.webhook.data }}"}' }] },
      'h>d',
    )
    const { body, text } = await ask('DELETE', undefined, '/?q=1&q=2', { 'x-own': 'a', authorization: 'Basic hush' })
    expect(body.output.r).toMatchObject({
      method: 'DELETE',
      query_params: { q: ['1', '2'] },
      headers: { 'x-own': 'a' },
    })
    expect(text).not.toContain('hush')
    expect((await ask('GET', undefined, '?n=1')).body.output.r.body).toEqual({ n: '1' })
  })

  it.each<[string, JsonObject, object]>([
    [
      'status, headers and a body of its own',
      { status_code: 201, body_source: 'custom', body_json: '{"id": "{{ data.n }}"}', headers: '{"X-A": "b"}' },
      { status: 201, headers: { 'x-a': 'b', 'content-type': says(/json/) }, text: '{"id":7}' },
    ],
    [
      'a text',
      { body_source: 'custom', body_json: '"hi"' },
      { text: 'hi', headers: { 'content-type': says(/plain/) } },
    ],
    [
      'a text that is JSON',
      { body_source: 'custom', body_json: '"hi"', headers: '{"Content-Type": "application/json"}' },
      { text: '"hi"' },
    ],
    ['nothing', { status_code: 204 }, { status: 204, text: '' }],
    ['an error', { status_code: 503, body_source: 'custom', body_json: '[1]' }, { status: 503, body: [1] }],
  ])('answers with %s', async (_, form, expected) => {
    const { ask } = await asked({ r: ['http-response', form] }, 'h>r')
    expect(await ask('POST', { n: 7 })).toMatchObject(expected)
  })

  it('fails with the node and the reason, without a stack, and keeps nothing', async () => {
    const nodes: Nodes = { q: ['queue-writer', { queue_name: 'out' }], d: ['http-request', { url: '{{ data.u }}' }] }
    const { ask, ports } = await asked(nodes, 'h>q h>d')
    const failed = await ask('POST', { u: 'no url' })
    expect(failed).toMatchObject({
      status: 400,
      body: {
        ...{ success: false, workflow_id: 'w', node_id: 'd', error: says(/"url"/), error_code: 'FORM_INVALID' },
        execution_time_ms: expect.any(Number),
      },
    })
    expect(failed.text).not.toMatch(/node_modules|\.ts:|at /)
    await expect(peekQueue(ports.redis, 'w', 'out', 0)).rejects.toThrow(/QUEUE|queue/)
  })

  it('is given up after its time-out', async () => {
    const { ask } = await asked({ d: ['static-delay-node', { interval: 1, unit: 'hours' }] }, 'h>d')
    const answer = await ask('POST', { input: {}, timeout: 0.05 })
    expect(answer).toMatchObject({ status: 400, body: { success: false, error_code: 'API_TIMEOUT' } })
  })

  it('runs requests side by side, each with its own data', async () => {
    const { ask } = await asked({ p: ['static-delay-node', { interval: 0.05, unit: 'seconds' }], d: double }, 'h>p p>d')
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => ask('POST', { n })))
    expect(answers.map(({ body }) => body.output.total)).toEqual(Array.from({ length: 20 }, (_, n) => n * 2))
  })

  it('asks to come back when a queue is full, Redis is away, or the daemon stops', async () => {
    const settings = { queues: { max_length: 1 } }
    const { ask, api } = await asked({ q: ['queue-writer', { queue_name: 'out' }] }, 'h>q', { settings })
    expect((await ask('POST', {})).status).toBe(200)
    expect(await ask('POST', {})).toMatchObject({
      status: 503,
      headers: { 'retry-after': says(/./) },
      body: { error_code: 'QUEUE_FULL' },
    })
    await api.drain(1_000)
    expect(await ask('POST', {})).toMatchObject({ status: 503, body: { error_code: 'DRAINING' } })
  })

  it('is waited for when the daemon drains, and aborted when that takes too long', async () => {
    const delay = (interval: number): Nodes => ({ d: ['static-delay-node', { interval, unit: 'seconds' }] })
    const short = await asked(delay(0.05), 'h>d')
    const answered = short.ask('POST', {})
    await short.begun()
    await short.api.drain(60_000)
    expect((await answered).status).toBe(200)
    const long = await asked(delay(3_600), 'h>d')
    const aborted = long.ask('POST', {})
    await long.begun()
    await long.api.drain(1)
    expect(await aborted).toMatchObject({ status: 503, body: { error_code: 'ITERATION_ABORTED' } })
  })

  it('is given up when its client goes', async () => {
    const { app, api, begun } = await asked({ d: ['static-delay-node', { interval: 1, unit: 'hours' }] }, 'h>d')
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const client = new AbortController()
    const asking = fetch(`${url}/api/workflow/w/execute`, { method: 'POST', signal: client.signal }).catch(() => 'gone')
    await begun()
    client.abort()
    expect(await asking).toBe('gone')
    // ends only when nothing runs any more
    await api.drain(3_600_000)
  })

  it('that is none, broken or deactivated says so', async () => {
    const { send } = await asked({ d: double }, 'h>d')
    await send('POST /api/workflow/w/deactivate')
    expect(await send('POST /api/workflow/w/execute', {})).toMatchObject({
      status: 409,
      body: { error_code: 'WORKFLOW_INACTIVE' },
    })
    await send('POST /api/workflow', { id: 'b', ...rawconfig({ d: double }, '', { workflow_type: 'api' }) })
    expect(await send('GET /api/workflow/b/execute')).toMatchObject({
      status: 422,
      body: { error_code: 'WORKFLOW_INVALID' },
    })
    await send('POST /api/workflow', { id: 'p', ...rawconfig({ c: ['counter', {}] }) })
    expect(await send('POST /api/workflow/p/execute', {})).toMatchObject({
      status: 422,
      body: { error: says(/start_execution/) },
    })
    expect(await send('POST /api/workflow/none/execute', {})).toMatchObject({ status: 404 })
  })
})
