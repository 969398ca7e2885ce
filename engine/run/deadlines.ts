/**
 * The time limits of the nodes that run now. One timer serves a whole loop and is set anew only for a deadline earlier than
 * its own: starting and finishing a node, which happens for every hop, usually sets and clears none. The earliest limit
 * is told to whoever watches from outside, since no timer fires in an event loop that a node blocks.
 */

import { limits } from '../limits.ts'
import type { Clock } from '../ports.ts'
import type { Pulse } from './pulse.ts'
import { noReason } from './within.ts'

export type Deadline = { readonly atMs: number; readonly expire: () => void }

export class Deadlines {
  readonly #clock: Clock
  readonly #pending = new Set<Deadline>()
  #sleeper: AbortController | undefined
  #wakesAtMs = Number.POSITIVE_INFINITY

  readonly #pulse: Pulse | undefined

  constructor(clock: Clock, pulse?: Pulse) {
    this.#clock = clock
    this.#pulse = pulse
  }

  /** Calls `expire` at `atMs` of the monotonic clock unless `remove` comes first; Infinity: never, but somebody works. */
  add(atMs: number, expire: () => void): Deadline {
    const deadline = { atMs, expire }
    this.#pending.add(deadline)
    if (this.#pulse !== undefined) this.#tell(this.#pulse)
    if (deadline.atMs < this.#wakesAtMs) this.#sleep()
    return deadline
  }

  remove(deadline: Deadline): void {
    this.#pending.delete(deadline)
    if (this.#pulse !== undefined) this.#tell(this.#pulse)
  }

  /** Once nobody works any more it is the loop's turn to get on. */
  #tell(pulse: Pulse): void {
    if (this.#pending.size === 0) pulse.progress(this.#clock.monotonic())
    pulse.workUntil(this.#pending.size === 0 ? 0 : this.#earliest())
  }

  #earliest(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { atMs } of this.#pending) if (atMs < earliest) earliest = atMs
    return earliest
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
    const next = Math.min(now + limits.timerMsMax, this.#earliest())
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
    if (this.#pulse !== undefined) this.#tell(this.#pulse)
    if (this.#earliest() < Number.POSITIVE_INFINITY) this.#sleep()
  }
}
