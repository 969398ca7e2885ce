import { describe, expect, it } from 'vitest'
import { disarranged, queuesOf, withArrivals } from '../../sim/arrivals.ts'
import type { FaultKind } from '../../sim/faults.ts'
import { inputsHash } from '../../sim/outside.ts'
import { fault, planOf, workflowOf } from './support.ts'

const { workflow, files } = withArrivals(workflowOf([['in', 'queue-reader', { queue_name: 'orders' }]], ''), [
  { at: 0, queue: 'orders', data: { n: 1 } },
  { at: 0, queue: 'orders', data: { n: 2 } },
  { at: 5_000, queue: 'orders', data: { n: 3 } },
])

function arrivingWith(...faults: [FaultKind, number][]) {
  const events = faults.map(([kind, n]) => fault(kind, `arrive orders ${n}`))
  const plan = { ...planOf(workflow, events), files: { ...files, 'sim:must': `${inputsHash('hash', files)}\n{}` } }
  const arrived = disarranged(plan, 'hash')
  const lines = (arrived.files['arrivals-orders.jsonl'] as string).split('\n').map(line => JSON.parse(line))
  return { ...arrived, seen: lines.map(({ wait, data }) => [wait, data.n]) }
}

describe('arrivals', () => {
  it('are known by the queues that they come into', () => expect(queuesOf(files)).toEqual(['orders']))

  it.each<[string, [FaultKind, number][], number[][]]>([
    [
      'come as they were sent',
      [],
      [
        [0, 1],
        [0, 2],
        [5, 3],
      ],
    ],
    [
      'come twice',
      [['arrival-duplicate', 2]],
      [
        [0, 1],
        [0, 2],
        [0, 2],
        [5, 3],
      ],
    ],
    [
      'come before those sent before them',
      [['arrival-reordered', 2]],
      [
        [0, 1],
        [0, 3],
        [5, 2],
      ],
    ],
    [
      'have nobody to overtake',
      [['arrival-reordered', 3]],
      [
        [0, 1],
        [0, 2],
        [5, 3],
      ],
    ],
    [
      'are not there',
      [['arrival-duplicate', 9]],
      [
        [0, 1],
        [0, 2],
        [5, 3],
      ],
    ],
  ])('%s', (_what, faults, seen) => expect(arrivingWith(...faults).seen).toEqual(seen))

  it('say which faults came about', () => {
    const { applied } = arrivingWith(['arrival-duplicate', 1], ['arrival-duplicate', 9], ['restart', 1])
    expect(applied.map(({ kind, args }) => [kind, args.n])).toEqual([['arrival-duplicate', 1]])
  })

  it('leave what must hold in force', () => {
    const { files: changed } = arrivingWith(['arrival-duplicate', 1])
    expect(changed['sim:must']).toBe(`${inputsHash('hash', changed)}\n{}`)
  })
})
