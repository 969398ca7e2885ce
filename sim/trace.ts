/**
 * What happened in one simulation, as canonical JSON lines and their SHA-256: equal runs have equal hashes. The last
 * lines are always kept, for the story of a failure; all of them only when asked for.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, type JsonObject } from '../engine/json.ts'

const recentMax = 400
/** Hashing a line at a time would take as long as writing it. */
const chunkLength = 65_536

export class TraceLog {
  readonly #hash = createHash('sha256')
  readonly #keep: number
  lines: string[] = []
  #unhashed = ''

  constructor(keep: 'recent' | 'all') {
    this.#keep = keep === 'all' ? Number.POSITIVE_INFINITY : recentMax
  }

  add(line: JsonObject): void {
    const text = canonicalJson(line)
    this.#unhashed += `${text}\n`
    if (this.#unhashed.length > chunkLength) this.#flush()
    this.lines.push(text)
    if (this.lines.length > 2 * this.#keep) this.lines = this.lines.slice(-this.#keep)
  }

  /** Ends the trace. */
  digest(): string {
    this.#flush()
    return this.#hash.digest('hex')
  }

  #flush(): void {
    this.#hash.update(this.#unhashed)
    this.#unhashed = ''
  }
}
