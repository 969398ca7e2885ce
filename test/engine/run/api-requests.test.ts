import { describe, expect, it } from 'vitest'
import { requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import type { Redis } from '../../../engine/ports.ts'
import { ApiRequests } from '../../../engine/run/api-requests.ts'
import { ApiRunner } from '../../../engine/run/api-runner.ts'
import { Bench, sketch } from '../../support/engine-bench.ts'

function slow(seconds: number) {
  const nodes = {
    hook: ['webhook-producer', { webhook_id: 'w' }],
    wait: ['static-delay-node', { interval: seconds, unit: 'seconds' }],
  }
  const file = { ...sketch({ nodes: nodes as never, edges: 'hook>wait' }), type: 'api' }
  return requireWorkflow(file, { registry: defaultRegistry() })
}

describe('ApiRequests', () => {
  it('waits for what runs when it drains, and begins nothing new', async () => {
    const bench = new Bench()
    const requests = new ApiRequests({ ports: bench.ports(1), onEvent: () => undefined })
    const running = requests.execute(slow(10), { input: {} })
    await bench.pass(1_000)
    const drained = requests.drain(60_000)
    await expect(requests.execute(slow(10), { input: {} })).rejects.toMatchObject({ code: 'DRAINING' })
    await bench.finish(drained)
    expect(await running).toMatchObject({ success: true, execution_time_ms: 10_000 })
  })

  it('aborts what has not ended in time', async () => {
    const bench = new Bench()
    const requests = new ApiRequests({ ports: bench.ports(1), onEvent: () => undefined })
    const running = requests.execute(slow(3_600), { input: {} })
    await bench.pass(1_000)
    await bench.finish(requests.drain(5_000))
    expect(await running).toMatchObject({ success: false, code: 'ITERATION_ABORTED', execution_time_ms: 6_000 })
  })

  it('refuses one more than may run, and takes the next when one has ended', async () => {
    const bench = new Bench()
    const requests = new ApiRequests({ ports: bench.ports(1), onEvent: () => undefined, runningMax: 2 })
    const both = [requests.execute(slow(1), { input: {} }), requests.execute(slow(2), { input: {} })]
    await expect(requests.execute(slow(1), { input: {} })).rejects.toMatchObject({ code: 'OVERLOADED' })
    await bench.pass(1_500)
    expect(await both[0]).toMatchObject({ success: true })
    const third = requests.execute(slow(1), { input: {} })
    expect(await bench.finish(third)).toMatchObject({ success: true })
    expect(await both[1]).toMatchObject({ success: true })
    expect(requests.running).toBe(0)
  })
})

it('a request whose time ends while Redis answers is given up when it has', async () => {
  const bench = new Bench()
  const ports = bench.ports(1)
  const late: Redis = {
    ...ports.redis,
    hgetall: async key => {
      await ports.clock.sleep(5_000)
      return ports.redis.hgetall(key)
    },
  }
  const runner = new ApiRunner({ graph: slow(3_600), ports: { ...ports, redis: late } })
  const answer = await bench.finish(runner.execute({ input: {}, timeoutMs: 1_000 }))
  expect(answer).toMatchObject({ success: false, code: 'API_TIMEOUT' })
  expect(answer.execution_time_ms).toBeLessThan(20_000)
})
