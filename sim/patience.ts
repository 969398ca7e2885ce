/**
 * How long a command may go on: until its time is used up, or somebody presses Ctrl-C; then what was found so far is
 * told. A second Ctrl-C ends the process at once.
 */

/** Taken before a simulation replaces the globals. */
const wallMs = performance.now.bind(performance)

export class Patience {
  readonly startedMs = wallMs()
  readonly #budgetMs: number
  readonly #interrupt = (): void => {
    this.isInterrupted = true
  }
  isInterrupted = false

  constructor(budgetMs: number | undefined) {
    this.#budgetMs = budgetMs ?? Number.POSITIVE_INFINITY
    process.once('SIGINT', this.#interrupt)
  }

  /** Milliseconds of real time since the beginning. */
  tookMs(): number {
    return Math.round(wallMs() - this.startedMs)
  }

  goesOn(): boolean {
    return !this.isInterrupted && wallMs() - this.startedMs < this.#budgetMs
  }

  end(): void {
    process.off('SIGINT', this.#interrupt)
  }
}
