/**
 * What happened in one simulation, and its SHA-256: equal runs have equal hashes. The last lines are always kept, for the
 * story of a failure; all of them only when asked for. Lines are told as canonical JSON; what is hashed is the same with
 * its keys in the order in which the code sets them, for most lines are never told and sorting them would take as long
 * as all invariants.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, type Json, type JsonObject } from '../engine/json.ts'
import type { EngineEvent } from '../engine/trace/events.ts'
import type { Applied } from './server.ts'

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

/** The first line or two of an answer say what it was; entries and stamps follow in the moves. */
export function summarise(reply: unknown): string {
  const [head] = Array.isArray(reply) ? (reply as unknown[]) : [reply]
  return String(head ?? '')
}

export function traceMove({ key, kind, value }: Applied['moves'][number]): Json {
  return [kind, key.slice(key.indexOf('}:') + 2), value]
}

/** Without stacks, and of messages only those that are not the JavaScript engine's. */
export function traceEvent(event: EngineEvent): JsonObject {
  if (!('error' in event)) return event as unknown as JsonObject
  const { code, name } = event.error
  return { ...event, error: { code, name } } as unknown as JsonObject
}
