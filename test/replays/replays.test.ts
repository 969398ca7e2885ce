/** The bounded part of `npm run replays`, and that it would notice. */
import { expect, it } from 'vitest'
import { seedName } from '../../sim/explore.ts'
import { recordAndReplay } from './record-replay.ts'

const seeds = Array.from({ length: 40 }, (_, i) => seedName(i + 1))

it(`${seeds.length} generated workflows, recorded under faults, replay identically`, async () => {
  const sum = { iterations: 0, faults: 0 }
  for (const seed of seeds) {
    const { iterations, faults, wrong } = await recordAndReplay(seed)
    expect({ seed, wrong }).toEqual({ seed, wrong: [] })
    sum.iterations += iterations
    sum.faults += faults
  }
  expect(sum.iterations).toBeGreaterThan(100 * seeds.length)
  expect(sum.faults).toBeGreaterThan(5 * seeds.length)
})

it('a record that was tampered with diverges', async () => {
  const tamper = (lines: string[]) => lines.map(line => line.replace(/"pushes":\[\{"at":"[^"]*","queue":"/, '$&not-'))
  const { wrong } = await recordAndReplay('0x1', tamper)
  expect(wrong.join()).toMatch(/diverged/)
})
