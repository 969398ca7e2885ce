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

  const taken = [
    ['out', `q:${queue}`, entry('a')],
    ['in', 'c:in:0', claimOf(queue, 'a')],
  ] as const
  type Call = { token: string; when: 'before' | 'after'; takes?: false; pid?: number }
  /** Calls sent before and after life 1001 was told to stop, which the server then carries out. */
  const calls = (...sent: Call[]): string[] =>
    reports(drain, graph, invariant => {
      const send = ({ token, pid = 1001 }: Call): void =>
        invariant.sent?.({ op: 'claim', loop: 'in', n: 1, pid, args: ['in', '0', 'me', token] })
      for (const call of sent) if (call.when === 'before') send(call)
      invariant.life?.({ daemon: 1, pid: 1001, teller: '1.1', what: 'is told to stop' }, appliedOf('x', []).db)
      for (const call of sent) if (call.when === 'after') send(call)
      for (const { token, takes } of sent) {
        invariant.applied?.({ ...appliedOf('claim', takes === false ? [] : taken), args: ['in', '0', 'me', token] })
      }
    })
  it('holds for what was decided before the stop, also when it is sent again after it', () => {
    expect(calls({ token: 'me:1', when: 'before' }, { token: 'me:1', when: 'after' })).toEqual([])
  })
  it('holds for a commit after the stop that claims nothing, and for another daemon', () => {
    expect(calls({ token: 'me:2', when: 'after', takes: false })).toEqual([])
    expect(calls({ token: 'you:1', when: 'after', pid: 2001 })).toEqual([])
  })
  it('notices a claim that was decided after the stop', () => {
    const seen = calls({ token: 'me:1', when: 'before' }, { token: 'me:2', when: 'after' })
    expect(seen).toEqual(['claim claimed 1 items'])
  })
})
