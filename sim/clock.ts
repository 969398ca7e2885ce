/**
 * Simulated time: one queue of timers, stepped by whoever runs the world. Between two timers everything that was set
 * free runs to its end; the real `setImmediate` tells when (draining by counting microtasks gave wrong orders).
 *
 * T1 time moves only in `next`. T2 timers of one instant fire in the order in which they were set. T3 nothing is ever
 * scheduled for this very instant: a latency is at least one millisecond.
 */
import { createClock } from '@sinonjs/fake-timers'

/** Taken before anybody fakes it. */
const afterMicrotasks = setImmediate

/** 2026-01-01T00:00:00Z: where simulated wall clocks begin, in epoch milliseconds. */
export const epochMs = 1_767_225_600_000

/** What a timer of a host holds; longer ones are split. */
const hostTimerMsMax = 2_147_483_647

export type Cancel = () => void

export class SimTime {
  readonly #clock = createClock(0)
  #pending = 0

  /** Milliseconds since the simulation began. */
  get ms(): number {
    return this.#clock.now
  }

  /** The wall clock, epoch milliseconds. */
  wall(): number {
    return epochMs + this.#clock.now
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#pending
  }

  after(ms: number, run: () => void): Cancel {
    this.#pending += 1
    let waiting = true
    const settle = (): boolean => {
      if (!waiting) return false
      waiting = false
      this.#pending -= 1
      return true
    }
    const arm = (restMs: number) => {
      const partMs = Math.min(restMs, hostTimerMsMax)
      return this.#clock.setTimeout(() => {
        if (restMs > partMs) timer = arm(restMs - partMs)
        else if (settle()) run()
      }, partMs)
    }
    let timer = arm(Math.max(1, Math.ceil(ms)))
    return () => {
      if (settle()) this.#clock.clearTimeout(timer)
    }
  }

  /** Fires the next timer; false when there is none. */
  next(): boolean {
    if (this.#pending === 0) return false
    this.#clock.next()
    return true
  }
}

/** Resolves when everything that can run without time passing has run. */
export function settled(): Promise<void> {
  return new Promise(resolve => afterMicrotasks(resolve))
}
