/**
 * A thread beside the loop's in a worker process: tells the daemon, over a pipe of its own, how the loop does, whatever
 * the loop does. The pipe also tells the other way: once nobody reads it the daemon is gone, and so is this process.
 */
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { codeOf } from '../engine/errors.ts'
import { readVitals, type Vitals } from './vitals.ts'

export type Beat = Vitals & { rssBytes: number }

/** The pipe, as the daemon lays it. */
export const beatFd = 4
const beatMs = 500

function beat(vitals: SharedArrayBuffer): void {
  const said: Beat = { ...readVitals(vitals), rssBytes: process.memoryUsage.rss() }
  try {
    writeSync(beatFd, `${JSON.stringify(said)}\n`)
  } catch (error) {
    // a daemon that stands still reads nothing for a while
    if (codeOf(error) !== 'EAGAIN') process.kill(process.pid, 'SIGKILL')
  }
}

const { vitals } = (workerData ?? {}) as { vitals?: SharedArrayBuffer }
if (vitals !== undefined) {
  beat(vitals)
  setInterval(beat, beatMs, vitals)
}
