import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { type CanaryName, canaries } from '../../sim/canaries.ts'
import { fileOf, hunt, huntHere } from '../../sim/mutant-hunt.ts'
import { canary, type Mutant, mutants } from '../../sim/mutants.ts'
import { runMutants } from '../../sim/mutants-cli.ts'

const seedsMax = 200

/** One for each of several invariants; each costs a process. */
const samples = [
  'recovery forgets the claims',
  'one item more than the limit',
  'a lease is taken from its holder',
  'state saved outside the commit',
  'a dead letter without its error',
]

describe('mutants', () => {
  it.each([canary, ...mutants].map(mutant => [mutant.name, mutant] as const))(
    '%s fits its file, as written and as built',
    (_name, mutant) => {
      const source = fileOf(mutant)
      const built = new URL(source.href.replace('/engine/', '/dist/engine/').replace(/\.ts$/, '.js'))
      for (const file of [source, built].filter(each => existsSync(each))) {
        expect(readFileSync(file, 'utf8').split(mutant.find), file.pathname).toHaveLength(2)
      }
    },
  )

  it.each(Object.keys(canaries) as CanaryName[])(
    'find nothing in the engine as it is: %s',
    async canary => {
      expect(await huntHere({ seedsMax: 5, canary })).toEqual({ seeds: 5 })
    },
    60_000,
  )

  // all of them: theoneeye sim --mutants
  it.each(samples.map(name => [name, mutants.find(mutant => mutant.name === name) as Mutant] as const))(
    '%s is found',
    async (_name, mutant) => {
      const { caughtBy, seeds } = await hunt(mutant, { seedsMax })
      expect(mutant.caughtBy).toContain(caughtBy)
      expect(seeds).toBeLessThanOrEqual(seedsMax)
    },
    180_000,
  )

  const told = async (options: { mutants: readonly Mutant[]; canary?: Mutant }) => {
    const lines: string[] = []
    const io = { isJson: true, out: (line: string) => void lines.push(line), progress: () => undefined }
    const code = await runMutants({ seedsMax: 3, firstSeed: 1, workers: 2, ...options }, io)
    return { code, lines: lines.map(line => JSON.parse(line) as JsonObject) }
  }
  const harmless: Mutant = {
    ...canary,
    name: 'harmless',
    find: 'db.rpush(by.claims, ',
    replace: 'db.rpush(by.claims, ',
  }

  it('are told in the order of the list, and survivors that are explained do not fail the run', async () => {
    const excused = { ...harmless, survives: 'it changes nothing' }
    const { code, lines } = await told({ mutants: [excused, canary] })
    expect(code).toBe(0)
    expect(lines).toEqual([
      { type: 'mutant', name: 'harmless', caught_by: null, seeds: 3, survives: 'it changes nothing' },
      { type: 'mutant', name: canary.name, caught_by: 'conservation', seeds: 1 },
      { type: 'summary', caught: 1, survived: 1, excused: 1, median_seeds: 1 },
    ])
  }, 180_000)
  it('that survive, or are found by what they are not meant for, fail the run', async () => {
    const misnamed = { ...canary, caughtBy: ['fifo'] }
    const { code, lines } = await told({ mutants: [harmless, misnamed] })
    expect(code).toBe(1)
    expect(lines.at(-1)).toEqual({ type: 'summary', caught: 0, survived: 2, excused: 0, median_seeds: null })
  }, 180_000)
  it('are not even begun when the canary lives', async () => {
    const { code, lines } = await told({ mutants: [canary], canary: harmless })
    expect([code, lines]).toEqual([1, [{ type: 'canary', caught: false, seed: '0x1' }]])
  }, 180_000)
})
