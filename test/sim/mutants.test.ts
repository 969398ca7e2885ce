import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type CanaryName, canaries } from '../../sim/canaries.ts'
import { fileOf, hunt, huntHere, type Mutant, mutants } from '../../sim/mutants.ts'

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
  it.each(mutants.map(mutant => [mutant.name, mutant] as const))(
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
      expect(await huntHere(5, canary)).toEqual({ seeds: 5 })
    },
    60_000,
  )

  // all of them: theoneeye sim --mutants
  it.each(samples.map(name => [name, mutants.find(mutant => mutant.name === name) as Mutant] as const))(
    '%s is found',
    async (_name, mutant) => {
      const { caughtBy, seeds } = await hunt(mutant, seedsMax)
      expect(mutant.caughtBy).toContain(caughtBy)
      expect(seeds).toBeLessThanOrEqual(seedsMax)
    },
    180_000,
  )
})
