/**
 * Says that a check never returns. One that awaits for ever is ended by a timer; one that loops for ever never gives its
 * thread back, so that no timer here ever fires: another thread must say it.
 */
import { Worker } from 'node:worker_threads'

const watch = `
  const { writeSync } = require('node:fs')
  const { shared, ms, text } = require('node:worker_threads').workerData
  const cells = new Int32Array(shared)
  for (let said = 0; ; ) {
    const begun = Atomics.load(cells, 0)
    if (Atomics.wait(cells, 1, 0, ms) !== 'timed-out') break
    if (begun % 2 === 1 && said !== begun && Atomics.load(cells, 0) === begun) writeSync(2, text), (said = begun)
  }`

export class CheckWatch {
  /** How often a check began or ended: odd while one is under way; and whether to stop. */
  readonly #cells = new Int32Array(new SharedArrayBuffer(8))

  /** `text` goes to stderr when a check holds its thread for more than `ms`. */
  constructor(ms: number, text: string) {
    const workerData = { shared: this.#cells.buffer, ms, text }
    new Worker(watch, { eval: true, workerData, execArgv: [] }).unref()
  }

  /** The synchronous part of a check. */
  run<T>(check: () => T): T {
    Atomics.add(this.#cells, 0, 1)
    try {
      return check()
    } finally {
      Atomics.add(this.#cells, 0, 1)
    }
  }

  end(): void {
    Atomics.store(this.#cells, 1, 1)
    Atomics.notify(this.#cells, 1)
  }
}
