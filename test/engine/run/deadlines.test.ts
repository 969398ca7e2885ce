/** One timer for all deadlines of a loop. */
import { createClock } from '@sinonjs/fake-timers'
import { describe, expect, test } from 'vitest'
import type { Clock } from '../../../engine/ports.ts'
import { Deadlines } from '../../../engine/run/deadlines.ts'
import type { Pulse } from '../../../engine/run/pulse.ts'

function setUp(pulse?: Pulse) {
  const timers = createClock(0)
  const clock: Clock = {
    now: () => timers.now,
    until: () => Promise.reject(new Error('not asked for')),
    monotonic: () => timers.now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const id = timers.setTimeout(() => resolve(), ms)
        signal?.addEventListener('abort', () => {
          timers.clearTimeout(id)
          reject(signal.reason)
        })
      }),
  }
  return { timers, deadlines: new Deadlines(clock, pulse) }
}

describe('Deadlines', () => {
  test('expire in order, each at its time, on one timer', async () => {
    const { timers, deadlines } = setUp()
    const expired: string[] = []
    for (const ms of [300, 100, 200]) {
      deadlines.add({ atMs: ms, expire: () => expired.push(`${ms} at ${timers.now}`) })
    }
    expect(timers.countTimers()).toBe(1)
    await timers.tickAsync(1000)
    expect(expired).toEqual(['100 at 100', '200 at 200', '300 at 300'])
    expect(timers.countTimers()).toBe(0)
  })

  test('a removed one never expires, and closing leaves no timer', async () => {
    const { timers, deadlines } = setUp()
    const expired: number[] = []
    const first = { atMs: 100, expire: () => expired.push(1) }
    deadlines.add(first)
    deadlines.add({ atMs: 150, expire: () => expired.push(2) })
    deadlines.remove(first)
    await timers.tickAsync(120)
    deadlines.close()
    await timers.tickAsync(1000)
    expect(expired).toEqual([])
    expect(timers.countTimers()).toBe(0)
  })

  test('a timer that finds nothing to expire says nothing of the loop', async () => {
    const told: number[] = []
    const { timers, deadlines } = setUp({ progress: atMs => told.push(atMs), workUntil: () => undefined })
    const deadline = { atMs: 100, expire: () => undefined }
    deadlines.add(deadline)
    deadlines.remove(deadline)
    await timers.tickAsync(1000)
    expect(told).toEqual([0])
  })
})
