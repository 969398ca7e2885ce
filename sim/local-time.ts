/**
 * Time as one daemon has it. Its timers can be paused with it: the world goes on, and when it wakes up, everything it
 * waited for is as far away as before, and its clocks stand where they stood. Its wall clock may be set wrong, or run
 * too fast.
 *
 * L1 nothing of a paused or dead daemon fires. L2 `monotonicMs` never goes back, whatever happens to the wall clock.
 */
import { type Cancel, epochMs, type SimTime } from './clock.ts'

/** What is needed of time to act in it. */
export interface Time {
  readonly isPaused: boolean
  monotonicMs(): number
  wall(): number
  after(ms: number, run: () => void): Cancel
  /** Runs once the wall clock here shows `epochMs`, however it gets there. */
  until(epochMs: number, run: () => void): Cancel
  end(): void
}

type Timer = { run: () => void; untilMs: number; restMs: number; stop: Cancel }

export class LocalTime implements Time {
  readonly #world: SimTime
  readonly #timers = new Set<Timer>()
  /** What waits for the wall clock: called when that was set. */
  readonly #untils = new Set<() => void>()
  #state: 'runs' | 'paused' | 'over' = 'runs'
  #pausedMs = 0
  #sleptMs = 0
  #wall: { offsetMs: number; rate: number; sinceMs: number }

  constructor(world: SimTime) {
    this.#world = world
    this.#wall = { offsetMs: 0, rate: 0, sinceMs: world.ms }
  }

  get isPaused(): boolean {
    return this.#state === 'paused'
  }

  /** Milliseconds since the simulation began, without those it was paused. */
  monotonicMs(): number {
    return (this.isPaused ? this.#pausedMs : this.#world.ms) - this.#sleptMs
  }

  /** Epoch milliseconds. */
  wall(): number {
    const { offsetMs, rate, sinceMs } = this.#wall
    const ms = this.monotonicMs()
    return epochMs + ms + offsetMs + Math.trunc((ms - sinceMs) * rate)
  }

  /** Sets the wall clock wrong by so many milliseconds more. */
  jump(ms: number): void {
    this.#setWall(ms, this.#wall.rate)
  }

  /** From now on the wall clock gains this part of the time that passes: 0.01 are 10 ms a second. */
  drift(rate: number): void {
    this.#setWall(0, rate)
  }

  after(ms: number, run: () => void): Cancel {
    if (this.#state === 'over') return () => undefined
    const timer: Timer = { run, untilMs: 0, restMs: Math.max(1, Math.ceil(ms)), stop: () => undefined }
    this.#timers.add(timer)
    if (this.#state === 'runs') this.#arm(timer)
    return () => {
      timer.stop()
      this.#timers.delete(timer)
    }
  }

  until(epochMs: number, run: () => void): Cancel {
    let stop: Cancel = () => undefined
    const cancel = (): void => {
      stop()
      this.#untils.delete(arm)
    }
    const arm = (): void => {
      stop()
      const leftMs = (epochMs - this.wall()) / (1 + this.#wall.rate)
      stop = this.after(leftMs, () => {
        if (this.wall() < epochMs) return arm()
        cancel()
        run()
      })
    }
    this.#untils.add(arm)
    arm()
    return cancel
  }

  pause(): void {
    if (this.#state !== 'runs') return
    this.#pausedMs = this.#world.ms
    this.#state = 'paused'
    for (const timer of this.#timers) {
      timer.stop()
      timer.restMs = Math.max(1, timer.untilMs - this.#world.ms)
    }
  }

  wake(): void {
    if (this.#state !== 'paused') return
    this.#sleptMs += this.#world.ms - this.#pausedMs
    this.#state = 'runs'
    for (const timer of this.#timers) this.#arm(timer)
  }

  /** The daemon died. */
  end(): void {
    this.#state = 'over'
    for (const timer of this.#timers) timer.stop()
    this.#timers.clear()
    this.#untils.clear()
  }

  #arm(timer: Timer): void {
    timer.untilMs = this.#world.ms + timer.restMs
    timer.stop = this.#world.after(timer.restMs, () => {
      this.#timers.delete(timer)
      timer.run()
    })
  }

  #setWall(moreMs: number, rate: number): void {
    const offsetMs = this.wall() - epochMs - this.monotonicMs() + moreMs
    this.#wall = { offsetMs, rate, sinceMs: this.monotonicMs() }
    for (const arm of [...this.#untils]) arm()
  }
}

/**
 * The time of one worker: the clocks of the process that it lives in, and timers of its own, which end with it or stand
 * still for ever when its event loop does.
 */
export class WorkerTime implements Time {
  readonly #process: LocalTime
  readonly #cancels = new Set<Cancel>()
  #state: 'runs' | 'stuck' | 'over' = 'runs'

  constructor(process: LocalTime) {
    this.#process = process
  }

  get isPaused(): boolean {
    return this.#state === 'stuck' || this.#process.isPaused
  }
  monotonicMs(): number {
    return this.#process.monotonicMs()
  }
  wall(): number {
    return this.#process.wall()
  }

  after(ms: number, run: () => void): Cancel {
    return this.#own(run, mine => this.#process.after(ms, mine))
  }
  until(epochMs: number, run: () => void): Cancel {
    return this.#own(run, mine => this.#process.until(epochMs, mine))
  }

  #own(run: () => void, set: (run: () => void) => Cancel): Cancel {
    if (this.#state === 'over') return () => undefined
    const stop = set(() => {
      this.#cancels.delete(cancel)
      if (this.#state === 'runs') run()
    })
    const cancel = (): void => {
      stop()
      this.#cancels.delete(cancel)
    }
    this.#cancels.add(cancel)
    return cancel
  }

  /** Nothing fires any more. */
  stick(): void {
    if (this.#state === 'runs') this.#state = 'stuck'
  }

  end(): void {
    this.#state = 'over'
    for (const cancel of this.#cancels) cancel()
  }
}
