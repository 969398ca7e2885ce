/**
 * What happened in one simulation, and its SHA-256: equal runs have equal hashes. The last lines are always kept, for the
 * story of a failure; all of them only when asked for. Lines are told as canonical JSON; what is hashed is the same with
 * its keys in the order in which the code sets them, for most lines are never told and sorting them would take as long
 * as all invariants.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, type JsonObject } from '../engine/json.ts'

const recentMax = 400
/** Hashing a line at a time would take as long as writing it. */
const chunkLength = 65_536

export class TraceLog {
  readonly #hash = createHash('sha256')
  readonly #keep: number
  #lines: JsonObject[] = []
  #unhashed = ''

  constructor(keep: 'recent' | 'all') {
    this.#keep = keep === 'all' ? Number.POSITIVE_INFINITY : recentMax
  }

  /** `line` is never changed any more. */
  add(line: JsonObject): void {
    this.#unhashed += `${JSON.stringify(line)}\n`
    if (this.#unhashed.length > chunkLength) this.#flush()
    this.#lines.push(line)
    if (this.#lines.length > 2 * this.#keep) this.#lines = this.#lines.slice(-this.#keep)
  }

  /** As canonical JSON. */
  lines(): string[] {
    return this.#lines.map(canonicalJson)
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
