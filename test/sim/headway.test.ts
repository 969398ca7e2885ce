import { expect, it } from 'vitest'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { Headway } from '../../sim/headway.ts'

const event = (type: string, iteration = 1) => ({ type, loop: 'in', iteration }) as EngineEvent

it('is made by each node that completes, and not again by what is done again', () => {
  const headway = new Headway()
  const see = (...types: string[]) => types.map(type => headway.see(event(type)))
  expect(see('iteration_started', 'node_completed', 'node_completed')).toEqual([false, true, true])
  // a crash: the same once more, and then further
  const again = see('iteration_started', 'node_completed', 'node_completed', 'node_completed', 'node_failed')
  expect(again).toEqual([false, false, false, true, false])
})

it('is made by each iteration on its own', () => {
  const headway = new Headway()
  expect([1, 2, 1, 2].map(n => headway.see(event('node_completed', n)))).toEqual([true, true, true, true])
  headway.see(event('iteration_completed'))
  expect(headway.see(event('node_completed'))).toBe(true)
})
