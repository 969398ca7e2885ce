import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import { compileForm } from '../../../../engine/node/form.ts'
import { DynamicDelay } from '../../../../engine/nodes/time/dynamic-delay-node.ts'
import { StaticDelay } from '../../../../engine/nodes/time/static-delay-node.ts'
import { NodeBench } from '../../../support/fake-context.ts'

describe('static-delay-node', () => {
  const table: [JsonObject, number][] = [
    [{ interval: 5 }, 5_000],
    [{ interval: '1.5', unit: 'minutes' }, 90_000],
    [{ interval: '{{ data.n }}', unit: 'hours' }, 7_200_000],
    [{ interval: 1, unit: 'days' }, 86_400_000],
    [{ interval: 1, unit: 'weeks' }, 604_800_000],
    [{ interval: 3, unit: 'months' }, 7_776_000_000],
    [{ interval: 0 }, 0],
  ]
  it.each(table)('%j waits %d ms', async (form, ms) => {
    const bench = new NodeBench(StaticDelay, form)
    expect(await bench.run({ n: 2 })).toMatchObject({ data: { n: 2 } })
    expect(bench.delays).toEqual([ms])
  })

  it('refuses to wait backwards', () => {
    expect(compileForm(StaticDelay.form, { interval: -1 }, { strict: false }).problems).toMatchObject([
      { field: 'interval' },
    ])
  })
})

describe('dynamic-delay-node', () => {
  it('is even without jitter', async () => {
    const bench = new NodeBench(DynamicDelay, { total_time: 10, executions: 4, jitter_percent: 0 })
    for (let i = 0; i < 5; i++) await bench.run()
    expect(bench.delays).toEqual([2_500, 2_500, 2_500, 2_500, 2_500])
  })

  it('stays within its jitter', async () => {
    const bench = new NodeBench(DynamicDelay, { total_time: 1_000, executions: 2 }, { draws: [0, 0.5, 0.999, 0.5] })
    for (let i = 0; i < 4; i++) await bench.run()
    expect(bench.delays).toEqual([350_000, 650_000, 649_700, 350_300])
  })

  const changed: [string, JsonObject][] = [
    ['the total', { left: 1, leftMs: 77, totalMs: 99, executions: 2 }],
    ['the number of executions', { left: 1, leftMs: 77, totalMs: 10_000, executions: 3 }],
  ]
  it.each(changed)('begins a new round when its form has changed: %s', async (_name, state) => {
    const bench = new NodeBench(DynamicDelay, { total_time: 10, executions: 2, jitter_percent: 0 })
    bench.state = state
    await bench.run()
    expect(bench.delays).toEqual([5_000])
  })

  it('sums to the total, never negative, whatever is drawn', async () => {
    const draw = fc.double({ min: 0, max: 0.999_999, noNaN: true })
    const setup = fc.record({
      total_time: fc.integer({ min: 1, max: 1_000_000 }),
      executions: fc.integer({ min: 1, max: 40 }),
      jitter_percent: fc.integer({ min: 0, max: 100 }),
    })
    await fc.assert(
      fc.asyncProperty(setup, fc.array(draw, { minLength: 1, maxLength: 50 }), async (form, draws) => {
        const bench = new NodeBench(DynamicDelay, form, { draws })
        for (let round = 1; round <= 2; round++) {
          for (let i = 0; i < form.executions; i++) {
            if (i % 3 === 0) bench.restart()
            await bench.run()
          }
          expect(bench.delays.every(ms => ms >= 0 && Number.isInteger(ms))).toBe(true)
          expect(bench.delays.reduce((sum, ms) => sum + ms, 0)).toBe(round * form.total_time * 1_000)
        }
      }),
    )
  })
})
