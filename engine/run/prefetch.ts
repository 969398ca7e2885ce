/**
 * How many items a loop holds ahead: about 100 ms of its work, so that a fast loop claims in groups and a slow one does not
 * hoard what other replicas could do. Grows at most twofold at a time: one quick item says little.
 */
import { limits } from '../limits.ts'

export class Prefetch {
  #averageMs = 0
  #target = 1

  /** Items to hold, from 1 to `limits.prefetchMax`. */
  get target(): number {
    return this.#target
  }

  /** An iteration took so long. */
  note(durationMs: number): void {
    this.#averageMs = this.#averageMs * 0.8 + durationMs * 0.2
    const fitting = Math.floor(limits.prefetchMs / Math.max(this.#averageMs, 0.001))
    this.#target = Math.max(1, Math.min(fitting, this.#target * 2, limits.prefetchMax))
  }
}
