import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { EngineError } from '../../engine/errors.ts'
import type { JsonObject } from '../../engine/json.ts'
import { limits } from '../../engine/limits.ts'
import { peekQueue, type QueuedItem } from '../../engine/store/inspect.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'

const listening = (form: JsonObject, more: JsonObject = {}) =>
  rawconfig({ 1: ['webhook-producer', { webhook_id: 'orders', ...form }], 2: ['log', {}] }, '1>2', more)

async function hooked(workflows: Record<string, JsonObject> = { w: listening({}) }) {
  const bench = apiBench()
  for (const [id, file] of Object.entries(workflows)) await bench.send('POST /api/workflow', { id, ...file })
  const queued = async (id = 'w'): Promise<QueuedItem[]> =>
    peekQueue(bench.ports.redis, id, 'webhook_orders', 0).catch(() => [])
  const post = (body: JsonObject | string | undefined, headers = {}) =>
    bench.send('POST /api/webhooks/orders/', body, headers)
  return { ...bench, post, queued }
}

describe('a webhook', () => {
  it('is queued in every workflow that names it, and then accepted', async () => {
    const { post, queued } = await hooked({ a: listening({}), b: listening({}), c: rawconfig({ 1: ['counter', {}] }) })
    const answer = await post({ input: { n: 1 } })
    expect(answer).toMatchObject({
      status: 202,
      body: { status: 'accepted', webhook_id: 'orders', subscribers: 2, message: says(/2 workflows/) },
    })
    for (const id of ['a', 'b']) {
      expect(await queued(id)).toMatchObject([
        { data: { webhook: { webhook_id: 'orders', data: { body: { n: 1 }, method: 'POST' } } } },
      ])
    }
  })

  it.each<[string, JsonObject | string | undefined, Record<string, string>, unknown]>([
    ['an object', { n: 1 }, {}, { n: 1 }],
    ['`input` beside other keys', { input: {}, n: 1 }, {}, { input: {}, n: 1 }],
    ['text', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' }, 'a=1'],
    ['nothing', undefined, {}, {}],
  ])('takes %s', async (_, body, headers, expected) => {
    const { post, queued } = await hooked()
    expect((await post(body, headers)).status).toBe(202)
    expect((await queued())[0]?.data).toMatchObject({ webhook: { data: { body: expected } } })
  })

  it('follows the definitions: created, changed, deactivated and removed between two requests', async () => {
    const { post, send } = await hooked({})
    expect(await post({})).toMatchObject({ status: 404, body: { error_code: 'WEBHOOK_UNKNOWN' } })
    await send('POST /api/workflow', { id: 'w', ...listening({}) })
    expect((await post({})).status).toBe(202)
    await send('POST /api/workflow/w/deactivate')
    expect((await post({})).status).toBe(404)
    await send('POST /api/workflow/w/activate')
    expect((await post({})).status).toBe(202)
    await send('DELETE /api/workflow/w')
    expect((await post({})).status).toBe(404)
  })

  it('is refused while the queue is full; what took it before takes it once', async () => {
    const { post, queued, send } = await hooked({
      a: listening({}),
      b: listening({}, { settings: { queues: { max_length: 1 } } }),
    })
    expect((await post({ n: 1 })).status).toBe(202)
    const key = { 'idempotency-key': 'k' }
    expect(await post({ n: 2 }, key)).toMatchObject({
      status: 503,
      headers: { 'retry-after': says(/^\d+$/) },
      body: { error_code: 'QUEUE_FULL' },
    })
    await send('PATCH /api/workflow/b', { settings: { queues: { max_length: 9 } } })
    expect((await post({ n: 2 }, key)).status).toBe(202)
    expect((await post({ n: 2 }, key)).status).toBe(202)
    expect([(await queued('a')).length, (await queued('b')).length]).toEqual([2, 2])
  })

  it('is refused while Redis is away, without a word of where it is', async () => {
    let away = false
    const { send, log } = apiBench({
      redis: redis => ({
        ...redis,
        hget: (key, field) => {
          if (!away) return redis.hget(key, field)
          return Promise.reject(new EngineError('REDIS_UNAVAILABLE', 'Cannot reach Redis at db.internal:6379'))
        },
      }),
    })
    await send('POST /api/workflow', { id: 'w', ...listening({}) })
    away = true
    const answer = await send('POST /api/webhooks/orders', {})
    expect(answer).toMatchObject({
      status: 503,
      headers: { 'retry-after': says(/./) },
      body: { error_code: 'REDIS_UNAVAILABLE' },
    })
    expect(answer.text).not.toContain('db.internal')
    expect(log).toEqual([says(/^warn: POST \/api\/webhooks\/:webhook: .*db\.internal/)])
  })

  it.each<[string, { line?: string; body?: JsonObject | string; headers?: Record<string, string> }, number]>([
    ['an id that none can have', { line: 'POST /api/webhooks/a%2Fb' }, 404],
    ['a method that is not POST', { line: 'GET /api/webhooks/orders' }, 404],
    ['an empty key', { headers: { 'idempotency-key': '' } }, 400],
    ['nesting without end', { body: `${'['.repeat(100_000)}${']'.repeat(100_000)}` }, 400],
    ['an item that is too large', { body: { a: 'x'.repeat(limits.payloadBytesMax) } }, 413],
  ])('%s is refused', async (_, { line = 'POST /api/webhooks/orders', body, headers }, status) => {
    const { send, queued } = await hooked()
    expect(await send(line, body, headers)).toMatchObject({ status, body: { error: says(/./) } })
    expect(await queued()).toEqual([])
  })
})

describe('a signed webhook', () => {
  const sign = (text: string, secret = 's3cret') => createHmac('sha256', secret).update(text).digest('hex')
  const body = '{"n": 1}'
  const now = () => Math.floor(Date.now() / 1000)
  const stamped = (seconds: number, text = body) => ({
    'x-timestamp': String(seconds),
    'x-signature-256': `sha256=${sign(`${seconds}.${text}`)}`,
  })

  it.each<[string, () => Record<string, string>, number]>([
    ['over the body as it came', () => ({ 'x-signature-256': sign(body) }), 202],
    ['with its prefix', () => ({ 'x-signature-256': `sha256=${sign(body).toUpperCase()}` }), 202],
    ['with a timestamp', () => stamped(now()), 202],
    ['long ago', () => stamped(now() - limits.signatureAgeMs / 1000 - 5), 401],
    ['in the future', () => stamped(now() + limits.signatureAgeMs / 1000 + 5), 401],
    ['with a timestamp put on later', () => ({ 'x-signature-256': sign(body), 'x-timestamp': String(now()) }), 401],
    ['with another secret', () => ({ 'x-signature-256': sign(body, 'other') }), 401],
    ['by half', () => ({ 'x-signature-256': sign(body).slice(0, 32) }), 401],
    ['not at all', () => ({}), 401],
  ])('signed %s', async (_, headers, status) => {
    const { post, queued } = await hooked({ w: listening({ secret: 's3cret' }) })
    const answer = await post(body, headers())
    expect(answer.status).toBe(status)
    expect((await queued()).length).toBe(status === 202 ? 1 : 0)
    expect(answer.text).not.toMatch(/s3cret/)
  })

  it('cannot be used again as another request, by leaving its timestamp away', async () => {
    const { post } = await hooked({ w: listening({ secret: 's3cret' }) })
    const seconds = now()
    const { 'x-signature-256': signature } = stamped(seconds)
    const text = { 'content-type': 'text/plain', 'x-signature-256': signature }
    expect((await post(`${seconds}.${body}`, text)).status).toBe(401)
  })

  it('may have its secret in the environment of the workflow; one that is missing lets nobody in', async () => {
    const form = { secret: '{{ workflowenv.S }}' }
    const { post, queued } = await hooked({
      w: listening(form, { env: { S: 's3cret' } }),
      none: listening(form),
      open: listening({}),
    })
    expect((await post(body, { 'x-signature-256': sign(body) })).body).toMatchObject({ subscribers: 2 })
    expect((await post(body, { 'x-signature-256': sign(body, '') })).body).toMatchObject({ subscribers: 1 })
    expect([(await queued('w')).length, (await queued('none')).length, (await queued('open')).length]).toEqual([
      1, 0, 2,
    ])
  })
})

describe('a test webhook', () => {
  it('shows what arrives, and feeds nobody', async () => {
    const { send, queued } = await hooked()
    const shown = await send('POST /api/webhooks/test/orders?a=1', { input: { n: 1 } }, { 'x-own': 'b' })
    expect(shown).toMatchObject({
      status: 200,
      body: { subscribers: ['w'], data: { body: { n: 1 }, query_params: { a: '1' }, headers: { 'x-own': 'b' } } },
    })
    await send('POST /api/webhooks/test/other', {})
    const last = await send('GET /api/webhooks/test/orders')
    expect(last.body).toMatchObject({
      webhook_id: 'orders',
      subscribers: ['w'],
      received: [{ data: { body: { n: 1 } } }],
    })
    expect(await queued()).toEqual([])
  })
})
