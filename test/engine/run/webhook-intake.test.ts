import { describe, expect, it } from 'vitest'
import { EngineError } from '../../../engine/errors.ts'
import type { FlowGraph } from '../../../engine/graph/flow-graph.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { limits } from '../../../engine/limits.ts'
import type { Redis } from '../../../engine/ports.ts'
import { WebhookIntake, type WebhookRequest } from '../../../engine/run/webhook-intake.ts'
import { Bench } from '../../support/engine-bench.ts'

const request = (n: number, key?: string): WebhookRequest => {
  return { body: { n }, headers: { a: 'b' }, method: 'POST', query: {}, ...(key === undefined ? {} : { key }) }
}

function site(change: (redis: Redis) => Redis = redis => redis) {
  const bench = new Bench()
  const ports = bench.ports(1)
  let calls = 0
  const counted: Redis = {
    ...ports.redis,
    call: (...args) => {
      calls += 1
      return ports.redis.call(...args)
    },
  }
  const intake = new WebhookIntake({ ...ports, redis: change(counted), patienceMs: 3_000 })
  const hook = (id: string, webhook_id: string, settings: JsonObject = {}): FlowGraph =>
    bench.load({
      id,
      settings,
      nodes: { in: ['webhook-producer', { webhook_id }], out: ['queue-writer', { queue_name: 'out' }] },
      edges: 'in>out',
    })
  const accept = (graphs: FlowGraph[], n: number, key?: string) =>
    bench.finish(intake.accept(graphs, 'orders', request(n, key)))
  return { bench, intake, hook, accept, calls: () => calls }
}

const bodies = (items: JsonObject[]) =>
  items.map(item => (item.webhook as { data: { body: { n: number } } }).data.body.n)

describe('a webhook', () => {
  it('lies in the queue of each workflow that names it before it is accepted, running or not', async () => {
    const { bench, hook, accept } = site()
    const graphs = [hook('one', 'orders'), hook('two', 'orders'), hook('three', 'other')]
    expect(await accept(graphs, 1)).toEqual({ status: 'accepted', subscribers: 2 })
    expect(bodies(await bench.queue('webhook_orders', 'one'))).toEqual([1])
    expect(bodies(await bench.queue('webhook_orders', 'two'))).toEqual([1])
    expect(await bench.queue('webhook_orders', 'one')).toMatchObject([
      { webhook: { webhook_id: 'orders', data: { headers: { a: 'b' }, method: 'POST', query_params: {} } } },
    ])
  })

  it('that no workflow names is unknown', async () => {
    const { hook, accept } = site()
    expect(await accept([hook('one', 'other')], 1)).toEqual({ status: 'unknown' })
  })

  it('finds no room, and the next try skips those that had', async () => {
    const { bench, hook, accept } = site()
    const graphs = [hook('wide', 'orders'), hook('tight', 'orders', { queues: { max_length: 1 } })]
    await accept(graphs, 1)
    expect(await accept(graphs, 2, 'k')).toEqual({ status: 'full', workflow: 'tight' })
    expect(bodies(await bench.queue('webhook_orders', 'wide'))).toEqual([1, 2])
    await bench.redis.call(
      { name: 'pop', lua: '', run: (db, [key = '']) => db.lpop(key) },
      ['oe:{tight}:q:webhook_orders'],
      [],
    )
    expect(await accept(graphs, 2, 'k')).toMatchObject({ status: 'accepted' })
    expect(bodies(await bench.queue('webhook_orders', 'wide'))).toEqual([1, 2])
    expect(bodies(await bench.queue('webhook_orders', 'tight'))).toEqual([2])
  })

  it('is taken once per key and workflow, also within one batch', async () => {
    const { bench, hook, intake } = site()
    const graphs = [hook('one', 'orders')]
    const sent = [request(1, 'a'), request(2), request(1, 'a'), request(2)]
    await bench.finish(Promise.all(sent.map(each => intake.accept(graphs, 'orders', each))))
    expect(bodies(await bench.queue('webhook_orders', 'one'))).toEqual([1, 2, 2])
  })

  it('runs through its loop, which goes on waiting for more', async () => {
    const { bench, hook, accept } = site()
    const graph = hook('one', 'orders')
    await accept([graph], 1)
    const { engine } = bench.engine(graph)
    await bench.finish(engine.start())
    await bench.pass(1_000)
    await accept([graph], 2)
    await bench.pass(60_000)
    expect(bodies(await bench.queue('out', 'one'))).toEqual([1, 2])
    expect(engine.status().status).toBe('running')
    await bench.finish(engine.stop())
  })
})

describe('a storm', () => {
  it('goes in order, in few calls', async () => {
    const { bench, hook, intake, calls } = site()
    const graphs = [hook('one', 'orders')]
    const all = Array.from({ length: 1_000 }, (_, n) => intake.accept(graphs, 'orders', request(n)))
    await bench.finish(Promise.all(all))
    expect(bodies(await bench.queue('webhook_orders', 'one'))).toEqual(Array.from({ length: 1_000 }, (_, n) => n))
    expect(calls()).toBeLessThan(1_000 / 100)
  })

  it('survives lost replies: each request once', async () => {
    let sent = 0
    const losing = (redis: Redis): Redis => ({
      ...redis,
      call: async (...args) => {
        const reply = await redis.call(...args)
        if (++sent % 2 === 1) throw new EngineError('REDIS_UNAVAILABLE', 'the reply was lost')
        return reply
      },
    })
    const { bench, hook, intake } = site(losing)
    const graphs = [hook('one', 'orders')]
    for (let i = 0; i < 5; i++) await bench.finish(intake.accept(graphs, 'orders', request(i)))
    expect(bodies(await bench.queue('webhook_orders', 'one'))).toEqual([0, 1, 2, 3, 4])
  })

  it('is refused when Redis stays away, and taken when it is back', async () => {
    let isDown = true
    const { bench, hook, accept } = site(redis => ({
      ...redis,
      call: (...args) =>
        isDown ? Promise.reject(new EngineError('REDIS_UNAVAILABLE', 'no Redis')) : redis.call(...args),
    }))
    const graphs = [hook('one', 'orders')]
    await expect(accept(graphs, 1)).rejects.toThrow('no Redis')
    expect(bench.time.ms).toBeLessThan(6_000)
    isDown = false
    expect(await accept(graphs, 1)).toMatchObject({ status: 'accepted' })
  })

  it('refuses what is larger than an item may be', async () => {
    const { bench, hook, intake } = site()
    const body = 'x'.repeat(limits.payloadBytesMax)
    const large = intake.accept([hook('one', 'orders')], 'orders', { ...request(1), body })
    await expect(bench.finish(large)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  })
})
