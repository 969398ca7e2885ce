/** One plan, one trace, byte for byte: on this machine as on the one where the hashes were stored. */
import { expect, it } from 'vitest'
import { differing, storedHashes, traceHashes, writeThem } from './trace-hashes.ts'

it('the stored traces are those of today', async () => {
  const names = differing(await traceHashes())
  const advice = `if the engine or the simulator was meant to change: ${writeThem}`
  expect(names, advice).toEqual([])
})

it('a trace that is missing, new or another one differs', () => {
  const [name = '', ...others] = Object.keys(storedHashes())
  const { [name]: _, ...fewer } = storedHashes()
  expect(differing(fewer)).toEqual([name])
  expect(differing({ ...storedHashes(), more: 'x', [others[0] as string]: 'y' })).toEqual([others[0], 'more'])
  for (const hash of Object.values(storedHashes())) expect(hash).toMatch(/^[0-9a-f]{64}$/)
})
