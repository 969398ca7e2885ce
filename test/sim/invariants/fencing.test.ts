import { describe, expect, it } from 'vitest'
import { MemoryServer } from '../../../engine/memory-redis/server.ts'
import { fencing } from '../../../sim/invariants/fencing.ts'
import type { Invariant } from '../../../sim/invariants/invariant.ts'
import { appliedOf, graphOf, twoLoops } from '../support.ts'
import { eventOf, reports } from './history.ts'

const graph = graphOf(twoLoops(3))
const replica = 'oe:{w}:r:in:0'

/** A server on which operations leave the replica as told: `holder seq token`, at a time in milliseconds. */
function bench(invariant: Invariant) {
  const server = new MemoryServer()
  const apply = (op: string, args: string, how: { leaves?: string; atMs?: number } = {}): void => {
    const { leaves, atMs = 0 } = how
    const [holder = '', seq = '', token = ''] = (leaves ?? '').split(' ')
    const outcome = server.run(atMs, db => {
      if (leaves !== undefined)
        db.hset(replica, 'holder', holder, 'pid', '1', 'seq', seq, 'last_token', token, 'lease_until', '100')
      return 'ok'
    })
    const base = appliedOf(op, [])
    invariant.applied?.({ ...base, args: ['in', '0', ...args.split(' ')], outcome, db: server.db, ms: atMs })
  }
  apply('acquire', 'me t0 10000 b 1 s  spare h r', { leaves: 'me 1 t0' })
  return apply
}

const run = (history: (apply: ReturnType<typeof bench>) => void): string[] =>
  reports(fencing, graph, invariant => history(bench(invariant)))

describe('fencing', () => {
  it('holds for the holder, and for others who change nothing', () => {
    const seen = run(apply => {
      apply('claim', 'me t1 1', { leaves: 'me 2 t1' })
      apply('claim', 'me t1 1')
      apply('commit', 'other t9 2')
      apply('commit', 'me t2 1')
      apply('commit', 'me t2 2', { leaves: 'me 3 t2' })
    })
    expect(seen).toEqual([])
  })
  it.each([
    ['a commit of somebody else', 'other t1 1'],
    ['a commit with a seq of before', 'me t1 0'],
    ['a commit with a token that was said', 'me t0 1'],
  ])('notices %s', (_what, args) => {
    expect(run(apply => apply('commit', args, { leaves: 'me 2 t1' }))).toHaveLength(1)
  })
  it.each([
    ['when it has run out', { leaves: 'you 2 t1', atMs: 100 }, '', 0],
    ['from a holder known to be gone', { leaves: 'you 2 t1', atMs: 99 }, 'me', 0],
    ['just before it runs out', { leaves: 'you 2 t1', atMs: 99 }, '', 1],
    ['because another holder is gone', { leaves: 'you 2 t1', atMs: 99 }, 'third', 1],
  ])('a lease is taken over %s', (_what, how, gone, violations) => {
    expect(run(apply => apply('acquire', `you t1 10000 b 1 s ${gone} spare h r`, how))).toHaveLength(violations)
  })
  it.each([
    ['runs out under a daemon that is well', [], 1],
    ['runs out while its loop rests after a crash', ['LOOP_CRASHED'], 0],
    ['runs out although Redis made others wait', ['REDIS_READONLY'], 1],
  ])('a lease that %s', (_what, codes, violations) => {
    const seen = reports(fencing, graph, invariant => {
      invariant.life?.({ what: 'begins', pid: 1, daemon: 1, teller: '1.1' }, appliedOf('claim', []).db)
      const apply = bench(invariant)
      for (const code of codes) invariant.event?.(eventOf('warning', { code }, 'in'), '1.1')
      apply('acquire', 'you t1 10000 b 2 s  spare h r', { leaves: 'you 2 t1', atMs: 40_000 })
    })
    expect(seen).toHaveLength(violations)
  })
  it('goes back in time with the server', () => {
    const seen = reports(fencing, graph, invariant => {
      const apply = bench(invariant)
      const restore = invariant.save?.()
      apply('commit', 'me t1 1', { leaves: 'me 2 t1' })
      restore?.()
      apply('commit', 'me t2 1', { leaves: 'me 2 t2' })
    })
    expect(seen).toEqual([])
  })
})
