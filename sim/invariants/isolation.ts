/**
 * A loop that fails or hangs holds nobody else up: a loop that has items waiting, or claimed, gets on with them within a
 * time, as long as nothing disturbs it. Disturbances are faults and what befalls daemons; a loop may also stand still
 * because a node or worker of its own is at work or hangs, because a queue it writes to is full, or because somebody paused or stopped it.
 */
import type { FlowGraph, FlowLoop } from '../../engine/graph/flow-graph.ts'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { keysOf, replicaName, requeueQueue } from '../../engine/store/keys.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { FaultKind, OperationName } from '../faults.ts'
import type { LifeNews } from '../life.ts'
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
  readonly #standstillMs: number
  /** Since when a loop has had something to do and did nothing. */
  readonly #sinceMs = new Map<string, number>()
  /** Nodes at work, per teller and loop. */
  readonly #working = new Map<string, Map<string, number>>()
  readonly #full = new Set<string>()
  /** Their workers hang, and have done nothing since. */
  readonly #hung = new Set<string>()
  #nowMs = 0
  #nextLookMs = 0

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
    this.#loops = graph.loops
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
    if (!('loop' in event) || event.loop === undefined) return
    const working = this.#working.get(teller) ?? new Map<string, number>()
    this.#working.set(teller, working)
    const n = working.get(event.loop) ?? 0
    if (event.type === 'loop_started' || event.type === 'iteration_started') working.set(event.loop, 0)
    else if (event.type === 'node_started') working.set(event.loop, n + 1)
    else if (event.type === 'node_completed' || event.type === 'node_failed')
      working.set(event.loop, Math.max(0, n - 1))
    else return
    this.#sinceMs.set(event.loop, this.#nowMs)
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
    this.#hung.delete(loop)
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
    const works = [...this.#working.values()].some(each => (each.get(loop) ?? 0) > 0)
    if (works || this.#full.has(loop) || this.#hung.has(loop)) return true
    if (db.hexists(this.#keys.ended, loop) === 1) return true
    return [loop, ''].some(name => /^(pause|stop|kill)$/.test(db.hget(this.#keys.desired, name) ?? ''))
  }

  #hasWork({ id, sources, replicas }: FlowLoop, db: Keyspace): boolean {
    const queues = [...sources, requeueQueue(id)]
    if (queues.some(queue => db.llen(this.#keys.queue(queue)) > 0)) return true
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
