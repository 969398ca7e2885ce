import { createClock } from '@sinonjs/fake-timers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { epochMs, SimTime, settled, turned } from '../../sim/clock.ts'

/** Sets timers, some of which set or cancel others as they fire; what fired, and when. */
function lived(
  plan: readonly { ms: number; again: number; cancels: number }[],
  clock: { now: () => number; after: (ms: number, run: () => void) => () => void; next: () => boolean },
): [number, number][] {
  const fired: [number, number][] = []
  const cancels: (() => void)[] = []
  const set = (i: number, ms: number, isLast: boolean): void => {
    cancels[i] = clock.after(ms, () => {
      fired.push([i, clock.now()])
      const { again, cancels: other } = plan[i] as (typeof plan)[number]
      cancels[other % plan.length]?.()
      if (!isLast) set(i, again, true)
    })
  }
  for (const [i, { ms }] of plan.entries()) set(i, ms, false)
  while (clock.next());
  return fired
}

describe('SimTime', () => {
  it('moves only from timer to timer, in order of time and then of setting', () => {
    const time = new SimTime()
    const seen: [string, number][] = []
    for (const [name, ms] of [
      ['late', 50],
      ['first', 10],
      ['second', 10],
    ] as const) {
      time.after(ms, () => seen.push([name, time.ms]))
    }
    expect(time.ms).toBe(0)
    while (time.next());
    expect(seen).toEqual([
      ['first', 10],
      ['second', 10],
      ['late', 50],
    ])
    expect(time.wall()).toBe(epochMs + 50)
  })

  it('never fires in the instant in which a timer was set', () => {
    const time = new SimTime()
    let firedMs = 0
    time.after(5, () =>
      time.after(0, () => {
        firedMs = time.ms
      }),
    )
    while (time.next());
    expect(firedMs).toBe(6)
  })

  it('forgets what is cancelled, also twice or too late', () => {
    const time = new SimTime()
    let fired = 0
    const cancel = time.after(1, () => {
      fired += 1
    })
    const late = time.after(1, () => {
      fired += 10
    })
    cancel()
    cancel()
    expect(time.pending).toBe(1)
    time.next()
    late()
    expect([fired, time.pending, time.next()]).toEqual([10, 0, false])
  })

  it('fires as fake-timers do', () => {
    const ms = fc.integer({ min: 1, max: 20 })
    const timers = fc.array(fc.record({ ms, again: ms, cancels: fc.nat({ max: 200 }) }), {
      minLength: 1,
      maxLength: 80,
    })
    fc.assert(
      fc.property(timers, plan => {
        const time = new SimTime()
        const own = { now: () => time.ms, after: time.after.bind(time), next: () => time.next() }
        const clock = createClock(0)
        const after = (wait: number, run: () => void) => {
          const timer = clock.setTimeout(run, wait)
          return () => clock.clearTimeout(timer)
        }
        const next = (): boolean => clock.countTimers() > 0 && clock.next() !== undefined
        expect(lived(plan, own)).toEqual(lived(plan, { now: () => clock.now, after, next }))
        expect(time.pending).toBe(0)
      }),
    )
  })

  it('passes a year in a moment', () => {
    const time = new SimTime()
    const year = 365 * 24 * 3_600_000
    time.after(year, () => undefined)
    while (time.next());
    expect(time.ms).toBe(year)
  })
})

describe('settled', () => {
  it('waits for chains of promises of any length', async () => {
    let steps = 0
    const chain = async (): Promise<void> => {
      for (; steps < 5_000; steps++) await undefined
    }
    void chain()
    await settled()
    expect(steps).toBe(5_000)
  })

  it('gives the host its turn when asked to', async () => {
    let turns = 0
    setImmediate(() => {
      turns += 1
    })
    await settled()
    expect(turns).toBe(0)
    await turned()
    expect(turns).toBe(1)
  })
})
