/**
 * How soon a replica that crashed is served again: at once it is not, and after too many crashes without any progress in
 * between not at all, until somebody says so. Progress is an iteration that ended,
 * however it ended, or a look at Redis that found nothing to do.
 */
import { limits } from '../limits.ts'

export class Backoff {
  readonly #crashesMax: number
  #crashes = 0

  /** An item may take its worker down `deliveriesMax` times before it is given up: that alone must not be too often. */
  constructor(deliveriesMax: number) {
    this.#crashesMax = Math.max(limits.crashesMax, 2 * deliveriesMax)
  }

  /** Milliseconds to wait, or that it is over. */
  crashed(): number | 'given up' {
    this.#crashes += 1
    if (this.#crashes > this.#crashesMax) return 'given up'
    return Math.min(limits.producerPauseMs * 2 ** (this.#crashes - 1), limits.producerPauseMsMax)
  }

  progressed(): void {
    this.#crashes = 0
  }
}
