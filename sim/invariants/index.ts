/** All invariants, in the order in which they are asked, and the one object that asks them. */

import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { CallNews } from '../callers.ts'
import type { FaultKind, OperationName } from '../faults.ts'
import type { InstanceNews, LifeNews } from '../life.ts'
import type { Applied } from '../server.ts'
import { answers } from './answers.ts'
import { backPressure } from './back-pressure.ts'
import { branches } from './branches.ts'
import { check } from './check.ts'
import { completion } from './completion.ts'
import { conservation } from './conservation.ts'
import { definition } from './definition.ts'
import { development } from './development.ts'
import { drain } from './drain.ts'
import { exactlyOnce } from './exactly-once.ts'
import { failFast } from './fail-fast.ts'
import { fencing } from './fencing.ts'
import { fifo } from './fifo.ts'
import { intake } from './intake.ts'
import type { EndState, Invariant, InvariantContext, MakeInvariant, Sent, Violation } from './invariant.ts'
import { isolation } from './isolation.ts'
import { lifecycle } from './lifecycle.ts'
import { separation } from './separation.ts'
import { sequential } from './sequential.ts'
import { supervision } from './supervision.ts'
import { waking } from './waking.ts'
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
  waking,
  supervision,
  completion,
  separation,
  development,
  intake,
  answers,
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
  readonly #ofTeller = new Map<string, { own: readonly Invariant[]; told: readonly Told<'event'>[] }>()
  readonly #make: (make: MakeInvariant) => Invariant
  readonly #applied: readonly Told<'applied'>[]
  readonly #sent: readonly Told<'sent'>[]
  readonly #instance: readonly Told<'instance'>[]
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
    this.#applied = toldOf(this.#all, 'applied')
    this.#sent = toldOf(this.#all, 'sent')
    this.#instance = toldOf(this.#all, 'instance')
  }

  applied(applied: Applied): void {
    for (const invariant of this.#applied) invariant.applied(applied)
  }
  event(event: EngineEvent, teller: string): void {
    for (const invariant of this.#of(teller).told) invariant.event(event, teller)
  }
  /** A daemon or worker died: what it had begun, it never ended. */
  forget(teller: string): void {
    const ofRequests = [...this.#ofTeller.keys()].filter(each => each.startsWith(`${teller}/`))
    for (const each of [teller, ...ofRequests]) this.#ofTeller.delete(each)
    for (const invariant of this.#all) invariant.forget?.(teller)
  }
  sent(sent: Sent): void {
    for (const invariant of this.#sent) invariant.sent(sent)
  }
  life(news: LifeNews, db: Keyspace): void {
    for (const invariant of this.#all) invariant.life?.(news, db)
  }
  instance(news: InstanceNews): void {
    for (const invariant of this.#instance) invariant.instance(news)
  }
  call(news: CallNews): void {
    for (const invariant of this.#all) invariant.call?.(news)
  }
  disturbed(kind: FaultKind, at: OperationName): void {
    for (const invariant of this.#all) invariant.disturbed?.(kind, at)
  }
  async end(end: EndState): Promise<void> {
    for (const invariant of [...this.#all, ...[...this.#ofTeller.values()].flatMap(({ own }) => own)])
      if (this.violation === undefined) await invariant.end?.(end)
  }
  #of(teller: string): { own: readonly Invariant[]; told: readonly Told<'event'>[] } {
    const known = this.#ofTeller.get(teller)
    if (known !== undefined) return known
    const own = byTeller.map(this.#make)
    const made = { own, told: toldOf([...this.#ofAll, ...own], 'event') }
    this.#ofTeller.set(teller, made)
    return made
  }
  save(): () => void {
    const restores = this.#all.flatMap(invariant => invariant.save?.() ?? [])
    return () => {
      for (const restore of restores) restore()
    }
  }
}

type Hook = 'applied' | 'event' | 'sent' | 'instance'
type Told<H extends Hook> = Invariant & Required<Pick<Invariant, H>>

/** Those that want to be told of this: there is much to tell, and most want little of it. */
function toldOf<H extends Hook>(all: readonly Invariant[], hook: H): Told<H>[] {
  return all.filter((invariant): invariant is Told<H> => invariant[hook] !== undefined)
}
