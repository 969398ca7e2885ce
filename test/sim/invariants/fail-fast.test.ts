import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../engine/json.ts'
import { failFast } from '../../../sim/invariants/fail-fast.ts'
import type { Invariant } from '../../../sim/invariants/invariant.ts'
import { appliedOf, claimOf, entry, graphOf, twoLoops } from '../support.ts'
import { eventOf, reports } from './history.ts'

const graph = graphOf(twoLoops(3))
const queue = 'queue_out_in'
const letter: JsonObject = {
  id: 'dl-a',
  time: 1,
  workflow: 'w',
  run: 'run-1',
  loop: 'in',
  iteration: 1,
  node: 'done',
  node_type: 'queue-writer',
  error: { name: 'Error', code: 'X', message: 'm' },
  item: { id: 'a', data: {}, metadata: {} },
  deliveries: 1,
  trace_id: 't',
  queue,
}

/** Item `a` is claimed, fails, and leaves this record. */
function dies(invariant: Invariant, record: JsonObject = letter): void {
  const failed = appliedOf('commit', [
    ['out', 'c:in:0', claimOf(queue, 'a')],
    ['in', 'dl', 'dl-a'],
  ])
  failed.db.hset('oe:{w}:dl', 'dl-a', JSON.stringify(record))
  invariant.applied?.(failed)
}
const claims = (invariant: Invariant, key: string): void => {
  const moves = [
    ['out', `q:${queue}`, entry(key)],
    ['in', 'c:in:0', claimOf(queue, key)],
  ] as const
  invariant.applied?.(appliedOf('claim', moves))
}

describe('fail-fast', () => {
  it('holds for a letter with its context, and for another item afterwards', () => {
    const seen = reports(failFast, graph, invariant => {
      claims(invariant, 'a')
      dies(invariant)
      claims(invariant, 'b')
    })
    expect(seen).toEqual([])
  })
  it('holds when somebody requeues the item', () => {
    const seen = reports(failFast, graph, invariant => {
      dies(invariant)
      invariant.applied?.(
        appliedOf('requeue', [
          ['out', 'dl', 'dl-a'],
          ['in', `q:${queue}`, entry('a')],
        ]),
      )
      claims(invariant, 'a')
    })
    expect(seen).toEqual([])
  })
  it('notices an item that is tried again on its own', () => {
    const seen = reports(failFast, graph, invariant => {
      dies(invariant)
      claims(invariant, 'a')
    })
    expect(seen).toEqual(['claim of "in" claimed it'])
  })
  it.each([
    ['without its error', { ...letter, error: null }, 'it has no error'],
    ['without its node', { ...letter, node: 7 }, 'it has no node'],
    ['of another loop', { ...letter, loop: 'count' }, 'it says "count"'],
  ])('notices a letter %s', (_what, record, seen) => {
    expect(reports(failFast, graph, invariant => dies(invariant, record))).toEqual([seen])
  })
  it('lets an item be poison after three deaths, and not before', () => {
    const poison = (deliveries: number): JsonObject => ({ ...letter, error: { code: 'POISON' }, deliveries })
    expect(reports(failFast, graph, invariant => dies(invariant, poison(4)))).toEqual([])
    expect(reports(failFast, graph, invariant => dies(invariant, poison(3)))).toEqual(['it was given up after 2'])
  })
  it('forgets a death that Redis forgot', () => {
    const seen = reports(failFast, graph, invariant => {
      const restore = invariant.save?.()
      dies(invariant)
      restore?.()
      claims(invariant, 'a')
    })
    expect(seen).toEqual([])
  })

  const events = (...types: Parameters<typeof eventOf>[0][]): string[] =>
    reports(failFast, graph, invariant => {
      for (const type of types) invariant.event?.(eventOf(type, { node_id: 'done' }), '1.1')
      void invariant.end?.({} as never)
    })
  it('holds for an iteration told as failed, and for one that succeeds when it is begun again', () => {
    expect(events('iteration_started', 'node_failed', 'iteration_failed', 'dead_letter')).toEqual([])
    expect(events('iteration_started', 'node_failed', 'iteration_started', 'iteration_completed')).toEqual([])
  })
  it.each<[string, Parameters<typeof events>]>([
    ['a failure that is told as a success', ['iteration_started', 'node_failed', 'iteration_completed']],
    ['a failure without a letter', ['iteration_started', 'node_failed', 'iteration_failed']],
    ['a letter without a failure', ['iteration_started', 'dead_letter']],
  ])('notices %s', (_what, types) => {
    expect(events(...types)).toHaveLength(1)
  })
})
