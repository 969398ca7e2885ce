/**
 * What a loop is told from outside: pause, drain, stop for good. One per loop, shared by its replicas; the runner asks
 * between iterations, so that an iteration is never cut in two.
 */
export class LoopControl {
  readonly #drain = new AbortController()
  readonly #abort = new AbortController()
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
    if (!this.#abort.signal.aborted) this.#abort.abort(reason)
  }

  /** Resolves when the loop is not paused, or is draining. */
  async permission(): Promise<void> {
    while (this.#resumed !== undefined) await this.#resumed
  }
}
