import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import { compileForm } from '../../../../engine/node/form.ts'
import { ExecutionCompleted, type NodeOutput, NotBefore } from '../../../../engine/node/node.ts'
import { Timer } from '../../../../engine/nodes/producers/timer.ts'
import { NodeBench } from '../../../support/fake-context.ts'

const at = (text: string) => Date.parse(text)
const start = at('2026-03-01T10:30:00Z')
const hour = 3_600_000

/** What one call gives, in short: the scheduled time, `until` a time, or `completed`. */
async function ask(bench: NodeBench): Promise<number | { until: number } | 'completed'> {
  const result = await bench.run()
  if (result instanceof ExecutionCompleted) return 'completed'
  if (result instanceof NotBefore) return { until: result.untilMs }
  return ((result as NodeOutput).data.timer as JsonObject).scheduled as number
}

/** All ticks that are due now. */
async function due(bench: NodeBench): Promise<number[]> {
  const ticks: number[] = []
  for (;;) {
    const answer = await ask(bench)
    if (typeof answer !== 'number') return ticks
    ticks.push(answer)
  }
}

const timer = (form: JsonObject, now = start) => new NodeBench(Timer, form, { now })

describe('timer', () => {
  it('first ticks one interval after the start, then at each interval, whenever it is asked', async () => {
    const bench = timer({ interval: 1, unit: 'hours' })
    expect(await ask(bench)).toEqual({ until: start + hour })
    bench.now += hour / 2
    expect(await ask(bench)).toEqual({ until: start + hour })
    bench.now = start + hour + 1_234
    expect(await ask(bench)).toBe(start + hour)
    expect(await ask(bench)).toEqual({ until: start + 2 * hour })
  })

  it('says when, what was scheduled, and how often', async () => {
    const bench = timer({ interval: 2, unit: 'seconds' })
    await ask(bench)
    bench.now += 2_500
    const result = (await bench.run({ a: 1 })) as NodeOutput
    expect(result.data).toEqual({ a: 1, timer: { at: start + 2_500, scheduled: start + 2_000, iteration: 1 } })
  })

  it('keeps its schedule over restarts, also when its first state was never committed', async () => {
    const bench = timer({ interval: 1, unit: 'hours' })
    await ask(bench)
    bench.state = undefined
    bench.now += 600_000
    expect(await ask(bench)).toEqual({ until: start + hour })
    bench.restart()
    expect(await ask(bench)).toEqual({ until: start + hour })
  })

  it('completes at its limit', async () => {
    const bench = timer({ interval: 1, unit: 'minutes', limit: 2 })
    await ask(bench)
    bench.now += hour
    expect(await due(bench)).toEqual([start + 60_000, start + 120_000])
    expect(await ask(bench)).toBe('completed')
  })

  const missed: [string, string, number[]][] = [
    ['all are caught up', 'all', [1, 2, 3]],
    ['only the last', 'last', [3]],
    ['none', 'none', []],
  ]
  it.each(missed)('ticks missed in a stop: %s', async (_name, policy, expected) => {
    const bench = timer({ interval: 1, unit: 'hours', missed: policy })
    await ask(bench)
    bench.restart()
    bench.now = start + 3.5 * hour
    expect(await due(bench)).toEqual(expected.map(n => start + n * hour))
    bench.now = start + 4 * hour
    expect(await due(bench)).toEqual([start + 4 * hour])
  })

  it('does not take a late wake-up for a stop', async () => {
    const bench = timer({ interval: 1, unit: 'hours', missed: 'none' })
    await ask(bench)
    bench.now = start + hour + 5
    expect(await due(bench)).toEqual([start + hour])
  })

  it('keeps the latest 1,000 of the missed ticks, and says so', async () => {
    for (const form of [{ interval: 1, unit: 'seconds' }, { cron: '* * * * * *' }]) {
      const bench = timer(form)
      await ask(bench)
      bench.restart()
      bench.now = start + 5_000_000
      const ticks = await due(bench)
      expect(ticks.length).toBe(1_000)
      expect(ticks[0]).toBe(start + 4_001_000)
      expect(ticks.at(-1)).toBe(start + 5_000_000)
      expect(bench.logs).toHaveLength(1)
      expect(bench.logs[0]).toMatchObject({ level: 'warn', message: expect.stringContaining('1000') })
    }
  })

  const crons: [string, JsonObject, string, string[]][] = [
    [
      'every day at nine in Berlin, over the change to summer time',
      { cron: '0 9 * * *', timezone: 'Europe/Berlin' },
      '2026-03-30T12:00:00Z',
      ['2026-03-28T08:00:00Z', '2026-03-29T07:00:00Z', '2026-03-30T07:00:00Z'],
    ],
    [
      'every day at half past two in Berlin, also when that hour is left out',
      { cron: '30 2 * * *', timezone: 'Europe/Berlin' },
      '2026-03-30T12:00:00Z',
      ['2026-03-28T01:30:00Z', '2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z'],
    ],
    ['in UTC by default', { cron: '@daily' }, '2026-03-29T12:00:00Z', ['2026-03-28T00:00:00Z', '2026-03-29T00:00:00Z']],
  ]
  it.each(crons)('cron: %s', async (_name, form, until, expected) => {
    const bench = timer(form, at('2026-03-27T12:00:00Z'))
    await ask(bench)
    bench.now = at(until)
    expect((await due(bench)).map(tick => new Date(tick).toISOString().replace('.000', ''))).toEqual(expected)
  })

  it('cron: only the last of the missed ones', async () => {
    const bench = timer({ cron: '0 * * * *', missed: 'last' })
    await ask(bench)
    bench.restart()
    bench.now = at('2026-03-01T14:00:00Z')
    expect(await due(bench)).toEqual([at('2026-03-01T14:00:00Z')])
  })

  it('completes when a cron expression has no further tick', async () => {
    const bench = timer({ cron: '0 0 0 1 1 * 2026' }, at('2026-03-01T00:00:00Z'))
    expect(await ask(bench)).toBe('completed')
  })

  const wrong: [string, JsonObject, string][] = [
    ['neither', {}, 'interval'],
    ['both', { interval: 1, cron: '* * * * *' }, 'cron'],
    ['an empty interval', { interval: 0 }, 'interval'],
    ['too few parts', { cron: '* * *' }, 'cron'],
    ['a date', { cron: '2026-01-01T00:00:00' }, 'cron'],
    ['an hour that is not', { cron: '0 25 * * *' }, 'cron'],
    ['a zone that is not', { cron: '0 1 * * *', timezone: 'Mars/Olympus' }, 'timezone'],
    ['a unit that is not', { interval: 1, unit: 'eons' }, 'unit'],
  ]
  it.each(wrong)('refuses %s', (_name, form, field) => {
    expect(compileForm(Timer.form, form, { strict: false }).problems).toMatchObject([{ field }])
  })

  it('yields each tick once and in order, however it is asked and restarted', async () => {
    const step = fc.record({ waitMs: fc.integer({ min: 0, max: 40_000 }), restart: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
        const bench = timer({ interval: 10, unit: 'seconds' })
        const seen: number[] = []
        await ask(bench)
        for (const { waitMs, restart } of steps) {
          bench.now += waitMs
          if (restart) bench.restart()
          seen.push(...(await due(bench)))
        }
        const expected = Array.from(
          { length: Math.floor((bench.now - start) / 10_000) },
          (_, i) => start + (i + 1) * 10_000,
        )
        expect(seen).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })
})
