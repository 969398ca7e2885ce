/**
 * The time limits of the nodes that run now. One timer serves a whole loop, set for the earliest deadline it knew when it
 * was set: starting and finishing a node, which happens for every hop, sets and clears none.
 */

import { limits } from '../limits.ts'
import type { Clock } from '../ports.ts'

export type Deadline = { readonly atMs: number; readonly expire: () => void }

export class Deadlines {
  readonly #clock: Clock
  readonly #pending = new Set<Deadline>()
  #sleeper: AbortController | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `expire` after `ms` unless `remove` comes first. */
  add(ms: number, expire: () => void): Deadline {
    const deadline = { atMs: this.#clock.monotonic() + ms, expire }
    this.#pending.add(deadline)
    if (this.#sleeper === undefined) this.#sleep()
    return deadline
  }

  remove(deadline: Deadline): void {
    this.#pending.delete(deadline)
  }

  /** Drops the timer and everything pending. */
  close(): void {
    this.#pending.clear()
    this.#sleeper?.abort()
    this.#sleeper = undefined
  }

  #sleep(): void {
    const sleeper = new AbortController()
    this.#sleeper = sleeper
    let next = Number.POSITIVE_INFINITY
    for (const { atMs } of this.#pending) next = Math.min(next, atMs)
    const ms = Math.min(Math.max(0, next - this.#clock.monotonic()), limits.timerMsMax)
    this.#clock.sleep(ms, sleeper.signal).then(
      () => this.#wake(),
      () => undefined,
    )
  }

  #wake(): void {
    this.#sleeper = undefined
    const now = this.#clock.monotonic()
    for (const deadline of [...this.#pending]) {
      if (deadline.atMs > now) continue
      this.#pending.delete(deadline)
      deadline.expire()
    }
    if (this.#pending.size > 0) this.#sleep()
  }
}
