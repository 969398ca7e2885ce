import { describe, expect, it } from 'vitest'
import { MemoryServer } from '../../../engine/memory-redis/server.ts'
import type { Invariant } from '../../../sim/invariants/invariant.ts'
import { lifecycle } from '../../../sim/invariants/lifecycle.ts'
import type { InstanceNews } from '../../../sim/life.ts'
import { appliedOf, graphOf, twoLoops } from '../support.ts'
import { reports } from './history.ts'

const graph = graphOf(twoLoops(3))
const { db } = new MemoryServer()
const told = (what: InstanceNews['what'], instance = 1): InstanceNews => ({ pid: 1001, node: 'in', instance, what })
const ends = (open: readonly string[] = []) =>
  ({ daemon: 1, pid: 1001, teller: '1.1', what: 'ends', status: 'stopped', open }) as const

const instances = (...whats: InstanceNews['what'][]): string[] =>
  reports(lifecycle, graph, invariant => {
    for (const what of whats) invariant.instance?.(told(what))
    invariant.life?.(ends(), db)
  })

describe('lifecycle', () => {
  it('holds for an instance that is set up, works and is cleaned up, and for one that never got to work', () => {
    expect(instances('is set up', 'executes', 'executes', 'is cleaned up')).toEqual([])
    expect(instances('is set up', 'is cleaned up')).toEqual([])
    expect(instances()).toEqual([])
  })
  it.each<[string, InstanceNews['what'][]]>([
    ['a second setup', ['is set up', 'is set up', 'is cleaned up']],
    ['work before the setup', ['executes', 'is set up', 'is cleaned up']],
    ['work after the cleanup', ['is set up', 'is cleaned up', 'executes']],
    ['a second cleanup', ['is set up', 'is cleaned up', 'is cleaned up']],
    ['an instance that is not cleaned up', ['is set up', 'executes']],
  ])('notices %s', (_what, whats) => {
    expect(instances(...whats)).toHaveLength(1)
  })
  it('holds for an instance that another replaced, and asks nothing of one whose daemon died', () => {
    const seen = reports(lifecycle, graph, invariant => {
      invariant.instance?.(told('is set up'))
      invariant.instance?.(told('is cleaned up'))
      invariant.instance?.(told('is set up', 2))
      invariant.life?.({ daemon: 1, pid: 1001, teller: '1.1', what: 'dies' }, db)
      invariant.life?.(ends(), db)
    })
    expect(seen).toEqual([])
  })
  it('notices what is left open', () => {
    expect(reports(lifecycle, graph, invariant => invariant.life?.(ends(['2 sleeps']), db))).toEqual(['2 sleeps'])
  })

  /** A replica is held by life 1001, which ends. */
  const leaves = (holder: string, before: (invariant: Invariant) => void = () => undefined): string[] =>
    reports(lifecycle, graph, invariant => {
      const keys = new MemoryServer().db
      keys.sadd('oe:{w}:replicas', 'in:0')
      keys.hset('oe:{w}:r:in:0', 'holder', holder, 'pid', '1001')
      before(invariant)
      invariant.life?.(ends(), keys)
    })
  const answer = (op: string, reply: string) => ({
    ...appliedOf(op, []),
    args: ['in', '0', 'me', 't', '1', 'return'],
    outcome: { ok: true, reply, changed: reply !== 'diverged' } as const,
  })
  it('notices a lease that is not given back', () => {
    expect(leaves('')).toEqual([])
    expect(leaves('me')).toEqual(['it holds "in:0" as me'])
    expect(leaves('me', invariant => invariant.applied?.(answer('commit', 'ok')))).toHaveLength(1)
  })
  it('does not hold against a daemon what Redis forgot', () => {
    expect(leaves('me', invariant => invariant.applied?.(answer('release', 'released\n0')))).toEqual([])
    expect(leaves('me', invariant => invariant.applied?.(answer('commit', 'diverged')))).toEqual([])
  })
})
