/**
 * What the embedded and the simulated Redis have in common beyond their keys: one operation at a time, each at one
 * moment of the server's clock, and wake-ups for those who wait on a list. Whoever uses it adds what differs: a journal
 * and a real clock, or latency and faults.
 *
 * S1 an operation is synchronous, so nothing comes between its first look and its last write.
 * S2 an element goes to one waiter only, the one that has waited longest; it is taken in the turn of the push.
 */
import type { Reply, Script } from '../ports.ts'
import { Keyspace } from './keyspace.ts'

/** What an operation did: its reply or what it threw, and whether any key was written (even if it threw). */
export type Outcome<T> = { readonly changed: boolean } & (
  | { readonly ok: true; readonly reply: T }
  | { readonly ok: false; readonly error: unknown }
)

export class MemoryServer {
  readonly db: Keyspace
  #timeMs = 0
  readonly #parked = new Map<string, Set<() => void>>()
  readonly #pushed = new Set<string>()

  constructor() {
    this.db = new Keyspace(() => this.#timeMs)
    this.db.onPush = key => {
      if (this.#parked.has(key)) this.#pushed.add(key)
    }
  }

  /** Runs one operation at `timeMs` (epoch milliseconds of the server's clock). Never throws. */
  run<T>(timeMs: number, operation: (db: Keyspace) => T): Outcome<T> {
    this.#timeMs = timeMs
    this.db.beginScript()
    try {
      const reply = operation(this.db)
      return { ok: true, reply, changed: this.db.changed }
    } catch (error) {
      return { ok: false, error, changed: this.db.changed }
    }
  }

  runScript(timeMs: number, script: Script, keys: readonly string[], args: readonly string[]): Outcome<Reply> {
    return this.run(timeMs, db => script.run(db, keys, args))
  }

  /** Calls `wake` once when an element of the list at `key` was taken for it; returns how to stop waiting. */
  park(key: string, wake: () => void): () => void {
    const waiting = this.#parked.get(key) ?? new Set()
    this.#parked.set(key, waiting)
    waiting.add(wake)
    return () => {
      waiting.delete(wake)
      if (waiting.size === 0 && this.#parked.get(key) === waiting) this.#parked.delete(key)
    }
  }

  /** Serves the waiters of all lists pushed to since the last call; `taken` is told the key of each element taken. */
  deliver(timeMs: number, taken: (key: string) => void): void {
    for (const key of this.#pushed) {
      this.#pushed.delete(key)
      for (const wake of this.#parked.get(key) ?? []) {
        const outcome = this.run(timeMs, db => db.lpop(key))
        if (!outcome.ok || outcome.reply === null) break
        taken(key)
        this.#unpark(key, wake)
        wake()
      }
    }
  }

  #unpark(key: string, wake: () => void): void {
    const waiting = this.#parked.get(key)
    waiting?.delete(wake)
    if (waiting?.size === 0) this.#parked.delete(key)
  }
}
