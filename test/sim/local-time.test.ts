import { describe, expect, it } from 'vitest'
import { epochMs, SimTime } from '../../sim/clock.ts'
import { LocalTime } from '../../sim/local-time.ts'

/** Steps until nothing is left; says what fired when. */
function bench() {
  const time = new SimTime()
  const local = new LocalTime(time)
  const fired: string[] = []
  const note = (name: string) => () => void fired.push(`${name} ${time.ms}`)
  const rest = () => {
    while (time.next()) {}
  }
  return { time, local, fired, note, rest }
}

describe('LocalTime', () => {
  it('fires like the time of the world', () => {
    const { local, fired, note, rest } = bench()
    local.after(5, note('a'))
    local.after(3, note('b'))()
    local.after(0, note('c'))
    rest()
    expect(fired).toEqual(['c 1', 'a 5'])
  })

  it('stands still with everything it waits for, and does not know', () => {
    const { time, local, fired, note, rest } = bench()
    local.after(10, note('before'))
    time.after(4, () => {
      local.pause()
      local.after(2, note('meanwhile'))
    })
    time.after(104, () => {
      expect([local.monotonicMs(), local.wall()]).toEqual([4, epochMs + 4])
      local.wake()
      expect(local.monotonicMs()).toBe(4)
    })
    rest()
    expect(fired).toEqual(['meanwhile 106', 'before 110'])
  })

  it('is over when its daemon dies, paused or not', () => {
    const { local, fired, note, rest } = bench()
    local.after(1, note('never'))
    local.pause()
    local.end()
    local.wake()
    local.after(1, note('never either'))
    rest()
    expect(fired).toEqual([])
  })

  it('waits for its wall clock, however that gets there', () => {
    const { time, local, fired, note, rest } = bench()
    local.until(epochMs + 1_000, note('on time'))
    local.until(epochMs + 60_000, note('jump'))
    local.until(epochMs + 70_000, note('drift'))
    local.until(epochMs + 80_000, note('cancelled'))()
    time.after(2_000, () => local.jump(58_000))
    time.after(3_000, () => local.drift(1))
    rest()
    expect(fired).toEqual(['on time 1000', 'jump 2001', 'drift 7500'])
  })

  it('does not take a step back of the wall clock for time that has come', () => {
    const { time, local, fired, note, rest } = bench()
    local.until(epochMs + 1_000, note('late'))
    time.after(999, () => local.jump(-500))
    rest()
    expect(fired).toEqual(['late 1500'])
  })

  it('may be set wrong, and run wrong, on the wall only', () => {
    const { time, local, rest } = bench()
    time.after(100, () => local.jump(-5_000))
    time.after(200, () => local.drift(0.1))
    time.after(1_200, () => {
      expect([local.monotonicMs(), local.wall() - epochMs]).toEqual([1_200, 1_200 - 5_000 + 100])
      local.drift(0)
      local.jump(7)
    })
    time.after(2_200, () => expect(local.wall() - epochMs).toBe(2_200 - 5_000 + 100 + 7))
    rest()
    expect.assertions(2)
  })
})
