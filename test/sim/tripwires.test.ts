import { Script } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { epochMs, SimTime } from '../../sim/clock.ts'
import { Draws } from '../../sim/random.ts'
import { setTripwires, type Tripwires } from '../../sim/tripwires.ts'

let tripwires: Tripwires | undefined
afterEach(() => tripwires?.restore())

function set() {
  const time = new SimTime()
  const touched: string[] = []
  tripwires = setTripwires(time, new Draws('s'), (what, at) => touched.push(`${what} ${at.replace(/:.*/, '')}`))
  return { time, touched, wires: tripwires }
}

/** Runs code as if it stood in a file of the engine, or elsewhere. */
function runIn(file: string, code: string): unknown {
  return new Script(code, { filename: new URL(`../../${file}`, import.meta.url).href }).runInThisContext()
}

describe('Tripwires', () => {
  it.each([
    ['Date.now()', 'Date.now'],
    ['new Date()', 'new Date()'],
    ['Date()', 'Date()'],
    ['Math.random()', 'Math.random'],
    ['setTimeout(() => undefined, 1)', 'setTimeout'],
    ['setInterval(() => undefined, 1)', 'setInterval'],
  ])('notice %s in the engine', (code, what) => {
    const { touched } = set()
    runIn('engine/run/some.ts', code)
    expect(touched).toEqual([`${what} engine/run/some.ts`])
  })

  it.each([
    ['engine/run/some.ts', 'new Date(5)'],
    ['fixtures/nodes/some.ts', 'Date.now()'],
    ['fixtures/nodes/some.ts', 'Math.random()'],
    ['fixtures/nodes/some.ts', 'setTimeout(() => undefined, 1)'],
  ])('let %s do %s', (file, code) => {
    const { touched } = set()
    runIn(file, code)
    expect(touched).toEqual([])
  })

  it('answer others with simulated time and chance', () => {
    const { time } = set()
    const before = Math.random()
    time.after(1_000, () => undefined)
    time.next()
    expect(Date.now()).toBe(epochMs + 1_000)
    expect(new Date().toISOString()).toBe('2026-01-01T00:00:01.000Z')
    expect(new Date()).toBeInstanceOf(Date)
    expect(before).toBe(new Draws('s').unit('global'))
  })

  it('fire the timers of others in simulated time, and drop them with their process', () => {
    const { time, wires } = set()
    const seen: string[] = []
    setTimeout(() => seen.push('once'), 10)
    const repeated = setInterval(() => seen.push('again'), 4)
    const cleared = setTimeout(() => seen.push('never'), 5)
    clearTimeout(cleared)
    for (let i = 0; i < 3; i++) time.next()
    expect(seen).toEqual(['again', 'again', 'once'])
    clearInterval(repeated)
    setTimeout(() => seen.push('never'), 5)
    wires.dropTimers()
    expect(time.next()).toBe(false)
  })

  it('are gone after restore', () => {
    const { wires } = set()
    wires.restore()
    expect(Date.now()).toBeGreaterThan(1_600_000_000_000)
    expect(Date.now()).not.toBe(epochMs)
  })
})
