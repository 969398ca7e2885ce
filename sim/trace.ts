/**
 * What happened in one simulation, as canonical JSON lines and their SHA-256: equal runs have equal hashes. The last
 * lines are always kept, for the story of a failure; all of them only when asked for.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, type JsonObject } from '../engine/json.ts'

const recentMax = 400

export class TraceLog {
  readonly #hash = createHash('sha256')
  readonly #keep: number
  lines: string[] = []

  constructor(keep: 'recent' | 'all') {
    this.#keep = keep === 'all' ? Number.POSITIVE_INFINITY : recentMax
  }

  add(line: JsonObject): void {
    const text = canonicalJson(line)
    this.#hash.update(text).update('\n')
    this.lines.push(text)
    if (this.lines.length > 2 * this.#keep) this.lines = this.lines.slice(-this.#keep)
  }

  /** Ends the trace. */
  digest(): string {
    return this.#hash.digest('hex')
  }
}
