import { describe, expect, it } from 'vitest'
import { drain } from '../../../sim/invariants/drain.ts'
import { appliedOf, claimOf, entry, graphOf, twoLoops } from '../support.ts'
import { reports } from './history.ts'

const graph = graphOf(twoLoops(3))
const queue = 'queue_out_in'

type Release = { how?: string; left?: readonly string[]; back?: readonly string[]; holder?: string; claims?: number }

function run({ how = 'return', left = [], back = [], holder = '', claims = 0 }: Release): string[] {
  return reports(drain, graph, invariant => {
    const outs = left.map(key => ['out', 'c:in:0', claimOf(queue, key)] as const)
    const ins = back.map(value => ['in', `q:${queue}`, value] as const)
    const applied = appliedOf('release', [...outs, ...ins])
    applied.db.hset('oe:{w}:r:in:0', 'holder', holder)
    for (let i = 0; i < claims; i++) applied.db.rpush('oe:{w}:c:in:0', claimOf(queue, `x${i}`))
    invariant.applied?.({ ...applied, args: ['in', '0', 'me', 't', '1', how] })
  })
}

describe('drain', () => {
  it.each<[string, Release]>([
    ['claims that go back', { left: ['a', 'b'], back: [entry('b'), entry('a')] }],
    ['nothing claimed', {}],
    ['claims kept because the drain timed out', { how: 'keep', claims: 1 }],
  ])('holds for %s', (_what, release) => {
    expect(run(release)).toEqual([])
  })
  it.each<[string, Release]>([
    ['claims that are left', { claims: 1 }],
    ['a holder that stays', { holder: 'me' }],
    ['a charge for what is given back', { left: ['a'], back: [entry('a').replace(/^0/, 's1')] }],
    ['a claim that goes nowhere', { left: ['a', 'b'], back: [entry('a')] }],
  ])('notices %s', (_what, release) => {
    expect(run(release)).toHaveLength(1)
  })
})
