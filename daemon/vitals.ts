/**
 * The pulse of a loop in memory that threads share: the loop's thread writes, another reads, whatever the loop's event
 * loop is doing. Times are the system's monotonic clock, which all threads of a process read alike.
 */
import type { WorkerHealth } from '../engine/run/pool-protocol.ts'
import { type Pulse, readPulse } from '../engine/run/pulse.ts'

const fields = { progress: 0, until: 1, tick: 2 } as const
const tickMs = 500

export function newVitals(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(8 * Object.keys(fields).length)
  new Float64Array(buffer).fill(0)
  return buffer
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** In the loop's thread. Its event loop leaves a sign of its turning, too. */
export function writeVitals(buffer: SharedArrayBuffer): Pulse {
  const cells = new Float64Array(buffer)
  // what the loop's clock lacks to the common one
  const offsetMs = nowMs() - performance.now()
  const tick = (): void => {
    cells[fields.tick] = nowMs()
  }
  tick()
  cells[fields.progress] = nowMs()
  setInterval(tick, tickMs).unref()
  return {
    progress: atMs => {
      cells[fields.progress] = atMs + offsetMs
    },
    workUntil: atMs => {
      cells[fields.until] = atMs === 0 ? 0 : atMs + offsetMs
    },
  }
}

export type Vitals = Pick<WorkerHealth, 'overdueMs' | 'work' | 'idleMs' | 'blockedMs'>

/** From any thread of the process. Before the loop's thread began nothing is wrong. */
export function readVitals(buffer: SharedArrayBuffer): Vitals {
  const cells = new Float64Array(buffer)
  const now = nowMs()
  const ticked = cells[fields.tick] as number
  if (ticked === 0) return { overdueMs: 0, work: 'none', idleMs: 0, blockedMs: 0 }
  const pulse = readPulse({ progressMs: cells[fields.progress] as number, untilMs: cells[fields.until] as number }, now)
  return { ...pulse, blockedMs: Math.max(0, now - ticked - tickMs) }
}
