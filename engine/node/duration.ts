/** Amounts of time as forms give them. A month is 30 days: delays are lengths, not calendar dates (timers have cron). */
const DAY_MS = 86_400_000

export const unitMs = {
  seconds: 1_000,
  minutes: 60_000,
  hours: 3_600_000,
  days: DAY_MS,
  weeks: 7 * DAY_MS,
  months: 30 * DAY_MS,
} as const

export type Unit = keyof typeof unitMs

export const unitLabels: Readonly<Record<Unit, string>> = {
  seconds: 'Seconds',
  minutes: 'Minutes',
  hours: 'Hours',
  days: 'Days',
  weeks: 'Weeks',
  months: 'Months (30 days)',
}

/** Whole milliseconds. */
export function durationMs(amount: number, unit: Unit): number {
  return Math.round(amount * unitMs[unit])
}
