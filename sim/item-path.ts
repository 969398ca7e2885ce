/** The way of one item through traces: the iterations that processed it, and all that came of them. */
import { hashText } from '../engine/hash.ts'
import type { IterationLine } from '../engine/trace/trace.ts'
import { readTrace } from './read-trace.ts'
import { traceLines } from './trace-lines.ts'

/** The item that an iteration processed; what its producer made itself has its id from the iteration's key. */
export function itemIdOf({ entry, key }: IterationLine): string {
  return entry === null ? hashText(key) : entry.item.id
}

/** The `prefix` of the iteration that pushed its item; undefined when its producer made it, or somebody outside did. */
export function parentOf({ entry }: IterationLine): string | undefined {
  const end = entry?.key.lastIndexOf('.') ?? -1
  return end < 0 ? undefined : entry?.key.slice(0, end)
}

/** The key of the iteration that a dead letter came of; undefined when it is no id of one. */
export function deadLetterKey(id: string): string | undefined {
  return id.startsWith('dl-') ? id.slice('dl-'.length) : undefined
}

/** As data, for another thread. */
export type KnownPath = { ids: string[]; prefixes: string[] }

export class ItemPath {
  /** Of the item; and of the one that a dead letter holds, once that was found. */
  readonly #ids: Set<string>
  readonly #deadLetter: string | undefined
  /** What the keys of the items that they pushed begin with. */
  readonly #prefixes: Set<string>

  /** `id` is of an item, or of a dead letter (`dl-…`), whose item it then is. */
  constructor(id: string | KnownPath) {
    const known = typeof id === 'string' ? { ids: [id], prefixes: [] } : id
    this.#ids = new Set(known.ids)
    this.#deadLetter = typeof id === 'string' ? deadLetterKey(id) : undefined
    this.#prefixes = new Set(known.prefixes)
  }

  get known(): KnownPath {
    return { ids: [...this.#ids], prefixes: [...this.#prefixes] }
  }

  /** How much of it was found. */
  get size(): number {
    return this.#ids.size + this.#prefixes.size
  }

  /** Whether an iteration belongs to it, as far as it is known by now; from then on, what it pushed does. */
  has(line: IterationLine): boolean {
    const parent = parentOf(line)
    const isPushed = parent !== undefined && this.#prefixes.has(parent)
    if (line.key === this.#deadLetter) this.#ids.add(itemIdOf(line))
    if (!isPushed && !this.#ids.has(itemIdOf(line))) return false
    this.#prefixes.add(line.prefix)
    return true
  }
}

/**
 * The way of an item through traces in whatever order: what it became in one file may stand in another that comes first.
 * They are read until nothing more of it is found. Rejects as `readTrace` does.
 */
export async function pathThrough(files: readonly string[], id: string): Promise<ItemPath> {
  const path = new ItemPath(id)
  const read = ({ iteration }: { iteration: IterationLine | undefined }): void => {
    if (iteration !== undefined) path.has(iteration)
  }
  let known: number
  do {
    known = path.size
    for (const file of files) await readTrace(traceLines(file), file, () => ({ read }))
  } while (path.size > known)
  return path
}
