/** How often each may ask: over two daemons of one Redis, over two minutes, and as it is answered over HTTP. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { issueKey } from '../../daemon/api-keys.ts'
import { askerAt, RateLimits } from '../../daemon/rate-limits.ts'
import { startDaemon } from '../../daemon/start-daemon.ts'
import { pinoLog } from '../../daemon/system-ports.ts'
import { EngineError } from '../../engine/errors.ts'
import type { JsonObject } from '../../engine/json.ts'
import { limits } from '../../engine/limits.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'
import { daemonFolder } from '../support/daemon-process.ts'
import { Bench } from '../support/engine-bench.ts'

/** Two daemons, at the beginning of a minute. */
async function daemons() {
  const bench = new Bench()
  await bench.pass(limits.rateWindowMs - (bench.ports(0).clock.now() % limits.rateWindowMs))
  bench.calls = 0
  const [one, two] = [new RateLimits(bench.ports(1)), new RateLimits(bench.ports(2))]
  /** How many of so many requests go on; all are made at once. */
  const ask = async (rates: RateLimits, times: number, limit: number, who = 'x') =>
    (await Promise.all(Array.from({ length: times }, () => rates.count(who, limit)))).filter(wait => wait === 0).length
  return { bench, one, two, ask }
}

describe('RateLimits', () => {
  it('lets as many go on in a minute as the limit says, and then tells how long to wait', async () => {
    const { bench, one, ask } = await daemons()
    expect(await ask(one, 10, 4)).toBe(4)
    await bench.pass(15_000)
    expect(await one.count('x', 4)).toBe(45)
    await bench.pass(45_000)
    expect(await ask(one, 10, 4)).toBe(4)
  })

  it('counts over all daemons, and each on its own', async () => {
    const { one, two, ask } = await daemons()
    const [a, b] = await Promise.all([ask(one, 300, 400), ask(two, 300, 400)])
    expect(a + b).toBe(400)
    expect([await ask(one, 9, 5, 'y'), await ask(two, 9, 5, 'y')]).toEqual([5, 0])
  })

  it('asks Redis once per hundred requests, and of who is over the limit no more', async () => {
    const { bench, one, ask } = await daemons()
    expect(await ask(one, 1_000, 60_000)).toBe(1_000)
    expect(bench.calls).toBe(10)
    expect(await ask(one, 500, 100, 'y')).toBe(100)
    const calls = bench.calls
    expect(await ask(one, 500, 100, 'y')).toBe(0)
    expect(bench.calls).toBe(calls)
  })

  it('keeps nothing of the minute before in Redis', async () => {
    const { bench, one } = await daemons()
    for (let i = 0; i < 50; i += 1) await one.count(`who ${i}`, 5)
    await bench.pass(limits.rateWindowMs)
    await one.count('x', 5)
    expect(Object.keys(await bench.redis.hgetall('oe:rates')).sort()).toEqual(['', 'x'])
  })

  it('holds nobody up while Redis is away', async () => {
    const ports = new Bench().ports(1)
    const away = () => Promise.reject(new EngineError('REDIS_UNAVAILABLE', 'away'))
    const rates = new RateLimits({ ...ports, redis: { ...ports.redis, call: away } })
    expect(await rates.count('x', 1)).toBe(0)
  })

  it('a limit of 0 is none', async () => {
    const { bench, one, ask } = await daemons()
    expect(await ask(one, 1_000, 0)).toBe(1_000)
    expect(bench.calls).toBe(0)
  })
})

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:0:0:ff::', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('%s counts as %s', (address, asker) => expect(askerAt(address)).toBe(asker))

it('a daemon takes limits and origins from its configuration', async () => {
  const origin = 'https://app.test'
  const config = { listen: '127.0.0.1:0', rate_limit: { requests_per_minute: 1 }, cors_origins: [origin] }
  const log = pinoLog({ destination: { write: () => undefined } })
  const daemon = await startDaemon(config, { cwd: daemonFolder({}), log })
  onTestFinished(() => daemon.kill())
  const ask = () => fetch(`${daemon.url}/api/workflow`, { headers: { origin } })
  // a minute may end in between, but not twice
  const answers = [await ask(), await ask(), await ask()]
  expect(answers.map(({ status }) => status)).toContain(429)
  for (const { headers } of answers) expect(headers.get('access-control-allow-origin')).toBe(origin)
  expect((await fetch(`${daemon.url}/health/live`)).status).toBe(200)
})

describe('a request too many', () => {
  const hook: JsonObject = rawconfig({ 1: ['webhook-producer', { webhook_id: 'orders' }] })

  it('is answered with 429 and when to ask again, in the shape of all errors', async () => {
    const { send } = apiBench({ access: { requestsPerMinute: 2 } })
    for (const status of [200, 200, 429]) expect((await send('GET /api/nodes/count')).status).toBe(status)
    const answer = await send('GET /api/nodes/count')
    expect(answer).toMatchObject({
      headers: { 'retry-after': says(/^\d+$/) },
      body: { error: says(/at most 2 requests a minute/), error_code: 'RATE_LIMITED' },
    })
    expect(answer.body.detail).toBe(answer.body.error)
  })

  it('counts by key where there is one, and webhooks apart', async () => {
    const { send, ports } = apiBench({ access: { requestsPerMinute: 1, webhooksPerMinute: 2 } })
    const header = async () => ({
      'x-api-key': (await issueKey(ports.redis, { name: 'x', scopes: ['admin'] }, 0)).key,
    })
    const [ann, bob] = [await header(), await header()]
    expect((await send('POST /api/workflow', { id: 'w', ...hook }, ann)).status).toBe(201)
    expect((await send('GET /api/workflow', undefined, ann)).status).toBe(429)
    expect((await send('GET /api/workflow', undefined, bob)).status).toBe(200)
    for (const status of [202, 202, 429]) expect((await send('POST /api/webhooks/orders', {}, ann)).status).toBe(status)
  })

  it('is refused also when its key is wrong', async () => {
    const { send } = apiBench({ access: { keys: 'required', requestsPerMinute: 1 } })
    const wrong = { authorization: `Bearer oe_000000000000_${'A'.repeat(43)}` }
    for (const status of [401, 429]) expect((await send('GET /api/workflow', undefined, wrong)).status).toBe(status)
  })

  it('is none by default for who is on this machine without a key, and has a limit for all others', async () => {
    const { send, ports } = apiBench()
    const key = { 'x-api-key': (await issueKey(ports.redis, { name: 'x', scopes: ['read'] }, 0)).key }
    await send('GET /api/nodes/count')
    expect(await ports.redis.hgetall('oe:rates')).toEqual({})
    await send('GET /api/nodes/count', undefined, key)
    expect(Object.keys(await ports.redis.hgetall('oe:rates'))).toEqual(['', says(/^requests key /)])
  })
})
