/**
 * Ticks at an interval or by cron. Its state holds the run's start and the last scheduled tick; the next one follows
 * from these alone, so that being asked early, late or again shifts nothing.
 *
 * Missed ticks: `all` are yielded one by one (at most the latest 1,000), of several due ones `last` yields only the
 * latest, `none` yields not even that one when it fell into the time before this instance began (a stop).
 */
import type { JsonObject } from '../../json.ts'
import { limits } from '../../limits.ts'
import type { NodeContext } from '../../node/context.ts'
import { durationMs, type Unit, unitLabels } from '../../node/duration.ts'
import { defineForm, type FieldProblem } from '../../node/form.ts'
import { choice, number, text } from '../../node/form-fields.ts'
import {
  ExecutionCompleted,
  type NodeOutput,
  NotBefore,
  type Produced,
  ProducerNode,
  withResult,
} from '../../node/node.ts'
import { cronFault, cronSchedule, intervalSchedule, type Schedule } from '../../node/schedule.ts'

type Missed = 'all' | 'last' | 'none'
type Values = { interval?: number; unit: Unit; cron?: string; timezone: string; missed: Missed; limit: number }

/** `start` and `last` are epoch milliseconds; ticks up to `checked` have been looked at for the limit of missed ones. */
type State = { start: number; last: number | null; ticks: number; checked?: number }

export class Timer extends ProducerNode {
  static override identifier = 'timer'
  static override stateful = true
  static override category = 'Producers'
  static override label = 'Timer'
  static override description = 'Yields an item at each tick of an interval or of a cron expression'
  static override example: JsonObject = { interval: 1, unit: 'hours', missed: 'last' }
  static override form = defineForm(
    {
      interval: number({ label: 'Interval', help: 'The first tick is one interval after the start', above: 0 }),
      unit: choice({ label: 'Unit', default: 'seconds', labels: unitLabels }),
      cron: text({ label: 'Cron', help: 'Instead of an interval: 5 parts, or 6 with seconds, e.g. "0 9 * * MON-FRI"' }),
      timezone: text({ label: 'Time zone', help: 'Of the cron expression, e.g. Europe/Berlin', default: 'UTC' }),
      missed: choice({
        label: 'Missed ticks',
        help: 'What happens to ticks that fell into a stop',
        default: 'all',
        labels: { all: 'All (up to 1,000)', last: 'Only the last', none: 'None' },
      }),
      limit: number({
        label: 'Limit',
        help: 'Completes after so many ticks; 0 = none',
        default: 0,
        min: 0,
        whole: true,
      }),
    },
    values => checkTimer(values as Values),
  )

  #since: number | undefined
  #form: Values | undefined
  #schedule: Schedule | undefined

  async execute(input: NodeOutput, context: NodeContext): Promise<Produced> {
    const form = context.form as Values
    const now = context.clock.now()
    this.#since ??= now
    const known = context.state.get() as State | undefined
    const state: State = { ...(known ?? { start: this.#since, last: null, ticks: 0 }) }
    if (known === undefined) context.state.set(state)
    if (form.limit > 0 && state.ticks >= form.limit) return new ExecutionCompleted()
    const tick = this.#due(form, state, now, context)
    if (typeof tick !== 'number') return tick
    context.state.set({ ...state, last: tick, ticks: state.ticks + 1 })
    return withResult(input, 'timer', { at: now, scheduled: tick, iteration: state.ticks + 1 })
  }

  /** The tick to yield now, or why there is none. */
  #due(form: Values, state: State, now: number, context: NodeContext): number | Exclude<Produced, NodeOutput> {
    const schedule = this.#scheduleOf(form)
    const after = state.last ?? state.start
    const next = schedule.next(after)
    if (next === undefined) return new ExecutionCompleted()
    if (next > now) return new NotBefore(next)
    if (form.missed === 'all') return this.#oldestKept(schedule, state, next, { now, context })
    const latest = schedule.latest(after, now) ?? next
    if (form.missed === 'last' || latest >= (this.#since ?? now)) return latest
    const following = schedule.next(latest)
    return following === undefined ? new ExecutionCompleted() : new NotBefore(following)
  }

  /** The next tick, or a later one when more than 1,000 are due; notes in `state` how far it has looked. */
  #oldestKept(schedule: Schedule, state: State, next: number, at: { now: number; context: NodeContext }): number {
    const second = schedule.next(next)
    if (next <= (state.checked ?? 0) || second === undefined || second > at.now) return next
    state.checked = at.now
    const after = state.last ?? state.start
    const kept = schedule.keepLatest(after, at.now, limits.missedTicksMax)
    if (kept <= after) return next
    at.context.log.warn(`More than ${limits.missedTicksMax} ticks were missed; the oldest ones are dropped`, {
      from: next,
      to: kept,
    })
    return schedule.next(kept) ?? next
  }

  #scheduleOf(form: Values): Schedule {
    if (this.#schedule !== undefined && this.#form === form) return this.#schedule
    this.#form = form
    this.#schedule =
      form.cron === undefined || form.cron === ''
        ? intervalSchedule(Math.max(1, durationMs(form.interval ?? 1, form.unit)))
        : cronSchedule(form.cron, form.timezone)
    return this.#schedule
  }
}

function checkTimer(form: Values): FieldProblem[] {
  const hasCron = form.cron !== undefined && form.cron !== ''
  if (!hasCron) {
    if (form.interval !== undefined) return []
    return [{ field: 'interval', code: 'FORM_REQUIRED', message: 'is empty; give an interval or a cron expression' }]
  }
  if (form.interval !== undefined) {
    return [{ field: 'cron', code: 'FORM_INVALID', message: 'stands beside "interval"; give one of them' }]
  }
  const fault = cronFault(form.cron as string, form.timezone)
  if (fault === undefined) return []
  const field = /timezone/i.test(fault) ? 'timezone' : 'cron'
  const value = field === 'cron' ? form.cron : form.timezone
  return [{ field, code: 'FORM_INVALID', message: `is "${value}"; ${fault}` }]
}
