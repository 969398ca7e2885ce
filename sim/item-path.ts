/** The way of one item through a trace: the iterations that processed it, and all that came of them. */
import { hashText } from '../engine/hash.ts'
import type { IterationLine } from '../engine/trace/trace.ts'

/** The item that an iteration processed; what its producer made itself has its id from the iteration's key. */
export function itemIdOf({ entry, key }: IterationLine): string {
  return entry === null ? hashText(key) : entry.item.id
}

/** The `prefix` of the iteration that pushed its item; undefined when its producer made it, or somebody outside did. */
export function parentOf({ entry }: IterationLine): string | undefined {
  const end = entry?.key.lastIndexOf('.') ?? -1
  return end < 0 ? undefined : entry?.key.slice(0, end)
}

export class ItemPath {
  readonly #id: string
  /** What the keys of the items that they pushed begin with. */
  readonly #prefixes = new Set<string>()

  constructor(id: string) {
    this.#id = id
  }

  /** Whether an iteration belongs to it; to be asked in the order of the trace. */
  has(line: IterationLine): boolean {
    const parent = parentOf(line)
    const isPushed = parent !== undefined && this.#prefixes.has(parent)
    if (!isPushed && itemIdOf(line) !== this.#id) return false
    this.#prefixes.add(line.prefix)
    return true
  }
}
