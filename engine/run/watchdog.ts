/**
 * When a loop has gone wrong without saying so, judged from outside its event loop alone. Pure: figures in, verdict out.
 */
import { limits } from '../limits.ts'
import type { WorkerHealth } from './pool-protocol.ts'

/**
 * `blame`: an item may have done it (1.6). `spare`: the loop got nowhere without working on one.
 */
export type Verdict = { why: string; blame: 'blame' | 'spare'; outOfMemory?: true }

/** `rssBytesMax` 0: no limit. `heldMs`: so long it has not been allowed to make progress, being paused. */
export type Bounds = { rssBytesMax: number; idleMsMax: number }

/** Undefined: it is well. */
export function judge(health: WorkerHealth, bounds: Bounds): Verdict | undefined {
  const { silentMs, blockedMs, overdueMs, work, idleMs, rssBytes } = health
  if (bounds.rssBytesMax > 0 && rssBytes !== null && rssBytes > bounds.rssBytesMax) {
    const why = `its memory grew to ${inMb(rssBytes)} MB, beyond ${inMb(bounds.rssBytesMax)}`
    return { why, blame: 'blame', outOfMemory: true }
  }
  if (silentMs > limits.workerSilenceMsMax) {
    return { why: `nothing was heard of it for ${inSeconds(silentMs)} s`, blame: 'blame' }
  }
  if (overdueMs > limits.hardTimeoutGraceMs) {
    return { why: `a node blocks it, ${inSeconds(overdueMs)} s beyond its time limit`, blame: 'blame' }
  }
  if (work !== 'timed' && blockedMs > limits.nodeTimeoutMs + limits.hardTimeoutGraceMs) {
    return { why: `its event loop has not turned for ${inSeconds(blockedMs)} s`, blame: 'blame' }
  }
  if (work === 'none' && idleMs > bounds.idleMsMax) {
    return { why: `it neither polled nor committed for ${inSeconds(idleMs)} s`, blame: 'spare' }
  }
  return undefined
}

function inSeconds(ms: number): number {
  return Math.round(ms / 1000)
}

function inMb(bytes: number): number {
  return Math.round(bytes / (1024 * 1024))
}
