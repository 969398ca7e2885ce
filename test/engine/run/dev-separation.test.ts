/**
 * Development mode never touches production (the invariant "separation"): whatever node of whatever workflow is run there,
 * with whatever input and in whatever session, production's keys stay as they are, bit for bit; and what dev reads of them is
 * queues that it peeks at. Generated workflows with their runs half done are what it is tried on.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import type { Redis, Reply, Script } from '../../../engine/ports.ts'
import { DevRunner } from '../../../engine/run/dev-runner.ts'
import { devPrefix } from '../../../engine/store/keys.ts'
import { generateSubject } from '../../../sim/generate-workflow.ts'
import { Bench } from '../../support/engine-bench.ts'

const registry = defaultRegistry()
const seeds = Array.from({ length: 25 }, (_, i) => `0x${(i + 1).toString(16)}`)
const callsEach = 40

/** All keys but those of development mode, as text. */
function productionOf({ server }: Bench, workflow: string): string[] {
  const own = devPrefix(workflow)
  return server.db
    .dump()
    .filter(({ key }) => !key.startsWith(own))
    .map(each => JSON.stringify(each))
}

/** Tells every key or script by which development mode asks for something. */
function watched(redis: Redis, asked: string[]): Redis {
  const noted = <A extends unknown[], T>(read: (key: string, ...more: A) => T) => {
    return (key: string, ...more: A): T => {
      asked.push(key)
      return read(key, ...more)
    }
  }
  return {
    ...redis,
    call: (script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> => {
      asked.push(`${script.name} ${keys.join()}`)
      return redis.call(script, keys, args)
    },
    hget: noted(redis.hget.bind(redis)),
    hgetall: noted(redis.hgetall.bind(redis)),
    lrange: noted(redis.lrange.bind(redis)),
    llen: noted(redis.llen.bind(redis)),
    smembers: noted(redis.smembers.bind(redis)),
    wait: redis.wait.bind(redis),
    close: redis.close.bind(redis),
  }
}

describe('development mode', () => {
  it.each(seeds)('leaves production as it is, whatever node of the workflow of seed %s runs', async seed => {
    const { graph, workflow, files } = await generateSubject(seed, registry)
    const { id } = graph.workflow
    const bench = new Bench()
    Object.assign(bench.files, files)
    const { engine } = bench.engine(requireWorkflow(workflow, { registry, name: id }))
    await bench.finish(engine.start())
    await bench.pass(40)
    await engine.kill()
    await bench.pass(1)
    const before = productionOf(bench, id)
    expect(before.length).toBeGreaterThan(3)

    const asked: string[] = []
    const ports = bench.ports(7)
    const dev = new DevRunner({ registry, ports: { ...ports, redis: watched(ports.redis, asked) } })
    const nodes = [...graph.nodes.keys()]
    const call = fc.record({
      node: fc.constantFrom(...nodes),
      session: fc.constantFrom('a', 'b', undefined),
      input: fc.option(fc.dictionary(fc.constantFrom('n', 'counter', 'items'), fc.jsonValue()), { nil: undefined }),
      each: fc.constantFrom<'all' | 'element'>('all', 'element'),
    })
    const calls = fc.sample(call, { numRuns: callsEach, seed: Number(seed) })
    let succeeded = 0
    for (const { node, session, input, each } of calls) {
      const answer = await bench.finish(
        dev.execute({
          ...{ workflow: workflow as JsonObject, nodeId: node, each },
          ...(session === undefined ? {} : { sessionId: session }),
          ...(input === undefined ? {} : { input: input as JsonObject }),
        }),
      )
      if (answer.success) succeeded += 1
    }
    expect(productionOf(bench, id)).toEqual(before)
    expect(succeeded).toBeGreaterThan(0)
    const written = asked.filter(each => each.includes(' ') && !each.startsWith(`dev-cache ${devPrefix(id)}`))
    expect(written).toEqual([])
    await bench.finish(dev.close())
  })
})
