/**
 * `sim --real`: the same stories and checks, lived by the real engine on a real Redis in a process of its own, once in
 * peace and once killed with `kill -9`. Without determinism: it checks the simulator, which must not be kinder than the world.
 * The outside stays simulated. What needs hours is left out, since real time cannot be squeezed.
 */
import { messageOf } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import type { JsonObject } from '../engine/json.ts'
import { type KeyDump, Keyspace } from '../engine/memory-redis/keyspace.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { HttpRequest, Redis } from '../engine/ports.ts'
import { keysOf, replicaName } from '../engine/store/keys.ts'
import { type Expected, expectedEffects } from './expected.ts'
import { startFlowEngine } from './instance.ts'
import { check } from './invariants/check.ts'
import { exactlyOnce } from './invariants/exactly-once.ts'
import type { Violation } from './invariants/invariant.ts'
import { inputsHash, MemoryFiles, saidOutside } from './outside.ts'
import type { Plan } from './plan.ts'
import { Draws } from './random.ts'
import type { Subject } from './subject.ts'
import { simulate } from './world.ts'

export type RealEnd = { status: string; error?: unknown }
type Job = { workflow: JsonObject; name: string; redis: string; nodes?: string }
export type RealServer = {
  url: string
  redis: Redis
  /** Deletes what begins so. */
  forget(prefix: string): Promise<void>
  close(): Promise<void>
}
/** What only a host can do. */
export type RealHost = {
  openRealRedis(url: string | undefined): Promise<RealServer>
  beginLife(
    job: Job,
    outside: (op: 'http' | 'read' | 'write', args: unknown[]) => unknown,
  ): { kill(): void; readonly begun: Promise<void>; readonly ended: Promise<RealEnd> }
}

export type RealFailure = Omit<Violation, 'invariant'> & { invariant: Violation['invariant'] | 'stuck' | 'crash' }
export type RealRun = {
  name: string
  how: 'in peace' | 'killed'
  kills: number
  iterations: number
  failure?: RealFailure
}

/** Longer stories are left out. */
const simulatedMsMax = 20_000
const lifeMsMax = 60_000
const killsMax = 3
/** So long at most after its engine has begun, a life is killed. */
const killMsMax = 120
/** A run is watched for so long after its end in the simulation. */
const afterEndMs = 15_000

export type RealOptions = {
  host: RealHost
  registry: NodeRegistry
  nodes?: string
  redis: string | undefined
  goesOn: () => boolean
  onRun: (run: RealRun, ms: number) => void
  onLeftOut: (name: string, why: string) => void
}

export async function runReal(
  stories: readonly { subject: Subject; plan: Plan }[],
  options: RealOptions,
): Promise<void> {
  const server = await options.host.openRealRedis(options.redis)
  try {
    for (const story of stories) {
      const why = await whyLeftOut(story)
      if (why !== undefined) options.onLeftOut(story.plan.name, why)
      for (const how of why === undefined ? (['in peace', 'killed'] as const) : []) {
        if (!options.goesOn()) return
        const startedMs = performance.now()
        const run = await new RealStory(story.plan, how, { ...options, server }).run()
        options.onRun(run, Math.round(performance.now() - startedMs))
      }
    }
  } finally {
    await server.close()
  }
}

/** Its simulation tells how long it takes, and that it needs no fault to be what it says. */
async function whyLeftOut({ subject, plan }: { subject: Subject; plan: Plan }): Promise<string | undefined> {
  const { graph, expected } = subject
  if ((await expected?.plain()) === undefined) return 'it does not end on its own'
  const settings = { ...plan.settings, instances: 1 }
  const calm = { ...plan, settings, events: [] }
  const { stats, failure } = await simulate({
    plan: calm,
    graph,
    expected,
    startEngine: startFlowEngine,
    trace: 'recent',
  })
  if (failure !== undefined) return `without its faults it is not what it says: ${failure.expected}`
  const ms = stats.simulatedMs - afterEndMs
  return ms > simulatedMsMax ? `it takes ${Math.round(ms / 1_000)} s, which only simulated time can squeeze` : undefined
}

type Place = RealOptions & { server: RealServer }

class RealStory {
  readonly #plan: Plan
  readonly #how: RealRun['how']
  readonly #place: Place
  readonly #graph: FlowGraph
  readonly #files: MemoryFiles
  readonly #expected: Expected
  readonly #draws: Draws
  readonly #workflow: JsonObject
  #kills = 0

  constructor(plan: Plan, how: RealRun['how'], place: Place) {
    this.#plan = plan
    this.#how = how
    this.#place = place
    this.#draws = new Draws(`${plan.name}|${performance.now()}`)
    // a name that nobody else on this server has
    this.#workflow = { ...plan.workflow, id: `sim-real-${this.#draws.text('id')}` }
    this.#graph = requireWorkflow(this.#workflow, { registry: place.registry, name: plan.name })
    const files = withMustOf(this.#graph, plan.files)
    this.#files = new MemoryFiles(files)
    this.#expected = expectedEffects(this.#graph, files)
  }

  async run(): Promise<RealRun> {
    const { status, error } = await this.#live()
    const { redis, forget } = this.#place.server
    const db = await keysIn(redis, this.#graph)
    await forget(keysOf(this.#graph.workflow.id).prefix)
    const failure = status === 'completed' ? await this.#violation(db) : failureOf(status, error)
    const { name } = this.#plan
    const run = { name, how: this.#how, kills: this.#kills, iterations: iterationsIn(db, this.#graph) }
    return failure === undefined ? run : { ...run, failure }
  }

  /** Life after life, until one of them completes. */
  async #live(): Promise<RealEnd> {
    const untilMs = performance.now() + lifeMsMax
    for (;;) {
      const { nodes, server, host } = this.#place
      const job = {
        workflow: this.#workflow,
        name: this.#plan.name,
        redis: server.url,
        ...(nodes === undefined ? {} : { nodes }),
      }
      const life = host.beginLife(job, (op, args) => this.#outside(op, args))
      const timers = [setTimeout(() => life.kill(), untilMs - performance.now())]
      const mayKill = this.#how === 'killed' && this.#kills < killsMax
      if (mayKill) {
        void life.begun.then(() => timers.push(setTimeout(() => life.kill(), this.#draws.whole('kill', 1, killMsMax))))
      }
      const end = await life.ended
      for (const timer of timers) clearTimeout(timer)
      if (performance.now() >= untilMs) return { status: 'late' }
      if (end.status !== 'killed' || !mayKill) return end
      this.#kills += 1
      // it was killed as it went home: another life would begin another run
      const status = await server.redis.hget(keysOf(this.#graph.workflow.id).meta, 'status')
      if (status === 'completed') return { status }
    }
  }

  #outside(op: 'http' | 'read' | 'write', args: unknown[]): unknown {
    if (op === 'http') return this.#files.answer(args[0] as HttpRequest)
    if (op === 'read') return this.#files.read(...(args as [string, number, number]))
    return this.#files.write(...(args as [string, string, 'a' | 'w']))
  }

  /** What can be seen from outside when all is over. */
  async #violation(db: Keyspace): Promise<RealFailure | undefined> {
    const claimed = claimsOf(this.#graph).filter(key => db.llen(key) > 0)
    if (claimed.length > 0) {
      return {
        invariant: 'conservation',
        expected: 'no item is claimed in the end',
        seen: `there are, in ${claimed.join(', ')}`,
      }
    }
    let first: RealFailure | undefined
    for (const [invariant, make] of [
      ['check', check],
      ['exactly-once', exactlyOnce],
    ] as const) {
      const report = (expected: string, seen: string): void => {
        first ??= { invariant, expected, seen }
      }
      await make({ graph: this.#graph, report }).end?.({
        db,
        files: this.#files,
        expected: this.#expected,
        hasLost: false,
        hasRequeued: false,
      })
    }
    return first
  }
}

/** What must hold was said of a workflow by another name. */
function withMustOf(graph: FlowGraph, files: Readonly<Record<string, string>>): Record<string, string> {
  const said = files[saidOutside.must]?.split('\n')[1]
  return said === undefined
    ? { ...files }
    : { ...files, [saidOutside.must]: `${inputsHash(graph.hash, files)}\n${said}` }
}

function failureOf(status: string, error: unknown): RealFailure {
  if (status === 'late')
    return { invariant: 'stuck', expected: `it ends within ${lifeMsMax / 1_000} s`, seen: 'it did not' }
  return { invariant: 'crash', expected: 'the workflow completes', seen: `${status}: ${messageOf(error)}` }
}

function claimsOf({ loops, workflow }: FlowGraph): string[] {
  const keys = keysOf(workflow.id)
  return loops.flatMap(({ id, replicas }) =>
    Array.from({ length: replicas }, (_, n) => keys.claims(replicaName(id, n))),
  )
}

function iterationsIn(db: Keyspace, { loops, workflow }: FlowGraph): number {
  const keys = keysOf(workflow.id)
  const names = loops.flatMap(({ id, replicas }) => Array.from({ length: replicas }, (_, n) => replicaName(id, n)))
  return names.reduce((sum, name) => sum + Number(db.hget(keys.replica(name), 'iterations') ?? 0), 0)
}

/** The keys that invariants look at in the end, as the server has them. */
async function keysIn(redis: Redis, graph: FlowGraph): Promise<Keyspace> {
  const keys = keysOf(graph.workflow.id)
  const replicas = graph.loops.flatMap(({ id, replicas }) =>
    Array.from({ length: replicas }, (_, n) => replicaName(id, n)),
  )
  const lists = [...graph.queues.map(({ name }) => keys.queue(name)), ...claimsOf(graph), keys.deadLetterOrder]
  const hashes = [keys.deadLetters, keys.state, keys.runtime, ...replicas.map(name => keys.replica(name))]
  const dump: KeyDump[] = []
  for (const key of lists) dump.push({ key, type: 'list', value: await redis.lrange(key, 0, -1) })
  for (const key of hashes) dump.push({ key, type: 'hash', value: Object.entries(await redis.hgetall(key)) })
  const db = new Keyspace(() => 0)
  db.load(dump.filter(({ value }) => value.length > 0))
  return db
}
