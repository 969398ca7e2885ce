/**
 * A replica that waits is woken by what it waits for: by an item in one of its queues, or by space in the queue that was
 * full; looking all the same after a while is for accidents only. Judged where a loop has one replica, as long as no
 * fault strikes, no daemon stands still and nobody has paused anything.
 */
import type { FlowLoop } from '../../engine/graph/flow-graph.ts'
import { inLeases, limits } from '../../engine/limits.ts'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { keysOf, replicaName } from '../../engine/store/keys.ts'
import { type FaultKind, latencySpikesMs, type OperationName } from '../faults.ts'
import type { LifeNews } from '../life.ts'
import { hasItems } from '../places.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** How often the loops are looked at. */
const lookMs = 1_000
/** What tells a loop of its queues. */
const hears: ReadonlySet<string> = new Set(['acquire', 'claim', 'commit', 'complete'])

class Waking implements Invariant {
  readonly name = 'waking'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  readonly #queues: readonly string[]
  readonly #loops: readonly FlowLoop[]
  /** Longer than any wake-up takes, and shorter than until it looks all the same. */
  readonly #boundMs: number
  /** By wake-up key: since when somebody waits there although what it waits for has come. */
  readonly #missedMs = new Map<string, number>()
  readonly #waiting = new Set<string>()
  readonly #hung = new Set<string>()
  readonly #paused = new Set<number>()
  /** Loops that heard of their queues before the server lost writes, and not since: they wait for what was there then. */
  readonly #outdated = new Set<string>()
  #nextLookMs = 0
  #nowMs = 0
  /** What is behind a slow operation on its connection, a wake-up too, is as late. */
  #slowUntilMs = 0

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
    this.#queues = graph.queues.map(({ name }) => name)
    this.#loops = graph.loops.filter(({ replicas }) => replicas === 1)
    this.#boundMs = inLeases(limits.idleLookMs, graph.workflow.settings.lease_seconds) / 2
  }

  applied({ op, loop, args, outcome, ms, db }: Applied): void {
    if (op === 'wait' && outcome.ok && outcome.reply === null) this.#waiting.add(args[0] as string)
    else if (loop !== '' && op !== 'wake') this.#acts(loop)
    if (hears.has(op)) this.#outdated.delete(loop)
    this.#nowMs = ms
    if (ms < Math.max(this.#slowUntilMs, this.#nextLookMs)) return
    this.#nextLookMs = ms + lookMs
    for (const each of this.#loops) this.#look(each, db, ms)
  }

  disturbed(kind: FaultKind, { loop }: OperationName): void {
    if (kind === 'worker-hang') this.#hung.add(loop)
    if (kind === 'restart-loses' || kind === 'failover') for (const { id } of this.#loops) this.#outdated.add(id)
    // what is missed is counted from then on
    if (kind === 'latency') this.#slowUntilMs = this.#nowMs + Math.max(...latencySpikesMs)
    this.#missedMs.clear()
  }

  life({ what, pid }: LifeNews): void {
    if (what === 'pauses') this.#paused.add(pid)
    else if (what !== 'begins') this.#paused.delete(pid)
    if (what === 'dies') this.#waiting.clear()
    this.#missedMs.clear()
  }

  forget(): void {
    this.#waiting.clear()
    this.#missedMs.clear()
  }

  /** `loop` names a replica where only that waits. */
  #acts(loop: string): void {
    this.#hung.delete(loop)
    for (const key of [this.#keys.bell(loop), this.#keys.room(loop), this.#keys.room(replicaName(loop, 0))]) {
      this.#waiting.delete(key)
      this.#missedMs.delete(key)
    }
  }

  /** Few wait, and there is much to look at: nobody else is. */
  #look(loop: FlowLoop, db: Keyspace, ms: number): void {
    const name = replicaName(loop.id, 0)
    const [bell, room] = [this.#keys.bell(loop.id), this.#keys.room(name)]
    const isInLine = (queue: string): boolean => db.sismember(this.#keys.full(queue), name) === 1
    if (this.#waiting.has(bell)) this.#judge(bell, !this.#isExcused(loop.id, db) && hasItems(loop, db, this.#keys), ms)
    if (this.#waiting.has(room)) this.#judge(room, !this.#isExcused(loop.id, db) && !this.#queues.some(isInLine), ms)
  }

  #isExcused(loop: string, db: Keyspace): boolean {
    if (this.#hung.has(loop) || this.#outdated.has(loop) || this.#paused.size > 0) return true
    return db.hexists(this.#keys.ended, loop) === 1 || db.hlen(this.#keys.desired) > 0
  }

  #judge(key: string, hasCome: boolean, ms: number): void {
    const since = this.#missedMs.get(key)
    if (!hasCome) this.#missedMs.delete(key)
    else if (since === undefined) this.#missedMs.set(key, ms)
    else if (ms - since > this.#boundMs) {
      const name = key.slice(this.#keys.prefix.length)
      this.#report(`whoever waits at "${name}" is woken by what comes`, `it was not, for ${(ms - since) / 1_000} s`)
    }
  }
}

export const waking: MakeInvariant = context => new Waking(context)
