/**
 * What a loop is told from outside: pause, drain, stop for good. One per loop, shared by its replicas; the runner asks
 * between iterations, so that an iteration is never cut in two.
 */
export class LoopControl {
  readonly #drain = new AbortController()
  readonly #abort = new AbortController()
  readonly #onAbort = new Set<(reason: unknown) => void>()
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
    this.#resumed ??= new Promise(resolve => {
      this.#resume = resolve
    })
  }
  resume(): void {
    this.#resume?.()
    this.#resumed = undefined
    this.#resume = undefined
  }
  drain(): void {
    this.#drain.abort()
    this.resume()
  }
  abort(reason: unknown): void {
    this.drain()
    if (this.#abort.signal.aborted) return
    this.#abort.abort(reason)
    for (const listener of [...this.#onAbort]) listener(reason)
  }

  /** Runs `work`, calling `abort` if the loop is aborted meanwhile (a set of listeners: this happens for every item). */
  async abortable<T>(work: Promise<T>, abort: (reason: unknown) => void): Promise<T> {
    if (this.#abort.signal.aborted) abort(this.#abort.signal.reason)
    this.#onAbort.add(abort)
    try {
      return await work
    } finally {
      this.#onAbort.delete(abort)
    }
  }

  /** Resolves when the loop is not paused, or is draining. */
  async permission(): Promise<void> {
    while (this.#resumed !== undefined) await this.#resumed
  }
}
