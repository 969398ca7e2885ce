/**
 * Makes a plan from a seed. Swarm testing: each run draws which kinds of faults exist at all and how often they come,
 * so that one run is full of restarts and the next has nothing but lost replies.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import { queuesOf } from './arrivals.ts'
import { drawCalls, isEndless, webhooksOf } from './calls.ts'
import { editMax } from './edits.ts'
import { allFaultKinds, type FaultKind, latencySpikesMs } from './faults.ts'
import type { Plan, PlanEvent, PlanSettings } from './plan.ts'
import { Draws } from './random.ts'
import type { Subject } from './subject.ts'

/** How far ahead faults are laid out: the n-th operation of a kind and loop. */
const horizon = 400
/** Each fault of these costs the run a comeback; more would only make it long. */
const most: Partial<Record<FaultKind, number>> = {
  restart: 6,
  'restart-loses': 5,
  stop: 4,
  reload: 4,
  wish: 4,
  requeue: 4,
  loading: 5,
  readonly: 5,
  oom: 5,
  failover: 4,
  pause: 5,
  'clock-jump': 3,
  'clock-drift': 3,
  'disk-full': 4,
  'worker-hang': 3,
  'worker-oom': 3,
  'worker-version': 2,
  'worker-fails': 1,
}
const mostPerKind = 6

/** Operations by how often they are hit: those that write ten times as often as the others. */
const loopOperations = { commit: 5, claim: 5, acquire: 5, complete: 5, delay: 5, release: 5, wait: 1 }
const otherOperations = { 'start-run': 5, renew: 0.5, hget: 0.5, hgetall: 0.5 }
/** Of api workflows, and of development, which goes on beside them. */
const apiOperations = { 'commit-request': 5, 'dev-cache': 2, hgetall: 2 }
/** Of loops that run in a worker. */
const workerOperations = { start: 60 }
/** What is not Redis. */
const outsideOperations: Record<string, { by: string; weight: number }> = {
  write: { by: 'file-writer', weight: 5 },
  http: { by: 'http-request', weight: 5 },
  read: { by: 'file-reader', weight: 0.5 },
}

/** How many of the items of such a node are hit, and how rarely there are any. */
const nodeOdds: Partial<Record<FaultKind, readonly number[]>> = {
  'node-throws': [0.05, 0.3],
  'node-hangs': [0.03],
  'node-slow': [0.05, 0.3],
  'node-garbage': [0.05, 0.2],
  'node-kills': [0.02, 0.1],
}
const nodeChance = 0.1
/** How many of the nodes have such items. */
const nodeShares = [0.3, 1]
/** What is tried again, the reference knows nothing of: most runs do without. */
const requeueChance = 0.15

/** Faults that make no sense for a wait: it changes nothing and is asked anew. */
const notOnWait: ReadonlySet<FaultKind> = new Set([
  'refused-applied',
  'loading',
  'readonly',
  'oom',
  'stop',
  'reload',
  'wish',
  'requeue',
  'clock-jump',
  'clock-drift',
  'worker-hang',
])

export function generatePlan(subject: Omit<Subject, 'expected'>, seed: string, allowed: readonly FaultKind[]): Plan {
  const draws = new Draws(`${seed}|plan`)
  const chance = (kind: FaultKind): number => {
    if (kind === 'requeue') return requeueChance
    // minutes go by until a loop is given up
    return nodeOdds[kind] === undefined && kind !== 'worker-fails' ? 0.45 : nodeChance
  }
  const kinds = allFaultKinds.filter(kind => draws.chance(`kind ${kind}`, chance(kind)) && allowed.includes(kind))
  const targets = [...targetsOf(subject.graph), ...arrivalsOf(subject.files)]
  const events = kinds.flatMap(kind => eventsOf(kind, targets, draws))
  const { name, workflow, files, graph } = subject
  const develops = allowed.length === allFaultKinds.length ? 'sometimes' : 'never'
  const calls = drawCalls(graph, draws, develops)
  // only a daemon listens to calls
  const serving = isEndless(graph) || calls.length > 0 ? { serving: 'daemon' as const } : {}
  const settings = { ...drawSettings(draws), ...serving }
  return { version: 1, name, seed, workflow, files, settings, events, ...(calls.length === 0 ? {} : { calls }) }
}

function drawSettings(draws: Draws): PlanSettings {
  return {
    latencyMsMax: draws.pick('latency', [1, 1, 2, 5, 20]),
    fsyncMs: draws.pick('fsync', [10, 50, 200, 1_000]),
    comebackMsMax: draws.pick('comeback', [20, 200, 2_000]),
    elsewhere: draws.pick('elsewhere', [0, 0, 0.3]),
    instances: draws.pick('instances', [1, 1, 1, 2, 2, 3]),
    serving: draws.pick('serving', ['run', 'daemon'] as const),
    lagMs: draws.pick('lag', [5, 100, 1_000]),
    faultsUntilMs: draws.pick('faults until', [2_000, 60_000, 1_800_000, 1_800_000]),
  }
}

type Target = { op: string; loop: string; weight: number; where: 'daemon' | 'worker' }

function targetsOf(graph: FlowGraph): Target[] {
  const isApi = graph.workflow.type === 'api'
  const loops = isApi ? [] : graph.loops
  const perLoop = loops.flatMap(({ id, pool }) => {
    const where = pool === 'async' ? ('daemon' as const) : ('worker' as const)
    const operations = pool === 'async' ? loopOperations : { ...loopOperations, ...workerOperations }
    return Object.entries(operations).map(([op, weight]) => ({ op, loop: id, weight, where }))
  })
  const types = new Set([...graph.nodes.values()].map(({ class: { identifier } }) => identifier))
  const outside = Object.entries(outsideOperations).filter(([, { by }]) => types.has(by))
  const others = {
    ...(isApi ? apiOperations : otherOperations),
    ...Object.fromEntries(outside.map(([op, { weight }]) => [op, weight])),
    ...(webhooksOf(graph).length > 0 ? { intake: 5 } : {}),
  }
  return [
    ...perLoop,
    ...Object.entries(others).map(([op, weight]) => ({ op, loop: '', weight, where: 'daemon' as const })),
  ]
}

/** Whether a fault of this kind can come about there at all. */
function fits(kind: FaultKind, { op, where }: Target): boolean {
  if (kind.startsWith('arrival-') || op === 'arrive') return kind.startsWith('arrival-') && op === 'arrive'
  if (kind.startsWith('worker') && where === 'daemon') return false
  const isOfStart = kind === 'worker-version' || kind === 'worker-fails'
  if (op === 'start' || isOfStart) return op === 'start' && (isOfStart || kind === 'worker-before')
  if (kind.startsWith('http-')) return op === 'http'
  if (kind === 'disk-full') return op === 'write'
  if (op in outsideOperations) return /^(crash|latency$)/.test(kind)
  return op !== 'wait' || !notOnWait.has(kind)
}

/** Items that come from outside are as good as written. */
function arrivalsOf(files: Plan['files']): Target[] {
  return queuesOf(files).map(loop => ({ op: 'arrive', loop, weight: 5, where: 'daemon' }))
}

/** Faults of one kind: for each operation the gaps between those it hits are drawn, in a length drawn for the run. */
function eventsOf(kind: FaultKind, targets: readonly Target[], draws: Draws): PlanEvent[] {
  const odds = nodeOdds[kind]
  if (odds !== undefined) {
    const drawn = { odds: draws.pick(`odds ${kind}`, odds), nodes: draws.pick(`nodes ${kind}`, nodeShares) }
    return [{ at: 0, actor: 'daemon', kind, args: { op: 'execute', loop: '', n: 1, ...drawn } }]
  }
  const gap = draws.pick(`gap ${kind}`, [4, 12, 40, 120])
  const keptMax = most[kind] ?? mostPerKind
  const found: (PlanEvent & { n: number })[] = []
  for (const target of targets) {
    if (!fits(kind, target)) continue
    const { op, loop, weight } = target
    const key = `${kind} ${op} ${loop}`
    const gapMax = Math.ceil((2 * gap * targets.length) / (4 * weight))
    let n = 0
    for (let i = 0; i < keptMax; i++) {
      n += draws.whole(key, 1, gapMax)
      if (n > horizon) break
      found.push({ at: 0, actor: actorOf(kind), kind, args: { op, loop, n, ...argsOf(kind, key, draws) }, n })
    }
  }
  const kept = found.sort((a, b) => a.n - b.n).slice(0, keptMax)
  return kept.map(({ n: _, ...event }) => event)
}

function actorOf(kind: FaultKind): PlanEvent['actor'] {
  if (/^(crash|stop|reload|wish|requeue|pause|clock|worker)/.test(kind)) return 'daemon'
  if (/^(http|disk|arrival)/.test(kind)) return 'outside'
  return /^(lost|reply|refused|latency)/.test(kind) ? 'connection' : 'server'
}

function argsOf(kind: FaultKind, key: string, draws: Draws): JsonObject {
  if (kind === 'latency') return { ms: draws.pick(`${key} ms`, latencySpikesMs) }
  if (kind === 'loading' || kind === 'readonly' || kind === 'oom' || kind === 'failover')
    return { ms: draws.pick(`${key} ms`, [5, 100, 3_000]) }
  if (/^(http-(error|status|timeout)|disk-full)$/.test(kind))
    return { ms: draws.pick(`${key} ms`, [0, 0, 1_000, 20_000]) }
  if (kind === 'reload') return { edit: draws.whole(`${key} edit`, 0, editMax) }
  if (kind === 'wish') {
    return {
      wish: draws.pick(`${key} wish`, ['stop', 'kill', 'pause', 'pause']),
      of: draws.pick(`${key} of`, ['loop', 'workflow']),
      ms: draws.pick(`${key} ms`, [50, 1_500, 5_000, 20_000]),
    }
  }
  if (kind === 'requeue') return { times: draws.pick(`${key} times`, [1, 2]) }
  if (kind === 'pause') return { ms: draws.pick(`${key} ms`, [100, 3_000, 11_000, 30_000]) }
  if (kind === 'worker-hang') {
    return {
      how: draws.pick(`${key} how`, ['loop', 'process']),
      ms: draws.pick(`${key} ms`, [0, 0, 1_000, 11_000, 30_000]),
    }
  }
  if (kind === 'worker-fails') return { ms: draws.pick(`${key} ms`, [20_000, 250_000, 400_000]) }
  if (kind === 'clock-jump') return { ms: draws.pick(`${key} ms`, [-20_000, -1_000, 1_000, 20_000]) }
  if (kind === 'clock-drift') return { percent: draws.pick(`${key} percent`, [-5, -0.1, 0.1, 5]) }
  return {}
}
