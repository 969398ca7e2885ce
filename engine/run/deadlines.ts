/**
 * The time limits of the nodes that run now. One timer serves a whole loop and is set anew only for a deadline earlier than
 * its own: starting and finishing a node, which happens for every hop, usually sets and clears none.
 */

import { limits } from '../limits.ts'
import type { Clock } from '../ports.ts'
import { noReason } from './within.ts'

export type Deadline = { readonly atMs: number; readonly expire: () => void }

export class Deadlines {
  readonly #clock: Clock
  readonly #pending = new Set<Deadline>()
  #sleeper: AbortController | undefined
  #wakesAtMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Calls `expire` at `atMs` of the monotonic clock unless `remove` comes first. */
  add(atMs: number, expire: () => void): Deadline {
    const deadline = { atMs, expire }
    this.#pending.add(deadline)
    if (deadline.atMs < this.#wakesAtMs) this.#sleep()
    return deadline
  }

  remove(deadline: Deadline): void {
    this.#pending.delete(deadline)
  }

  /** Drops the timer and everything pending. */
  close(): void {
    this.#pending.clear()
    this.#stopSleeping()
  }

  #stopSleeping(): void {
    this.#sleeper?.abort(noReason)
    this.#sleeper = undefined
    this.#wakesAtMs = Number.POSITIVE_INFINITY
  }

  #sleep(): void {
    this.#stopSleeping()
    const sleeper = new AbortController()
    const now = this.#clock.monotonic()
    let next = now + limits.timerMsMax
    for (const { atMs } of this.#pending) next = Math.min(next, atMs)
    this.#sleeper = sleeper
    this.#wakesAtMs = next
    this.#clock.sleep(Math.max(0, next - now), sleeper.signal).then(
      () => this.#wake(),
      () => undefined,
    )
  }

  #wake(): void {
    this.#stopSleeping()
    const now = this.#clock.monotonic()
    for (const deadline of [...this.#pending]) {
      if (deadline.atMs > now) continue
      this.#pending.delete(deadline)
      deadline.expire()
    }
    if (this.#pending.size > 0) this.#sleep()
  }
}
