/** All invariants, in the order in which they are asked, and the one object that asks them. */
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { Applied } from '../server.ts'
import { backPressure } from './back-pressure.ts'
import { branches } from './branches.ts'
import { completion } from './completion.ts'
import { conservation } from './conservation.ts'
import { exactlyOnce } from './exactly-once.ts'
import { failFast } from './fail-fast.ts'
import { fencing } from './fencing.ts'
import { fifo } from './fifo.ts'
import type { EndState, Invariant, InvariantContext, MakeInvariant, Violation } from './invariant.ts'
import { sequential } from './sequential.ts'

export const allInvariants: readonly MakeInvariant[] = [
  conservation,
  fencing,
  fifo,
  sequential,
  branches,
  failFast,
  backPressure,
  completion,
  exactlyOnce,
]

/** The invariants of one run. What they find first stays. */
export class Invariants {
  readonly #all: readonly Invariant[]
  violation: Violation | undefined

  constructor(context: Omit<InvariantContext, 'report'>) {
    this.#all = allInvariants.map(make => {
      const report = (expected: string, seen: string): void => {
        this.violation ??= { invariant: invariant.name, expected, seen }
      }
      const invariant: Invariant = make({ ...context, report })
      return invariant
    })
  }

  applied(applied: Applied): void {
    for (const invariant of this.#all) invariant.applied?.(applied)
  }
  event(event: EngineEvent): void {
    for (const invariant of this.#all) invariant.event?.(event)
  }
  reborn(): void {
    for (const invariant of this.#all) invariant.reborn?.()
  }
  end(end: EndState): void {
    for (const invariant of this.#all) if (this.violation === undefined) invariant.end?.(end)
  }
  save(): () => void {
    const restores = this.#all.map(invariant => invariant.save?.())
    return () => {
      for (const restore of restores) restore?.()
    }
  }
}
