/**
 * Every draw of a simulation is a hash of the seed, what it is for, and how often that was drawn before: never the next
 * number of a stream. Cutting an event from a plan shifts no other draw.
 */
import { hashText, hashUnit } from '../engine/hash.ts'

export class Draws {
  readonly seed: string
  readonly #counts = new Map<string, number>()

  constructor(seed: string) {
    this.seed = seed
  }

  /** In [0, 1); the n-th draw of a key is the same whatever else was drawn. */
  unit(key: string): number {
    return hashUnit(`${this.seed}|${key}|${this.#next(key)}`)
  }

  /** A whole number from `min` to `max`, both included. */
  whole(key: string, min: number, max: number): number {
    if (min === max) return min
    return min + Math.floor(this.unit(key) * (max - min + 1))
  }

  chance(key: string, odds: number): boolean {
    return this.unit(key) < odds
  }

  pick<T>(key: string, values: readonly T[]): T {
    return values[Math.floor(this.unit(key) * values.length)] as T
  }

  /** 32 hex digits, never the same twice for a key. */
  text(key: string): string {
    return hashText(`${this.seed}|${key}|${this.#next(key)}`)
  }

  /** The same elements in another order: what replies without an order come in. */
  shuffled<T>(key: string, values: readonly T[]): T[] {
    const result = [...values]
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.whole(key, 0, i)
      const kept = result[i] as T
      result[i] = result[j] as T
      result[j] = kept
    }
    return result
  }

  #next(key: string): number {
    const n = this.#counts.get(key) ?? 0
    this.#counts.set(key, n + 1)
    return n
  }
}
