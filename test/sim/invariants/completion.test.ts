import { describe, expect, it } from 'vitest'
import { completion } from '../../../sim/invariants/completion.ts'
import { graphOf, twoLoops } from '../support.ts'
import { eventOf, reports } from './history.ts'

const graph = graphOf({ ...twoLoops(3), settings: { loops: { in: { pool: 'process' } } } })

/** The loop in the worker is told as complete; Redis then goes back to just after that, so many times. */
const told = (losses: number, completions: number): string[] =>
  reports(completion, graph, invariant => {
    const complete = (): void => invariant.event?.(eventOf('loop_completed', {}, 'in'), '1.1/1')
    complete()
    const restore = invariant.save?.()
    for (let i = 0; i < losses; i++) restore?.()
    for (let i = 0; i < completions; i++) complete()
  })

describe('what a worker told while Redis went back in time', () => {
  it.each([
    [0, 1, 1],
    [1, 1, 0],
    [1, 2, 1],
    [2, 2, 0],
  ])('after %i losses and %i more completions', (losses, completions, violations) => {
    expect(told(losses, completions)).toHaveLength(violations)
  })
})
