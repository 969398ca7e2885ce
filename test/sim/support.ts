/** What tests of the simulator share: a small workflow, a plan without faults, a world around a toy instead of the engine. */
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../engine/json.ts'
import { MemoryServer } from '../../engine/memory-redis/server.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { SimTime, settled } from '../../sim/clock.ts'
import { expectedEffects } from '../../sim/expected.ts'
import { FaultBook, type FaultKind } from '../../sim/faults.ts'
import { LocalTime } from '../../sim/local-time.ts'
import type { Plan, PlanEvent } from '../../sim/plan.ts'
import { Draws } from '../../sim/random.ts'
import { SimRedis } from '../../sim/redis.ts'
import { type Applied, SimServer } from '../../sim/server.ts'
import type { Subject } from '../../sim/subject.ts'
import type { Move } from '../../sim/watch.ts'

type NodeText = [id: string, type: string, form?: JsonObject]

/** A workflow from a few words: edges are `a>b` or `a>b:yes`. */
export function workflowOf(nodes: readonly NodeText[], edges: string, settings: JsonObject = {}): JsonObject {
  return {
    id: 'w',
    settings,
    nodes: nodes.map(([id, type, form = {}]) => ({ id, type, data: { form } })),
    edges: edges.split(' ').map((text, i) => {
      const [pair = '', sourceHandle = null] = text.split(':')
      const [source = '', target = ''] = pair.split('>')
      return { id: `e${i}`, source, target, sourceHandle }
    }),
  }
}

export function graphOf(workflow: JsonObject): FlowGraph {
  return requireWorkflow(workflow, { registry: defaultRegistry(), name: 'w' })
}

/** Counts to `max` in one loop, passes through a queue to another, and ends in `done`. */
export function twoLoops(max: number): JsonObject {
  return workflowOf(
    [
      ['count', 'counter', { min_value: 1, max_value: max }],
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>out out>in in>done',
  )
}

const later = { instances: 1, serving: 'run' as const, lagMs: 10, faultsUntilMs: 1_800_000 }

export function planOf(workflow: JsonObject, events: readonly PlanEvent[] = []): Plan {
  const settings = { latencyMsMax: 2, fsyncMs: 10, comebackMsMax: 20, elsewhere: 0, ...later }
  return { version: 1, name: 'w', seed: '0x1', workflow, files: {}, settings, events: [...events] }
}

export async function subjectOf(workflow: JsonObject): Promise<Subject> {
  const graph = graphOf(workflow)
  return { name: 'w', workflow, files: {}, graph, expected: expectedEffects(graph, {}) }
}

/** `target` is `OPERATION LOOP N`; `-` for no loop. */
export function fault(kind: FaultKind, target: string, args: JsonObject = {}): PlanEvent {
  const [op = '', loop = '', n = ''] = target.split(' ')
  return { at: 0, actor: 'daemon', kind, args: { op, loop: loop === '-' ? '' : loop, n: Number(n), ...args } }
}

/** A server with one connection, and time to step: for what happens between the two. */
export function wireBench(events: readonly PlanEvent[] = []) {
  const time = new SimTime()
  const book = new FaultBook(events)
  const applied: Applied[] = []
  const faults: FaultKind[] = []
  let books = 0
  const server = new SimServer({
    time,
    book,
    fsyncMs: 10,
    lagMs: 30,
    canLose: true,
    hooks: {
      applied: each => applied.push(each),
      save: () => {
        const before = books++
        return () => {
          books = before
        }
      },
      fault: kind => faults.push(kind),
    },
  })
  const crashes: number[] = []
  const local = new LocalTime(time)
  const redis: SimRedis = new SimRedis({
    time,
    local,
    draws: new Draws('bench'),
    server,
    book,
    latencyMsMax: 3,
    comebackMsMax: 20,
    fault: kind => faults.push(kind),
    dies: (moment, at) => {
      if (book.take(`crash-${moment}`, at) === undefined) return false
      faults.push(`crash-${moment}`)
      crashes.push(time.ms)
      redis.die()
      return true
    },
    strike: () => undefined,
    admits: () => true,
  })
  /** Lets everything happen that is going to. */
  const rest = async (): Promise<void> => {
    do await settled()
    while (time.next())
  }
  return { time, server, redis, applied, faults, crashes, rest }
}

/** Notes how a promise ends, if it does. */
export function watched<T>(promise: Promise<T>): { state: string; value?: T } {
  const seen: { state: string; value?: T } = { state: 'pending' }
  promise.then(
    value => Object.assign(seen, { state: 'resolved', value }),
    error => Object.assign(seen, { state: (error as { code?: string }).code ?? String(error) }),
  )
  return seen
}

/** An operation as invariants see it, over keys of its own. */
export function appliedOf(
  op: string,
  moves: readonly (readonly [Move['kind'], string, string])[],
  loop = 'in',
): Applied {
  return {
    op,
    loop,
    n: 1,
    ms: 0,
    args: [],
    outcome: { ok: true, reply: 'ok', changed: true },
    moves: moves.map(([kind, key, value]) => ({ kind, key: `oe:{w}:${key}`, value })),
    db: new MemoryServer().db,
  }
}

export function entry(key: string): string {
  return `0|${key}|1|{"id":"${key}","data":{},"metadata":{}}`
}

export function claimOf(queue: string, key: string): string {
  return `${queue}\n${entry(key)}`
}
