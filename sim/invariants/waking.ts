/**
 * A replica that waits is woken by what it waits for: by an item in one of its queues, or by space in the queue that was
 * full; looking all the same after a while is for accidents only. Judged where a loop has one replica, as long as no
 * fault strikes, no daemon stands still and nobody has paused anything.
 */
import type { FlowLoop } from '../../engine/graph/flow-graph.ts'
import { limits } from '../../engine/limits.ts'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { keysOf, replicaName, requeueQueue } from '../../engine/store/keys.ts'
import type { FaultKind, OperationName } from '../faults.ts'
import type { LifeNews } from '../life.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** How often the loops are looked at. */
const lookMs = 1_000

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
  #nextLookMs = 0

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
    this.#queues = graph.queues.map(({ name }) => name)
    this.#loops = graph.loops.filter(({ replicas }) => replicas === 1)
    this.#boundMs = (graph.workflow.settings.lease_seconds * 1_000 * (limits.idleLookMs / limits.leaseMs)) / 2
  }

  applied({ op, loop, args, outcome, ms, db }: Applied): void {
    if (op === 'wait' && outcome.ok && outcome.reply === null) this.#waiting.add(args[0] as string)
    else if (loop !== '' && op !== 'wake') this.#acts(loop)
    if (ms < this.#nextLookMs) return
    this.#nextLookMs = ms + lookMs
    for (const each of this.#loops) this.#look(each, db, ms)
  }

  disturbed(kind: FaultKind, { loop }: OperationName): void {
    if (kind === 'worker-hang') this.#hung.add(loop)
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

  #look({ id, sources }: FlowLoop, db: Keyspace, ms: number): void {
    const room = this.#keys.room(replicaName(id, 0))
    const isEnded = db.hexists(this.#keys.ended, id) === 1
    const isExcused = isEnded || this.#hung.has(id) || this.#paused.size > 0 || db.hlen(this.#keys.desired) > 0
    const hasItems = [...sources, requeueQueue(id)].some(queue => db.llen(this.#keys.queue(queue)) > 0)
    const isInLine = this.#queues.some(queue => db.sismember(this.#keys.full(queue), replicaName(id, 0)) === 1)
    this.#judge(this.#keys.bell(id), hasItems && !isExcused, ms)
    this.#judge(room, !isInLine && !isExcused, ms)
  }

  #judge(key: string, hasCome: boolean, ms: number): void {
    const since = this.#missedMs.get(key)
    if (!hasCome || !this.#waiting.has(key)) this.#missedMs.delete(key)
    else if (since === undefined) this.#missedMs.set(key, ms)
    else if (ms - since > this.#boundMs) {
      const name = key.slice(this.#keys.prefix.length)
      this.#report(`whoever waits at "${name}" is woken by what comes`, `it was not, for ${(ms - since) / 1_000} s`)
    }
  }
}

export const waking: MakeInvariant = context => new Waking(context)
