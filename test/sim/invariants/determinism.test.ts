import { describe, expect, it } from 'vitest'
import { determinism } from '../../../sim/invariants/determinism.ts'

const line = (ms: number, op = 'claim'): string => JSON.stringify({ ms, op })

describe('determinism', () => {
  it('holds for the same trace again', () => {
    expect(determinism([line(1), line(2)], [line(1), line(2)])).toBeUndefined()
    expect(determinism([], [])).toBeUndefined()
  })
  it('names the first line that differs, with its time', () => {
    const seen = determinism([line(1), line(2), line(3)], [line(1), line(2, 'commit'), line(4)])
    expect(seen).toEqual({ expected: line(2), seen: line(2, 'commit'), at: 2 })
  })
  it('notices a trace that is shorter, or longer', () => {
    expect(determinism([line(1), line(2)], [line(1)])).toEqual({
      expected: line(2),
      seen: 'the trace ends here',
      at: 2,
    })
    expect(determinism([line(1)], [line(1), line(2)])).toEqual({
      expected: 'the trace ends here',
      seen: line(2),
      at: 2,
    })
  })
})
