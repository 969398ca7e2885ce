/**
 * What the supervisor and a worker say to each other. Everything here is plain JSON: it crosses threads, processes and
 * the simulated wire alike. Items never do: a loop lives whole in its worker, with its own way to Redis.
 *
 * The worker says `hello` first, `end` last, each once. Whoever changes a shape here raises `poolProtocol`: a daemon may
 * meet a worker of a package that was replaced under it, and each refuses the other in words.
 */
import type { ErrorRecord } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { Pool } from '../node/node.ts'
import type { EngineEvent } from '../trace/events.ts'
import type { TraceLine } from '../trace/trace.ts'

export const poolProtocol = 1

/** What a worker needs to serve one replica of a loop. */
export type LoopTask = {
  protocol: number
  pool: Exclude<Pool, 'async'>
  /** The file that loads as the workflow; what the worker makes of it must have this hash. */
  workflow: { name: string; source: JsonObject; hash: string }
  run: { id: string; seed: string }
  loop: string
  replica: number
  lease: { holder: string; seq: number; iterations: number }
  /** How the worker before it ended, for the dead letter of an item that is to blame; '' when it did not die. */
  lastDeath: string
  /** Megabytes; null: no limit of ours. */
  memoryMbMax: number | null
  /** Whether trace lines are wanted. */
  records: boolean
}

export type ToWorker = { kind: 'pause' | 'resume' | 'drain' | 'fence' } | { kind: 'abort'; reason: ErrorRecord }

/** How serving ended: the loop is complete, it was told to stop, or something broke it. */
export type ServeEnd = { result: 'ended' | 'drained' } | { result: 'lost'; error: ErrorRecord }

export type FromWorker =
  | { kind: 'hello'; protocol: number }
  | { kind: 'batch'; events: EngineEvent[]; lines: TraceLine[] }
  | { kind: 'activity'; activity: 'busy' | 'waiting' }
  /** Redis makes it wait. */
  | { kind: 'waits'; code: string; message: string }
  | { kind: 'end'; end: ServeEnd }

/** How a worker ended. `rssBytes` is the last figure seen of its process; null where a thread has none of its own. */
export type ExitCause = {
  code: number | null
  signal: string | null
  outOfMemory: boolean
  /** What it said last: an uncaught error, a line on stderr. */
  message: string | null
  rssBytes: number | null
}

/** A worker as seen from outside its event loop, all in milliseconds of whoever looks. */
export type WorkerHealth = {
  /** Since anything of it last gave a sign of life, even what runs beside its event loop. */
  silentMs: number
  /** Since its event loop last turned. */
  blockedMs: number
  /** How long a node works beyond its time limit; 0 when none does. */
  overdueMs: number
  /** What its nodes are doing: nothing, or work with or without a time limit. */
  work: 'none' | 'timed' | 'untimed'
  /** Since it last polled, committed or finished a node; negative while it waits for something on purpose. */
  idleMs: number
  rssBytes: number | null
}

/** A cause in words: `exit code 1, 120 MB`. */
export function describeExit({ code, signal, outOfMemory, message, rssBytes }: ExitCause): string {
  const how = signal !== null ? `signal ${signal}` : `exit code ${code ?? 'unknown'}`
  const memory = rssBytes === null ? [] : [`last seen with ${Math.round(rssBytes / (1024 * 1024))} MB`]
  const words = [outOfMemory ? `out of memory (${how})` : how, ...memory, ...(message === null ? [] : [message])]
  return words.join(', ')
}
