/**
 * Simulated time: one queue of timers, stepped by whoever runs the world. Between two timers everything that was set
 * free runs to its end; a real `nextTick` tells when, for Node runs it once no promise has anything left to do (counting
 * microtasks gave wrong orders). The queue is a heap of our own: with `setImmediate` and fake-timers a step cost four
 * times as much, and an idle world is nothing but steps.
 *
 * T1 time moves only in `next`. T2 timers of one instant fire in the order in which they were set. T3 nothing is ever
 * scheduled for this very instant: a latency is at least one millisecond.
 */

/** Taken before anybody fakes them. */
const afterMicrotasks = process.nextTick
const afterTurn = setImmediate

/** 2026-01-01T00:00:00Z: where simulated wall clocks begin, in epoch milliseconds. */
export const epochMs = 1_767_225_600_000

export type Cancel = () => void

/** `run` is gone once it has fired or was cancelled. */
type Timer = { readonly ms: number; readonly order: number; run: (() => void) | undefined }

export class SimTime {
  /** A heap: no timer is earlier than the one at half its place. What was cancelled lies there until its turn comes. */
  #heap: Timer[] = []
  #ms = 0
  #set = 0
  #pending = 0

  /** Milliseconds since the simulation began. */
  get ms(): number {
    return this.#ms
  }

  /** The wall clock, epoch milliseconds. */
  wall(): number {
    return epochMs + this.#ms
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#pending
  }

  after(ms: number, run: () => void): Cancel {
    const timer: Timer = { ms: this.#ms + Math.max(1, Math.ceil(ms)), order: this.#set++, run }
    this.#pending += 1
    this.#rise(timer)
    return () => {
      if (timer.run === undefined) return
      timer.run = undefined
      this.#pending -= 1
      if (this.#heap.length > 4 * this.#pending + 64) this.#sweep()
    }
  }

  /** Fires the next timer; false when there is none. */
  next(): boolean {
    for (;;) {
      const timer = this.#pop()
      if (timer === undefined) return false
      const { run } = timer
      if (run === undefined) continue
      timer.run = undefined
      this.#pending -= 1
      this.#ms = timer.ms
      run()
      return true
    }
  }

  #rise(timer: Timer): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(timer)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isEarlier(timer, heap[above] as Timer)) break
      heap[at] = heap[above] as Timer
      at = above
    }
    heap[at] = timer
  }

  #pop(): Timer | undefined {
    const [first] = this.#heap
    const last = this.#heap.pop()
    if (last !== undefined && last !== first) this.#sink(last)
    return first
  }

  /** Puts a timer into the free place at the top. */
  #sink(timer: Timer): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isEarlier(heap[below + 1] as Timer, heap[below] as Timer)) below += 1
      if (!isEarlier(heap[below] as Timer, timer)) break
      heap[at] = heap[below] as Timer
      at = below
    }
    heap[at] = timer
  }

  /** Most of what is here was cancelled. */
  #sweep(): void {
    const kept = this.#heap.filter(({ run }) => run !== undefined)
    this.#heap = kept.sort((a, b) => (isEarlier(a, b) ? -1 : 1))
  }
}

function isEarlier(a: Timer, b: Timer): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.order < b.order)
}

/** Resolves when everything that can run without time passing has run. */
export function settled(): Promise<void> {
  return new Promise(resolve => afterMicrotasks(resolve))
}

/** The same, and the host had its turn as well: its timers, its signals, and rejections that nobody handled. */
export function turned(): Promise<void> {
  return new Promise(resolve => afterTurn(resolve))
}
