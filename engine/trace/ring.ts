/** The last few of something, for whoever looks: memory that does not grow with history. */
export class Ring<T> {
  readonly #max: number
  #items: T[] = []
  #next = 0
  #total = 0

  constructor(max: number) {
    this.#max = max
  }

  push(item: T): void {
    if (this.#items.length < this.#max) this.#items.push(item)
    else this.#items[this.#next] = item
    this.#next = (this.#next + 1) % this.#max
    this.#total += 1
  }

  /** How many were ever pushed. */
  get total(): number {
    return this.#total
  }

  /** Those still remembered, the oldest first. */
  toArray(): T[] {
    if (this.#items.length < this.#max) return [...this.#items]
    return [...this.#items.slice(this.#next), ...this.#items.slice(0, this.#next)]
  }
}
