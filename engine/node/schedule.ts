/**
 * When a timer ticks: pure functions of the last tick, never of the present, so that a restart shifts nothing. Dates
 * are made from explicit milliseconds only, since croner speaks in dates. (croner itself reads the clock once per call
 * as the default of an argument that is given here; the value is not used.)
 */
import { Cron } from 'croner'

/** All times are epoch milliseconds. */
export interface Schedule {
  /** The first tick after a moment; undefined when there is none, ever. */
  next(after: number): number | undefined
  /** The last tick that is after `after` and not after `until`. */
  latest(after: number, until: number): number | undefined
  /** A moment not before `after` that has at most `max` ticks between itself and `until` (included): the latest ones. */
  keepLatest(after: number, until: number, max: number): number
}

/** Ticks at multiples of `everyMs` after wherever it is counted from. */
export function intervalSchedule(everyMs: number): Schedule {
  const overdue = (after: number, until: number) => Math.max(0, Math.floor((until - after) / everyMs))
  return {
    next: after => after + everyMs,
    latest: (after, until) => {
      const count = overdue(after, until)
      return count === 0 ? undefined : after + count * everyMs
    },
    keepLatest: (after, until, max) => after + Math.max(0, overdue(after, until) - max) * everyMs,
  }
}

/** Ticks of a cron expression (5 to 7 parts). Throws what croner throws when expression or zone are not valid. */
export function cronSchedule(expression: string, timezone: string): Schedule {
  const cron = new Cron(expression, { timezone })
  const before = (until: number, count: number) => cron.previousRuns(count, new Date(until + 1)).map(d => d.getTime())
  return {
    next: after => cron.nextRun(new Date(after))?.getTime(),
    latest: (after, until) => {
      const tick = before(until, 1)[0]
      return tick !== undefined && tick > after ? tick : undefined
    },
    keepLatest: (after, until, max) => Math.max(after, before(until, max + 1)[max] ?? after),
  }
}

/** Why a cron expression or its zone is not valid; undefined when it is. */
export function cronFault(expression: string, timezone: string): string | undefined {
  const parts = expression.trim().split(/\s+/).length
  if (!expression.trim().startsWith('@') && (parts < 5 || parts > 7)) return `has ${parts} parts; a cron has 5, 6 or 7`
  try {
    cronSchedule(expression, timezone).next(0)
    return undefined
  } catch (error) {
    return (error as Error).message.replace(/^[A-Za-z]+: /, '')
  }
}
