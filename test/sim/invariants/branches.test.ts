import { describe, expect, it } from 'vitest'
import type { EngineEvent } from '../../../engine/trace/events.ts'
import { branches } from '../../../sim/invariants/branches.ts'
import { graphOf, workflowOf } from '../support.ts'
import { eventOf, reports } from './history.ts'

const graph = graphOf(
  workflowOf(
    [
      ['count', 'counter', { min_value: 1, max_value: 2 }],
      ['odd', 'if-condition', { condition_expression: 'data.counter.current % 2 == 1' }],
      ['note', 'log', { message: 'odd' }],
      ['join', 'log', { message: 'both' }],
      ['each', 'for-each', { array_expression: '[1, 2]' }],
      ['a', 'log', { message: 'a' }],
      ['b', 'log', { message: 'b' }],
    ],
    'count>odd odd>note:yes note>join odd>join:no join>each each>a:subdag a>b',
  ),
)

/** `x` ran, `x-` was skipped, `x=route` ran and chose, `x(` only began, `x)` ended. */
function run(text: string): string[] {
  const events: EngineEvent[] = []
  for (const word of text.split(' ').filter(each => each !== '')) {
    const [, node_id = '', sign = '', route] = /^(\w+)([-=()]?)(\w*)$/.exec(word) ?? []
    if (sign === '-') events.push(eventOf('node_skipped', { node_id }))
    if (sign !== '-' && sign !== ')') events.push(eventOf('node_started', { node_id }))
    if (sign !== '-' && sign !== '(')
      events.push(eventOf('node_completed', { node_id, ...(sign === '=' && { route }) }))
  }
  return reports(branches, graph, invariant => {
    for (const event of [eventOf('iteration_started'), ...events]) invariant.event?.(event, '1.1')
    invariant.event?.(eventOf('iteration_completed'), '1.1')
  })
}

describe('branches', () => {
  it.each([
    ['the one branch', 'odd=yes note join each( a b a b each)'],
    ['the other', 'odd=no note- join each( a b a b each)'],
    ['a port in capitals', 'odd=YES note join each( a b each)'],
    ['a body that never goes round', 'odd=no note- join each'],
  ])('hold for %s', (_what, text) => {
    expect(run(text)).toEqual([])
  })
  it.each([
    ['the branch that was not chosen', 'odd=no note join each'],
    ['a chosen branch that is skipped', 'odd=yes note- join each'],
    ['a join that runs twice', 'odd=yes note join join each'],
    ['a join that waits for a dead branch', 'odd=no note- join- each-'],
    ['a join that does not wait for its branch', 'odd=yes note( join note) each'],
    ['a step that is left out', 'odd=no note- join'],
    ['a step that never completes', 'odd=no note- join( each'],
    ['a body cut short', 'odd=no note- join each( a b a each)'],
    ['rounds that overlap', 'odd=no note- join each( a a b b each)'],
    ['a round in the wrong order', 'odd=no note- join each( b a each)'],
  ])('notice %s', (_what, text) => {
    expect(run(text)).toHaveLength(1)
  })
  it('do not judge what failed', () => {
    const seen = reports(branches, graph, invariant => {
      invariant.event?.(eventOf('iteration_started'), '1.1')
      invariant.event?.(eventOf('iteration_failed'), '1.1')
    })
    expect(seen).toEqual([])
  })
})
