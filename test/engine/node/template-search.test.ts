/** The linear search agrees with the host's, on the repetitive texts it exists for. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from '../../../engine/limits.ts'
import { Run } from '../../../engine/node/template/run.ts'
import { finder, includesText, lastIndexOf } from '../../../engine/node/template/search.ts'
import { scopeOf } from '../../support/template-scope.ts'

const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 400 })
const needle = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 60 }),
  fc
    .tuple(fc.constantFrom('a', 'ab', 'aab'), fc.integer({ min: 1, max: 40 }))
    .map(([unit, times]) => unit.repeat(times)),
)
const run = () => new Run(scopeOf({}))

test('finder, includesText and lastIndexOf find what indexOf, includes and lastIndexOf find', () => {
  fc.assert(
    fc.property(text, needle, text, fc.nat(500), (before, wanted, after, from) => {
      for (const whole of [before + wanted + after, before + after]) {
        expect(finder(run(), whole, wanted)(Math.min(from, whole.length))).toBe(whole.indexOf(wanted, from))
        expect(includesText(run(), whole, wanted)).toBe(whole.includes(wanted))
        expect(lastIndexOf(run(), whole, wanted)).toBe(whole.lastIndexOf(wanted))
      }
    }),
    { numRuns: 2_000 },
  )
})

test('a search is paid for by the length of both texts', () => {
  const paying = run()
  const long = 'a'.repeat(limits.payloadBytesMax)
  expect(() => {
    for (let i = 0; i < 20; i++) finder(paying, long, 'b')
  }).toThrow(expect.objectContaining({ code: 'TEMPLATE_BUDGET' }))
})
