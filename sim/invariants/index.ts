/** All invariants, in the order in which they are asked, and the one object that asks them. */

import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { FaultKind, OperationName } from '../faults.ts'
import type { InstanceNews, LifeNews } from '../life.ts'
import type { Applied } from '../server.ts'
import { backPressure } from './back-pressure.ts'
import { branches } from './branches.ts'
import { check } from './check.ts'
import { completion } from './completion.ts'
import { conservation } from './conservation.ts'
import { definition } from './definition.ts'
import { drain } from './drain.ts'
import { exactlyOnce } from './exactly-once.ts'
import { failFast } from './fail-fast.ts'
import { fencing } from './fencing.ts'
import { fifo } from './fifo.ts'
import type { EndState, Invariant, InvariantContext, MakeInvariant, Sent, Violation } from './invariant.ts'
import { isolation } from './isolation.ts'
import { lifecycle } from './lifecycle.ts'
import { sequential } from './sequential.ts'
import { supervision } from './supervision.ts'
import { wishes } from './wishes.ts'

export const allInvariants: readonly MakeInvariant[] = [
  conservation,
  fencing,
  definition,
  wishes,
  fifo,
  sequential,
  branches,
  failFast,
  backPressure,
  drain,
  lifecycle,
  isolation,
  supervision,
  completion,
  check,
  exactlyOnce,
]

/** What these are told by one daemon or worker is kept apart from what they are told by another. */
const byTeller: readonly MakeInvariant[] = [sequential, branches, failFast]

/** The invariants of one run. What they find first stays. */
export class Invariants {
  readonly #all: readonly Invariant[]
  /** Those of `#all` that are told the events of everybody. */
  readonly #ofAll: readonly Invariant[]
  readonly #ofTeller = new Map<string, readonly Invariant[]>()
  readonly #make: (make: MakeInvariant) => Invariant
  violation: Violation | undefined

  constructor(context: Omit<InvariantContext, 'report'>) {
    this.#make = make => {
      const report = (expected: string, seen: string): void => {
        this.violation ??= { invariant: invariant.name, expected, seen }
      }
      const invariant: Invariant = make({ ...context, report })
      return invariant
    }
    this.#all = allInvariants.map(this.#make)
    this.#ofAll = this.#all.filter((_, i) => !byTeller.includes(allInvariants[i] as MakeInvariant))
  }

  applied(applied: Applied): void {
    for (const invariant of this.#all) invariant.applied?.(applied)
  }
  event(event: EngineEvent, teller: string): void {
    for (const invariant of [...this.#ofAll, ...this.#of(teller)]) invariant.event?.(event, teller)
  }
  /** A daemon or worker died: what it had begun, it never ended. */
  forget(teller: string): void {
    this.#ofTeller.delete(teller)
    for (const invariant of this.#all) invariant.forget?.(teller)
  }
  sent(sent: Sent): void {
    for (const invariant of this.#all) invariant.sent?.(sent)
  }
  life(news: LifeNews, db: Keyspace): void {
    for (const invariant of this.#all) invariant.life?.(news, db)
  }
  instance(news: InstanceNews): void {
    for (const invariant of this.#all) invariant.instance?.(news)
  }
  disturbed(kind: FaultKind, at: OperationName): void {
    for (const invariant of this.#all) invariant.disturbed?.(kind, at)
  }
  async end(end: EndState): Promise<void> {
    for (const invariant of [...this.#all, ...[...this.#ofTeller.values()].flat()])
      if (this.violation === undefined) await invariant.end?.(end)
  }
  #of(teller: string): readonly Invariant[] {
    const known = this.#ofTeller.get(teller) ?? byTeller.map(this.#make)
    this.#ofTeller.set(teller, known)
    return known
  }
  save(): () => void {
    const restores = this.#all.map(invariant => invariant.save?.())
    return () => {
      for (const restore of restores) restore?.()
    }
  }
}
