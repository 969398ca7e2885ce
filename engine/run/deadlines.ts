/**
 * The time limits of the nodes that run now. One timer serves a whole loop and is set anew only for a deadline earlier than
 * its own: starting and finishing a node, which happens for every hop, usually sets and clears none. The earliest limit
 * is told to whoever watches from outside, since no timer fires in an event loop that a node blocks.
 */

import { limits } from '../limits.ts'
import type { Clock } from '../ports.ts'
import type { Pulse } from './pulse.ts'
import { takeOut } from './take-out.ts'
import { noReason } from './within.ts'

/** `atMs` of the monotonic clock; Infinity: never, but somebody works. */
export interface Deadline {
  readonly atMs: number
  expire(): void
}

export class Deadlines {
  readonly #clock: Clock
  /** Few at a time: those of one iteration. */
  readonly #pending: Deadline[] = []
  #sleeper: AbortController | undefined
  #wakesAtMs = Number.POSITIVE_INFINITY

  readonly #pulse: Pulse | undefined

  constructor(clock: Clock, pulse?: Pulse) {
    this.#clock = clock
    this.#pulse = pulse
  }

  /** Calls `expire` at its time unless `remove` comes first. */
  add(deadline: Deadline): void {
    this.#pending.push(deadline)
    if (this.#pulse !== undefined) this.#tell(this.#pulse)
    if (deadline.atMs < this.#wakesAtMs) this.#sleep()
  }

  remove(deadline: Deadline): void {
    if (!takeOut(this.#pending, deadline)) return
    if (this.#pulse !== undefined) this.#tell(this.#pulse)
  }

  /** Once nobody works any more it is the loop's turn to get on. */
  #tell(pulse: Pulse): void {
    if (this.#pending.length === 0) pulse.progress(this.#clock.monotonic())
    pulse.workUntil(this.#pending.length === 0 ? 0 : this.#earliest())
  }

  #earliest(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { atMs } of this.#pending) if (atMs < earliest) earliest = atMs
    return earliest
  }

  /** Drops the timer and everything pending. */
  close(): void {
    this.#pending.length = 0
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
      this.remove(deadline)
      deadline.expire()
    }
    if (this.#earliest() < Number.POSITIVE_INFINITY) this.#sleep()
  }
}
