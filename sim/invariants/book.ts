/**
 * A map that can go back in time. A server that may lose writes asks for a copy of all books at nearly every operation,
 * and hardly ever goes back to one: so changes are noted, and undone, instead of copying what did not change.
 *
 * B1 whoever went back to a copy cannot go to one that was made after it.
 */
export class Book<K, V> extends Map<K, V> {
  readonly #changes: { key: K; before: V | undefined }[] = []

  override set(key: K, value: V): this {
    this.#changes.push({ key, before: this.get(key) })
    return super.set(key, value)
  }

  override delete(key: K): boolean {
    if (!this.has(key)) return false
    this.#changes.push({ key, before: this.get(key) })
    return super.delete(key)
  }

  override clear(): void {
    for (const key of [...this.keys()]) this.delete(key)
  }

  /** A copy, as it were; calling it goes back to it. */
  save(): () => void {
    const upTo = this.#changes.length
    return () => {
      for (const { key, before } of this.#changes.splice(upTo).reverse()) {
        if (before === undefined) super.delete(key)
        else super.set(key, before)
      }
    }
  }
}
