import { describe, expect, it } from 'vitest'
import { limits } from '../../../engine/limits.ts'
import { supervision } from '../../../sim/invariants/supervision.ts'
import { graphOf, twoLoops } from '../support.ts'
import { eventOf, reports } from './history.ts'

const graph = graphOf(twoLoops(3))

/** Crashes (`c`), processed iterations (`i`) and being given up (`f`) of the loop `in`, each told by a life and worker. */
function run(history: string, teller = '1.1/1'): string[] {
  return reports(supervision, graph, invariant => {
    for (const word of history) {
      if (word === 'i') invariant.event?.(eventOf('iteration_completed', {}, 'in'), teller)
      else {
        const code = word === 'f' ? 'LOOP_FAILED' : 'LOOP_CRASHED'
        invariant.event?.(eventOf('warning', { code }, 'in'), '1.1')
      }
    }
  })
}

const many = 'c'.repeat(limits.crashesMax + 1)

describe('supervision', () => {
  it.each([
    ['no crash at all', 'iii'],
    ['crashes in a row, one too many', `${many}f`],
    ['crashes in a row after some that were not', `cci${many}f`],
  ])('holds for %s', (_what, history) => expect(run(history)).toEqual([]))

  it.each([
    ['one crash', 'cf'],
    ['as many as are allowed', `${many.slice(1)}f`],
    ['many with something processed in between', `${many.slice(1)}icf`],
    ['a second time, after fewer', `${many}fcf`],
  ])('notices a loop that is given up after %s', (_what, history) => expect(run(history)).toHaveLength(1))

  it('does not take what another daemon processed for its own', () => {
    expect(run(`${many.slice(1)}icf`, '2.1/1')).toEqual([])
  })
})
