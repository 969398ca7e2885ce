import { describe, expect, it } from 'vitest'
import { epochMs, SimTime, settled } from '../../sim/clock.ts'

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
})
