/**
 * How long a command may go on: until its time is used up, or somebody presses Ctrl-C; then what was found so far is
 * told. A second Ctrl-C ends the process at once.
 */

/** Taken before a simulation replaces the globals. */
const wallMs = performance.now.bind(performance)
const later = setTimeout
/** When the time is used up, what failed may still be made smaller for so long. */
const shrinkMs = 15_000

export class Patience {
  readonly startedMs = wallMs()
  readonly #budgetMs: number
  readonly #interrupt = (): void => {
    this.isInterrupted = true
    Atomics.store(this.over, 0, 1)
  }
  readonly #timer: NodeJS.Timeout | undefined
  isInterrupted = false
  /** 1 when nothing more shall be tried; threads that simulate look at it too. */
  readonly over = new Int32Array(new SharedArrayBuffer(4))

  constructor(budgetMs: number | undefined) {
    this.#budgetMs = budgetMs ?? Number.POSITIVE_INFINITY
    process.once('SIGINT', this.#interrupt)
    if (budgetMs !== undefined) this.#timer = later(() => Atomics.store(this.over, 0, 1), budgetMs + shrinkMs).unref()
  }

  /** Milliseconds of real time since the beginning. */
  tookMs(): number {
    return Math.round(wallMs() - this.startedMs)
  }

  goesOn(): boolean {
    return !this.isInterrupted && wallMs() - this.startedMs < this.#budgetMs
  }

  /** Whether what failed may be made smaller still. */
  get shrinks(): boolean {
    return Atomics.load(this.over, 0) === 0
  }

  end(): void {
    clearTimeout(this.#timer)
    process.off('SIGINT', this.#interrupt)
  }
}
