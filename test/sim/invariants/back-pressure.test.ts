import { describe, expect, it } from 'vitest'
import { backPressure } from '../../../sim/invariants/back-pressure.ts'
import { appliedOf, entry, graphOf, twoLoops } from '../support.ts'
import { reports } from './history.ts'

const graph = graphOf({ ...twoLoops(3), settings: { queues: { max_length: 2 } } })
const key = 'q:queue_out_in'

/** An operation that found `before` items, pushed those named, and then took `taken` away. */
function run(op: string, before: number, pushed: readonly string[], taken = 0): string[] {
  return reports(backPressure, graph, invariant => {
    const ins = pushed.map(name => ['in', key, entry(name)] as const)
    const outs = Array.from({ length: taken }, (_, i) => ['out', key, entry(`old.${i}`)] as const)
    const applied = appliedOf(op, [...ins, ...outs], 'count')
    for (let i = 0; i < before + pushed.length - taken; i++) applied.db.rpush(`oe:{w}:${key}`, entry(`x.${i}`))
    invariant.applied?.(applied)
  })
}

describe('back-pressure', () => {
  it.each<[string, Parameters<typeof run>]>([
    ['a queue that becomes exactly full', ['commit', 1, ['a.0']]],
    ['one iteration that brings more than a whole queue into an empty one', ['commit', 0, ['a.0', 'a.1', 'a.2']]],
    ['one push that does', ['push', 0, ['a.0', 'b.0', 'c.0']]],
    ['claims that come back into a full queue', ['acquire', 2, ['a.0']]],
    ['a commit that leaves a queue alone which was too long already', ['commit', 4, []]],
  ])('holds for %s', (_what, history) => {
    expect(run(...history)).toEqual([])
  })

  it.each<[string, Parameters<typeof run>]>([
    ['one more than fits', ['commit', 2, ['a.0']]],
    ['more than a whole queue into one that is not empty', ['commit', 1, ['a.0', 'a.1', 'a.2']]],
    ['two iterations of a group that together bring too much', ['commit', 0, ['a.0', 'a.1', 'b.0']]],
    ['a push into a full queue', ['push', 2, ['a.0']]],
    ['room that the commit makes only afterwards', ['commit', 2, ['a.0'], 1]],
  ])('notices %s', (_what, history) => {
    expect(run(...history)).toHaveLength(1)
  })

  it('leaves queues without a limit alone', () => {
    const free = graphOf({ ...twoLoops(3), settings: { queues: { max_length: 0 } } })
    const seen = reports(backPressure, free, invariant => {
      const applied = appliedOf('commit', [['in', key, entry('a.0')]], 'count')
      for (let i = 0; i < 50; i++) applied.db.rpush(`oe:{w}:${key}`, entry(`x.${i}`))
      invariant.applied?.(applied)
    })
    expect(seen).toEqual([])
  })
})
