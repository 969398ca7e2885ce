/** What a workflow is doing, folded from events, in bounded memory. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../../engine/limits.ts'
import { Ring } from '../../../engine/trace/ring.ts'
import { StateTracker } from '../../../engine/trace/state-tracker.ts'

const at = { time: 0, workflow_id: 'w', run: 'run-1', loop: 'l', iteration: 1 }
const node = (id: string) => ({ ...at, node_id: id, node_type: 'log' })

test('Ring keeps the last ones in order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 9 }), (items, max) => {
      const ring = new Ring<number>(max)
      for (const item of items) ring.push(item)
      expect(ring.toArray()).toEqual(items.slice(-max))
      expect(ring.total).toBe(items.length)
    }),
  )
})

describe('StateTracker', () => {
  test('knows what executes, what completed, and forgets what an aborted iteration left open', () => {
    const tracker = new StateTracker()
    tracker.see({ type: 'iteration_started', ...at })
    for (const id of ['a', 'b', 'c']) tracker.see({ type: 'node_started', ...node(id) })
    tracker.see({ type: 'node_completed', ...node('a'), duration: 0.5, route: 'yes' })
    expect(tracker.loop('l')).toEqual({
      iteration: 1,
      executing_nodes: ['b', 'c'],
      completed_nodes: [{ node_id: 'a', iteration: 1, duration: 0.5, route: 'yes' }],
      completed_count: 1,
    })
    const error = { name: 'Error', code: 'NODE_FAILED', message: 'x' }
    tracker.see({ type: 'node_failed', ...node('b'), error, duration: 0 })
    tracker.see({ type: 'iteration_failed', ...at, error, duration: 0 })
    expect(tracker.loop('l').executing_nodes).toEqual([])
    expect(tracker.loop('other')).toMatchObject({ iteration: 0, completed_count: 0 })
  })

  test('remembers a bounded number of completed nodes', () => {
    const tracker = new StateTracker()
    for (let i = 0; i < 1000; i++) tracker.see({ type: 'node_completed', ...node(`n${i}`), duration: 0 })
    expect(tracker.loop('l').completed_nodes).toHaveLength(limits.completedNodesMax)
    expect(tracker.loop('l').completed_count).toBe(1000)
  })
})
