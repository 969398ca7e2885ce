import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fileOf, hunt, huntHere, mutants } from '../../sim/mutants.ts'

const seedsMax = 200

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

  it('find nothing in the engine as it is', async () => {
    expect(await huntHere(30)).toEqual({ seeds: 30 })
  })

  it.each(mutants.map(mutant => [mutant.name, mutant] as const))(
    '%s is found',
    async (_name, mutant) => {
      const { caughtBy, seeds } = await hunt(mutant, seedsMax)
      expect(mutant.caughtBy).toContain(caughtBy)
      expect(seeds).toBeLessThanOrEqual(seedsMax)
    },
    180_000,
  )
})
