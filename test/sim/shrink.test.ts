import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ddmin } from '../../sim/shrink.ts'

describe('ddmin', () => {
  it('finds exactly the elements that are needed, whichever they are', async () => {
    const lists = fc.uniqueArray(fc.nat(1_000), { minLength: 1, maxLength: 80 })
    const cases = lists.chain(all =>
      fc.tuple(fc.constant(all), fc.subarray(all, { maxLength: Math.min(5, all.length) })),
    )
    await fc.assert(
      fc.asyncProperty(cases, async ([all, needed]) => {
        const left = await ddmin(all, async part => needed.every(each => part.includes(each)), 10_000)
        expect(left).toEqual(needed)
      }),
      { numRuns: 200 },
    )
  })

  it('needs few runs for few of many', async () => {
    let runs = 0
    const all = Array.from({ length: 300 }, (_, i) => i)
    const left = await ddmin(all, async part => ++runs > 0 && [17, 130, 131, 290].every(n => part.includes(n)), 1_000)
    expect(left).toEqual([17, 130, 131, 290])
    expect(runs).toBeLessThan(150)
  })

  it('stops when its runs are used up, with something that still holds', async () => {
    const holds = async (part: readonly number[]) => part.includes(3)
    const left = await ddmin([1, 2, 3, 4, 5, 6, 7, 8], holds, 2)
    expect(await holds(left)).toBe(true)
  })
})
