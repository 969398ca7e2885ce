/**
 * What a loop is told from outside: pause, drain, stop for good. The runner asks between iterations, so that an iteration
 * is never cut in two. There is one for each loop, and one for each replica that is being served, which follows it: a
 * replica can be stopped alone, and a worker is told what its loop is told.
 */
/** What can be told to a loop, wherever it runs. */
export interface LoopOrders {
  pause(): void
  resume(): void
  drain(): void
  abort(reason: unknown): void
}

export class LoopControl implements LoopOrders {
  readonly #drain = new AbortController()
  readonly #abort = new AbortController()
  readonly #onAbort = new Set<(reason: unknown) => void>()
  readonly #followers = new Set<LoopOrders>()
  #resumed: Promise<void> | undefined
  #resume: (() => void) | undefined

  /** Aborted when no new iteration may begin. */
  get draining(): AbortSignal {
    return this.#drain.signal
  }
  /** Aborted when the running iteration must end too: the drain timed out, or the engine was killed. */
  get aborted(): AbortSignal {
    return this.#abort.signal
  }
  get paused(): boolean {
    return this.#resumed !== undefined
  }

  pause(): void {
    if (this.paused) return
    this.#resumed = new Promise(resolve => {
      this.#resume = resolve
    })
    for (const follower of [...this.#followers]) follower.pause()
  }
  resume(): void {
    if (!this.paused) return
    this.#resume?.()
    this.#resumed = undefined
    this.#resume = undefined
    for (const follower of [...this.#followers]) follower.resume()
  }
  drain(): void {
    if (this.#drain.signal.aborted) return
    this.#drain.abort()
    this.resume()
    for (const follower of [...this.#followers]) follower.drain()
  }
  abort(reason: unknown): void {
    this.drain()
    if (this.#abort.signal.aborted) return
    this.#abort.abort(reason)
    for (const listener of [...this.#onAbort]) listener(reason)
    for (const follower of [...this.#followers]) follower.abort(reason)
  }

  /** Brings `orders` to where this one is, and hands on everything from then on, until the function it returns is called. */
  lead(orders: LoopOrders): () => void {
    this.#followers.add(orders)
    if (this.paused) orders.pause()
    if (this.#drain.signal.aborted) orders.drain()
    if (this.#abort.signal.aborted) orders.abort(this.#abort.signal.reason)
    return () => this.#followers.delete(orders)
  }

  /** Calls `abort` when the loop is aborted, at once if it is already, until what it returns is called. */
  onAbort(abort: (reason: unknown) => void): () => void {
    if (this.#abort.signal.aborted) abort(this.#abort.signal.reason)
    this.#onAbort.add(abort)
    return () => void this.#onAbort.delete(abort)
  }

  /** Resolves when the loop is not paused, or is draining. */
  async permission(): Promise<void> {
    while (this.#resumed !== undefined) await this.#resumed
  }
}
