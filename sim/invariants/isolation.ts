/**
 * A loop that fails or hangs holds nobody else up: a loop that has items waiting, or claimed, gets on with them within a
 * time, as long as nothing disturbs it. Disturbances are faults and what befalls daemons; a loop may also stand still
 * because a node or worker of its own is at work or hangs, because a queue it writes to is full, or because somebody paused or stopped it.
 */
import type { FlowGraph, FlowLoop } from '../../engine/graph/flow-graph.ts'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { keysOf, replicaName } from '../../engine/store/keys.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { FaultKind, OperationName } from '../faults.ts'
import type { LifeNews } from '../life.ts'
import { hasItems } from '../places.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** Longer than any wait, lease, back-off or latency, one after the other. */
const standstillMsMin = 60_000
/** How often the loops are looked at. */
const lookMs = 1_000

class Isolation implements Invariant {
  readonly name = 'isolation'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  readonly #loops: readonly FlowLoop[]
  readonly #alone: ReadonlySet<string>
  readonly #standstillMs: number
  /** Since when a loop has had something to do and did nothing. */
  readonly #sinceMs = new Map<string, number>()
  /** Nodes at work, by teller, loop and iteration: a loop has several at a time where it has replicas. */
  readonly #working = new Map<string, Map<string, Map<number, number>>>()
  readonly #full = new Set<string>()
  /** Their workers hang, and have done nothing since. */
  readonly #hung = new Set<string>()
  #nowMs = 0
  #nextLookMs = 0

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
    this.#loops = graph.loops
    this.#alone = new Set(graph.loops.filter(({ replicas }) => replicas === 1).map(({ id }) => id))
    this.#standstillMs = standstillMs(graph)
  }

  applied({ op, loop, outcome, ms, db }: Applied): void {
    this.#nowMs = ms
    if (loop !== '' && outcome.changed && op !== 'wait') this.#acts(loop, ms)
    if (op === 'commit') this.#noteRoom(loop, outcome)
    if (ms < this.#nextLookMs) return
    this.#nextLookMs = ms + lookMs
    for (const each of this.#loops) this.#look(each, db)
  }

  event(event: EngineEvent, teller: string): void {
    switch (event.type) {
      case 'node_started':
        this.#works(teller, event, 1)
        break
      case 'node_completed':
      case 'node_failed':
        this.#works(teller, event, -1)
        break
      case 'iteration_started':
      case 'iteration_completed':
      case 'iteration_failed':
        this.#working.get(teller)?.get(event.loop)?.delete(event.iteration)
        this.#sinceMs.set(event.loop, this.#nowMs)
        break
      case 'loop_started':
        // what a replica that crashed had begun has no end; of several it is not said which one it was
        if (this.#alone.has(event.loop)) this.#working.get(teller)?.delete(event.loop)
        this.#sinceMs.set(event.loop, this.#nowMs)
    }
  }

  /** Notes that a node of a loop begins, or ends, to work. */
  #works(teller: string, { loop, iteration }: { loop: string; iteration: number }, change: number): void {
    const loops = this.#working.get(teller) ?? new Map<string, Map<number, number>>()
    this.#working.set(teller, loops)
    const working = loops.get(loop) ?? new Map<number, number>()
    loops.set(loop, working)
    working.set(iteration, Math.max(0, (working.get(iteration) ?? 0) + change))
    this.#sinceMs.set(loop, this.#nowMs)
  }

  life({ teller, what }: LifeNews): void {
    if (what === 'dies' || what === 'ends') this.forget(teller)
    this.#sinceMs.clear()
  }

  forget(teller: string): void {
    this.#working.delete(teller)
    this.#sinceMs.clear()
  }

  disturbed(kind: FaultKind, { loop }: OperationName): void {
    if (kind === 'worker-hang') this.#hung.add(loop)
    this.#sinceMs.clear()
  }

  #acts(loop: string, ms: number): void {
    // that another replica acts says nothing of the one that hangs
    if (this.#alone.has(loop)) this.#hung.delete(loop)
    this.#sinceMs.set(loop, ms)
  }

  #noteRoom(loop: string, { ok, ...outcome }: Applied['outcome']): void {
    const [head = ''] = ok && 'reply' in outcome && Array.isArray(outcome.reply) ? (outcome.reply as string[]) : []
    if (head.startsWith('full')) this.#full.add(loop)
    else if (head.startsWith('ok')) this.#full.delete(loop)
  }

  #look(loop: FlowLoop, db: Keyspace): void {
    const { id } = loop
    const since = this.#sinceMs.get(id)
    if (since === undefined || this.#isExcused(id, db) || !this.#hasWork(loop, db)) this.#sinceMs.set(id, this.#nowMs)
    else if (this.#nowMs - since > this.#standstillMs) {
      const seconds = Math.round((this.#nowMs - since) / 1_000)
      this.#report(`loop "${id}" gets on with what waits for it`, `it has done nothing for ${seconds} s`)
    }
  }

  #isExcused(loop: string, db: Keyspace): boolean {
    const works = [...this.#working.values()].flatMap(each => [...(each.get(loop)?.values() ?? [])])
    if (works.some(n => n > 0) || this.#full.has(loop) || this.#hung.has(loop)) return true
    if (db.hexists(this.#keys.ended, loop) === 1) return true
    return [loop, ''].some(name => /^(pause|stop|kill)$/.test(db.hget(this.#keys.desired, name) ?? ''))
  }

  #hasWork(loop: FlowLoop, db: Keyspace): boolean {
    const { id, replicas } = loop
    if (hasItems(loop, db, this.#keys)) return true
    return Array.from({ length: replicas }, (_, n) => this.#keys.claims(replicaName(id, n))).some(
      key => db.llen(key) > 0,
    )
  }
}

function standstillMs({ workflow }: FlowGraph): number {
  const { lease_seconds: lease, drain_timeout_seconds: drain } = workflow.settings
  return Math.max(standstillMsMin, 3_000 * lease, 2_000 * drain)
}

export const isolation: MakeInvariant = context => new Isolation(context)
