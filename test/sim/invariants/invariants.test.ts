import { describe, expect, it } from 'vitest'
import type { EngineEvent } from '../../../engine/trace/events.ts'
import { completion } from '../../../sim/invariants/completion.ts'
import { conservation } from '../../../sim/invariants/conservation.ts'
import { fifo } from '../../../sim/invariants/fifo.ts'
import type { Invariant, MakeInvariant } from '../../../sim/invariants/invariant.ts'
import { sequential } from '../../../sim/invariants/sequential.ts'
import { MemoryFiles } from '../../../sim/outside.ts'
import { appliedOf, claimOf, entry, graphOf, twoLoops } from '../support.ts'

const graph = graphOf(twoLoops(3))
const queue = 'queue_out_in'
const push = (key: string) => ['in', `q:${queue}`, entry(key)] as const
const popped = (key: string) => ['out', `q:${queue}`, entry(key)] as const
const claimed = (key: string) => ['in', 'c:in:0', claimOf(queue, key)] as const
const released = (key: string) => ['out', 'c:in:0', claimOf(queue, key)] as const
const letter = (kind: 'in' | 'out', key: string) => [kind, 'dl', `dl-${key}`] as const

/** What an invariant reports of a history. */
function reports(make: MakeInvariant, history: (invariant: Invariant) => void): string[] {
  const seen: string[] = []
  const invariant = make({ graph, report: (_expected, what) => seen.push(what) })
  history(invariant)
  return seen
}

describe('conservation', () => {
  const run = (...steps: Parameters<typeof appliedOf>[]) =>
    reports(conservation, invariant => {
      for (const step of steps) invariant.applied?.(appliedOf(...step))
    })

  it('holds while an item goes from queue to claim to commit', () => {
    expect(
      run(['commit', [push('a')]], ['claim', [popped('a'), claimed('a')]], ['commit', [released('a'), push('b')]]),
    ).toEqual([])
  })
  it('holds when a claim goes back, and when it becomes a dead letter and is requeued', () => {
    const back = ['acquire', [released('a'), push('a')]] as const
    const failed = ['commit', [released('a'), letter('in', 'a')]] as const
    const requeued = ['requeue', [letter('out', 'a'), push('a')]] as const
    const claim = ['claim', [popped('a'), claimed('a')]] as const
    expect(run(['commit', [push('a')]], [...claim], [...back], [...claim], [...failed], [...requeued])).toEqual([])
  })
  it('holds when somebody purges', () => {
    expect(run(['commit', [push('a')]], ['purge-queue', [popped('a')]])).toEqual([])
  })
  it.each<[string, Parameters<typeof appliedOf>[]]>([
    [
      'an item pushed twice',
      [
        ['commit', [push('a')]],
        ['commit', [push('a')]],
      ],
    ],
    [
      'a claim that leaves its item in the queue',
      [
        ['commit', [push('a')]],
        ['claim', [claimed('a')]],
      ],
    ],
    [
      'a claim that loses the item',
      [
        ['commit', [push('a')]],
        ['claim', [popped('a')]],
      ],
    ],
    [
      'a recovery that loses the claim',
      [
        ['commit', [push('a')]],
        ['claim', [popped('a'), claimed('a')]],
        ['acquire', [released('a')]],
      ],
    ],
    [
      'a committed item that comes back',
      [
        ['commit', [push('a')]],
        ['claim', [popped('a'), claimed('a')]],
        ['commit', [released('a')]],
        ['commit', [push('a')]],
      ],
    ],
    [
      'a dead letter that is also back in the queue',
      [
        ['commit', [push('a')]],
        ['claim', [popped('a'), claimed('a')]],
        ['commit', [released('a'), letter('in', 'a'), push('a')]],
      ],
    ],
    [
      'a requeue that forgets to delete',
      [
        ['commit', [letter('in', 'a')]],
        ['requeue', [push('a')]],
      ],
    ],
  ])('notices %s', (_what, steps) => {
    expect(run(...steps)).toHaveLength(1)
  })
  it('goes back in time with the server, and no further', () => {
    const seen = reports(conservation, invariant => {
      invariant.applied?.(appliedOf('commit', [push('a')]))
      const restore = invariant.save?.()
      invariant.applied?.(appliedOf('claim', [popped('a'), claimed('a')]))
      invariant.applied?.(appliedOf('commit', [released('a'), push('b')]))
      restore?.()
      invariant.applied?.(appliedOf('claim', [popped('a'), claimed('a')]))
      invariant.applied?.(appliedOf('commit', [released('a'), push('b')]))
      invariant.applied?.(appliedOf('commit', [push('a')]))
    })
    expect(seen).toHaveLength(1)
  })
  it('counts anew at the end', () => {
    const seen = reports(conservation, invariant => {
      const applied = appliedOf('commit', [push('a')])
      invariant.applied?.(applied)
      void invariant.end?.({
        db: applied.db,
        files: new MemoryFiles({}),
        hasLost: false,
        hasRequeued: false,
        expected: undefined,
      })
    })
    expect(seen).toEqual(['at end it is nowhere'])
  })
})

describe('fifo', () => {
  const run = (...keys: string[]) =>
    reports(fifo, invariant => {
      for (const key of ['a', 'b', 'c']) invariant.applied?.(appliedOf('commit', [push(key)], 'count'))
      for (const key of keys) invariant.applied?.(appliedOf('commit', [released(key)]))
    })

  it('holds in push order, also with a hole', () => {
    expect([run('a', 'b', 'c'), run('a', 'c')]).toEqual([[], []])
  })
  it('notices an item that overtakes', () => {
    expect([run('b', 'a'), run('a', 'c', 'b')].map(seen => seen.length)).toEqual([1, 1])
  })
  it('keeps the place of an item that was returned', () => {
    const seen = reports(fifo, invariant => {
      for (const key of ['a', 'b']) invariant.applied?.(appliedOf('commit', [push(key)], 'count'))
      invariant.applied?.(appliedOf('acquire', [released('a'), push('a')]))
      invariant.applied?.(appliedOf('commit', [released('a')]))
      invariant.applied?.(appliedOf('commit', [released('b')]))
    })
    expect(seen).toEqual([])
  })
  it('gives a requeued item a new place', () => {
    const seen = reports(fifo, invariant => {
      for (const key of ['a', 'b']) invariant.applied?.(appliedOf('commit', [push(key)], 'count'))
      invariant.applied?.(appliedOf('commit', [released('a')]))
      invariant.applied?.(appliedOf('requeue', [letter('out', 'a'), push('a')]))
      for (const key of ['b', 'a']) invariant.applied?.(appliedOf('commit', [released(key)]))
    })
    expect(seen).toEqual([])
  })
})

describe('sequential', () => {
  const event = (type: string, iteration?: number): EngineEvent =>
    ({ type, time: 0, workflow_id: 'w', run: 'r', loop: 'in', node_id: 'done', iteration }) as unknown as EngineEvent
  const run = (...events: [string, number?][]) =>
    reports(sequential, invariant => {
      for (const [type, iteration] of events) invariant.event?.(event(type, iteration), '1.1')
    })

  it('holds for one iteration after another, and for one that a new holder begins again', () => {
    const one = (n: number): [string, number][] => [
      ['iteration_started', n],
      ['node_started', n],
      ['node_completed', n],
      ['iteration_completed', n],
    ]
    expect(run(['loop_started'], ...one(1), ...one(2), ['iteration_started', 3], ['loop_started'], ...one(3))).toEqual(
      [],
    )
  })
  it.each<[string, [string, number?][]]>([
    [
      'an iteration that starts while a node of another works',
      [
        ['iteration_started', 1],
        ['node_started', 1],
        ['iteration_started', 2],
      ],
    ],
    [
      'a node of an iteration that is over, though its commit is still on the way',
      [
        ['iteration_started', 1],
        ['iteration_started', 2],
        ['node_started', 1],
      ],
    ],
    [
      'ends out of order',
      [
        ['iteration_started', 1],
        ['iteration_started', 2],
        ['iteration_completed', 2],
      ],
    ],
    [
      'a node after its iteration',
      [
        ['iteration_started', 1],
        ['iteration_completed', 1],
        ['node_completed', 1],
      ],
    ],
    [
      'a node of another iteration',
      [
        ['iteration_started', 1],
        ['node_started', 2],
      ],
    ],
    ['an end without a beginning', [['iteration_completed', 1]]],
  ])('notices %s', (_what, events) => {
    expect(run(...events).length).toBeGreaterThan(0)
  })
  it('holds while commits follow behind, and when a failure leaves aborted nodes', () => {
    const events: [string, number][] = [
      ['iteration_started', 1],
      ['node_started', 1],
      ['node_failed', 1],
      ['iteration_started', 2],
      ['iteration_failed', 1],
      ['iteration_completed', 2],
    ]
    expect(run(...events)).toEqual([])
  })
})

describe('completion', () => {
  /** The state of the keys, and then a loop that ends. */
  const run = (keys: { ended?: string[]; queue?: string[]; claims?: string[] }, loop: string) =>
    reports(completion, invariant => {
      const applied = appliedOf('complete', [], loop)
      const { db } = applied
      for (const id of keys.ended ?? []) db.hset('oe:{w}:ended', id, 'run-1')
      if (keys.ended !== undefined) invariant.applied?.(applied)
      for (const key of keys.queue ?? []) db.rpush(`oe:{w}:q:${queue}`, entry(key))
      for (const key of keys.claims ?? []) db.rpush('oe:{w}:c:in:0', claimOf(queue, key))
      db.hset('oe:{w}:ended', loop, 'run-1')
      invariant.applied?.(applied)
    })

  it('holds when a writer ends while its queue is full, and a reader when all is empty', () => {
    expect(run({ queue: ['a'] }, 'count')).toEqual([])
    expect(run({ ended: ['count'] }, 'in')).toEqual([])
  })
  it.each<[string, Parameters<typeof run>]>([
    ['a reader that ends before its writer', [{}, 'in']],
    ['a reader that ends before its queue is empty', [{ ended: ['count'], queue: ['a'] }, 'in']],
    ['a reader that ends before its claim is committed', [{ ended: ['count'], claims: ['a'] }, 'in']],
  ])('notices %s', (_what, [keys, loop]) => {
    expect(run(keys, loop)).toHaveLength(1)
  })
  it('notices work after the end, and a second end', () => {
    const seen = reports(completion, invariant => {
      const applied = appliedOf('commit', [released('a')], 'count')
      applied.db.hset('oe:{w}:ended', 'count', 'run-1')
      invariant.applied?.({ ...applied, moves: [] })
      invariant.applied?.(applied)
      const told: EngineEvent = { type: 'loop_completed', time: 0, workflow_id: 'w', run: 'run-1', loop: 'in' }
      invariant.event?.(told, '1.1')
      invariant.event?.(told, '1.1')
    })
    expect(seen).toEqual(['commit moved 1 items', 'it completed again'])
  })
  it('notices a workflow that is called completed while a loop is not', () => {
    const seen = reports(completion, invariant => {
      const { db } = appliedOf('x', [])
      db.hset('oe:{w}:meta', 'status', 'completed')
      void invariant.end?.({ db, files: new MemoryFiles({}), hasLost: false, hasRequeued: false, expected: undefined })
    })
    expect(seen).toEqual(['not ended: count, in'])
  })
})
