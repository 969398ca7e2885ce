/** The way of one item through a trace: the iterations that processed it, and all that came of them. */
import { hashText } from '../engine/hash.ts'
import type { IterationLine } from '../engine/trace/trace.ts'

export class ItemPath {
  readonly #id: string
  /** What the keys of the items that they pushed begin with. */
  readonly #prefixes = new Set<string>()

  constructor(id: string) {
    this.#id = id
  }

  /** Whether an iteration belongs to it; to be asked in the order of the trace. */
  has({ entry, key, prefix }: IterationLine): boolean {
    const isOwn = entry === null ? hashText(key) === this.#id : entry.item.id === this.#id
    const parent = entry?.key.slice(0, entry.key.lastIndexOf('.'))
    if (!isOwn && (parent === undefined || !this.#prefixes.has(parent))) return false
    this.#prefixes.add(prefix)
    return true
  }
}
