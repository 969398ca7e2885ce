/**
 * The engine's events as log lines: what an operator wants to know at `info`, every node and iteration at `debug`.
 * A loop that fails with every item must not fill the disk: of the same kind of line only so many a minute are written,
 * and then how many were left out.
 */
import type { JsonObject } from '../engine/json.ts'
import type { Clock, LogLevel } from '../engine/ports.ts'
import type { EngineEvent, EventSink } from '../engine/trace/events.ts'
import type { LeveledLog } from './system-ports.ts'

type Line = { level: LogLevel; message: string; fields?: JsonObject }

/** Lines of one kind and loop that are written in a minute. */
const repeatsMax = 20
const minuteMs = 60_000
/** Redis went back in time or was emptied, or a loop does not get on: somebody must look. */
const alarming = new Set(['RUN_LOST', 'DIVERGED', 'LOOP_CRASHED', 'LOOP_STALLED', 'LOOP_FAILED', 'WORKER_REFUSED'])

export function eventLog(log: LeveledLog, clock: Clock): EventSink {
  const repeats = new Repeats(log, clock)
  return event => {
    const isDebug = event.type.startsWith('node_') || event.type.startsWith('iteration_')
    if (isDebug && log.level !== 'debug') return
    const { level, message, fields = {} } = lineOf(event)
    if (level !== 'debug' && level !== 'info' && !repeats.admit(`${event.type}\t${whereOf(event)}\t${fields.code}`))
      return
    log.write(level, message, { ...placeOf(event), ...fields })
  }
}

/** The place of an event under the names that all log lines use. */
function placeOf(event: EngineEvent): JsonObject {
  const { loop, iteration, node_id, node } = event as Partial<Record<string, string | number>>
  const place = { workflow: event.workflow_id, run: event.run, loop, iteration, node: node_id ?? node }
  return Object.fromEntries(
    Object.entries(place).filter(([, value]) => value !== undefined && value !== ''),
  ) as JsonObject
}

function whereOf(event: EngineEvent): string {
  return `${event.workflow_id}\t${'loop' in event ? event.loop : ''}`
}

function lineOf(event: EngineEvent): Line {
  switch (event.type) {
    case 'workflow_started':
      return { level: 'info', message: event.resumed ? 'workflow resumes its run' : 'workflow starts a run' }
    case 'loop_started':
      return { level: 'info', message: 'loop is served here' }
    case 'loop_completed':
      return { level: 'info', message: 'loop completed' }
    case 'workflow_completed':
      return { level: 'info', message: 'workflow completed' }
    case 'workflow_failed':
      return { level: 'error', message: `workflow failed: ${event.error.message}`, fields: { code: event.error.code } }
    case 'dead_letter': {
      const { code, message } = event.error
      return {
        level: 'warn',
        message: `dead letter: ${message}`,
        fields: { code, item: event.item.id, dead_letter: event.id },
      }
    }
    case 'warning': {
      const level = alarming.has(event.code) ? 'error' : 'warn'
      const cause = event.cause === undefined ? {} : { cause: event.cause }
      return { level, message: event.message, fields: { code: event.code, ...cause } }
    }
    default:
      return { level: 'debug', message: event.type.replace('_', ' '), fields: detailsOf(event) }
  }
}

function detailsOf(event: EngineEvent): JsonObject {
  const { duration, route, error } = event as {
    duration?: number
    route?: string
    error?: { code: string; message: string }
  }
  const details = { duration, route, code: error?.code, error: error?.message }
  return Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)) as JsonObject
}

class Repeats {
  readonly #log: LeveledLog
  readonly #clock: Clock
  #counts = new Map<string, number>()
  #sinceMs = Number.NEGATIVE_INFINITY

  constructor(log: LeveledLog, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  admit(kind: string): boolean {
    const now = this.#clock.monotonic()
    if (now - this.#sinceMs >= minuteMs) this.#begin(now)
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    return count <= repeatsMax
  }

  #begin(now: number): void {
    for (const [kind, count] of this.#counts) this.#tell(kind, count - repeatsMax)
    this.#counts = new Map()
    this.#sinceMs = now
  }

  #tell(kind: string, omitted: number): void {
    if (omitted <= 0) return
    const [type = '', workflow = '', loop = '', code = ''] = kind.split('\t')
    this.#log.write('warn', `${omitted} more like this were left out`, { type, workflow, loop, code })
  }
}
