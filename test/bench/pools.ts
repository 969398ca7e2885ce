/**
 * What workers are for. A loop in this thread beside one that does nothing but compute: how long its iterations take, 99 of
 * 100, alone and beside it, wherever that runs. And how much gets computed by two such loops, next to one.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadCustomNodes } from '../../daemon/custom-nodes.ts'
import { SystemPools } from '../../daemon/pools.ts'
import { connectRedis } from '../../daemon/redis.ts'
import { FlowEngine } from '../../engine/flow-engine.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type Arm, type Bench, type OpenBench, quantile, type Sample } from './measure.ts'
import { portsOver } from './ours.ts'

type WorkerPool = 'thread' | 'process'
type Loops = { computing: number; pool: WorkerPool; watched: boolean }

/** What the watched loop rests in each iteration, in milliseconds: it does not keep a core busy itself. */
const restMs = 2

export const isolation: Bench = {
  title: 'iterations of a loop in this thread, which rests, beside one that computes',
  size: { full: 1_000, quick: 200 },
  open: () =>
    open(place => [
      isolated('beside one in a thread', place, { computing: 1, pool: 'thread' }),
      isolated('beside one in a process', place, { computing: 1, pool: 'process' }),
      isolated('alone', place, { computing: 0, pool: 'thread' }),
    ]),
}

export const computing: Bench = {
  title: 'iterations of loops that compute',
  size: { full: 100, quick: 20 },
  open: () =>
    open(place => [
      computes('two in threads', place, { computing: 2, pool: 'thread' }),
      computes('two in processes', place, { computing: 2, pool: 'process' }),
      computes('one in a thread', place, { computing: 1, pool: 'thread' }),
    ]),
}

type Place = { server: RedisServer; nodesDir: string }

async function open(armsOf: (place: Place) => Arm[]): Promise<OpenBench> {
  const place = { server: await RedisServer.start(), nodesDir: mkdtempSync(join(tmpdir(), 'theoneeye-bench-')) }
  writeFileSync(join(place.nodesDir, 'bench-nodes.mjs'), nodes)
  const close = async (): Promise<void> => {
    rmSync(place.nodesDir, { recursive: true })
    await place.server.remove()
  }
  return { arms: armsOf(place), close }
}

const engine = new URL('../../engine', import.meta.url).href
const nodes = `import { defineForm } from '${engine}/node/form.js'
import { BlockingNode } from '${engine}/node/node.js'
export class Compute extends BlockingNode {
  static identifier = 'bench-compute'
  static form = defineForm({})
  async execute(input) {
    let sum = 0
    for (let i = 0; i < 2e7; i++) sum = (sum * 31 + i) | 0
    return { ...input, data: { sum } }
  }
}
export class Rest extends BlockingNode {
  static identifier = 'bench-rest'
  static form = defineForm({})
  async execute(input, context) {
    await context.clock.sleep(${restMs})
    return input
  }
}
`

/** How long iterations take, from their beginning until they are known to be committed. */
function isolated(name: string, place: Place, loops: Omit<Loops, 'watched'>): Arm {
  const run = async (size: number): Promise<Sample> => {
    const [begun, all, computed]: [number[], number[], Set<string>] = [[], [], new Set()]
    await running(place, { ...loops, watched: true }, event => {
      if (event.type === 'iteration_completed' && event.loop !== 'watched') computed.add(event.loop)
      if (computed.size < loops.computing || !('loop' in event) || event.loop !== 'watched') return 'more'
      if (event.type === 'iteration_started') begun[event.iteration] = performance.now()
      const beganMs = event.type === 'iteration_completed' ? begun[event.iteration] : undefined
      if (beganMs !== undefined) all.push(performance.now() - beganMs)
      return all.length < size ? 'more' : 'enough'
    })
    return { 'p50 ms': quantile(all, 0.5), 'p99 ms': quantile(all, 0.99) }
  }
  return { name, run }
}

function computes(name: string, place: Place, loops: Omit<Loops, 'watched'>): Arm {
  const run = async (size: number): Promise<Sample> => {
    const times = new Map<string, number[]>()
    await running(place, { ...loops, watched: false }, event => {
      if (event.type !== 'iteration_completed') return 'more'
      times.set(event.loop, [...(times.get(event.loop) ?? []), event.time])
      const all = [...times.values()]
      return all.length === loops.computing && all.every(({ length }) => length > size) ? 'enough' : 'more'
    })
    // only while all were at work: the first iterations of each warm its worker up
    const all = [...times.values()]
    const [from, to] = [Math.max(...all.map(at => at[2] ?? 0)), Math.min(...all.map(at => at.at(-1) ?? 0))]
    const done = all.flat().filter(at => at > from && at <= to).length
    return { 'iterations/s': (done * 1_000) / (to - from) }
  }
  return { name, run }
}

/** Runs until `heed` has had enough. */
async function running(place: Place, loops: Loops, heed: (event: EngineEvent) => 'more' | 'enough'): Promise<void> {
  const registry = defaultRegistry(await loadCustomNodes(place.nodesDir))
  const redis = await connectRedis(place.server.url)
  const ports = portsOver(redis)
  const { log } = ports
  const pools = new SystemPools({ redis, redisUrl: place.server.url, filesDir: '.', nodesDir: place.nodesDir, log })
  try {
    const graph = requireWorkflow(workflow(loops), { registry })
    let enough: () => void = () => undefined
    const done = new Promise<void>(resolve => {
      enough = resolve
    })
    const engine = new FlowEngine({ graph, ports, pools, onEvent: event => heed(event) === 'enough' && enough() })
    await engine.start({ mode: 'fresh' })
    await Promise.race([done, engine.done])
    await engine.stop()
    const { error } = await engine.done
    if (error !== undefined) throw new Error(error.message)
  } finally {
    await pools.close()
    await redis.close()
  }
}

function workflow({ computing, pool, watched }: Loops): JsonObject {
  const ids = Array.from({ length: computing }, (_, i) => `c${i + 1}`)
  const chain = (producer: string, type: string) => ({
    nodes: [
      { id: producer, type: 'counter', data: { form: { max_value: 1_000_000 } } },
      { id: `${producer}-work`, type },
    ],
    edges: [{ id: producer, source: producer, target: `${producer}-work` }],
  })
  const all = [...ids.map(id => chain(id, 'bench-compute')), ...(watched ? [chain('watched', 'bench-rest')] : [])]
  return {
    id: 'bench-pools',
    settings: { loops: Object.fromEntries(ids.map(id => [id, { pool }])) },
    nodes: all.flatMap(({ nodes }) => nodes),
    edges: all.flatMap(({ edges }) => edges),
  }
}
