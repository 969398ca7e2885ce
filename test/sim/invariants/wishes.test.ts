import { describe, expect, it } from 'vitest'
import { MemoryServer } from '../../../engine/memory-redis/server.ts'
import { keysOf } from '../../../engine/store/keys.ts'
import type { Invariant } from '../../../sim/invariants/invariant.ts'
import { wishes } from '../../../sim/invariants/wishes.ts'
import { appliedOf, claimOf, graphOf, twoLoops } from '../support.ts'
import { reports } from './history.ts'

const keys = keysOf('w')
const graph = graphOf(twoLoops(3))
const queue = graph.queues[0]?.name as string
/** The default lease, and what hearing takes. */
const heardMs = 10_000 + 3_000

function bench(invariant: Invariant) {
  const { db } = new MemoryServer()
  const desires = (loop: string, wish: string, ms: number): void => {
    db.hset(keys.desired, loop, wish)
    invariant.applied?.({ ...appliedOf('desire', [], ''), args: [loop, wish, '*'], ms, db })
  }
  const claims = (ms: number, loop = 'in'): void =>
    invariant.applied?.({ ...appliedOf('claim', [['in', `c:${loop}:0`, claimOf(queue, 'a')]], loop), ms, db })
  return { desires, claims, invariant, beginsAnew: () => db.del(keys.desired) }
}

const run = (history: (bench_: ReturnType<typeof bench>) => void): string[] =>
  reports(wishes, graph, invariant => history(bench(invariant)))

describe('a pause', () => {
  it.each(['in', ''])('of "%s" lets nothing be claimed once it must be known', of => {
    const told = run(({ desires, claims }) => {
      desires(of, 'pause', 100)
      claims(100 + heardMs + 1)
    })
    expect(told).toHaveLength(1)
  })
  it('may take as long as a renewal to be heard of', () => {
    const told = run(({ desires, claims }) => {
      desires('in', 'pause', 100)
      claims(100 + heardMs)
    })
    expect(told).toEqual([])
  })
  it('is not heard of while something is disturbed', () => {
    const told = run(({ desires, claims, invariant }) => {
      desires('in', 'pause', 100)
      desires('other', 'pause', 9_000)
      invariant.disturbed?.('latency', { op: 'renew', loop: '', n: 1 })
      claims(100 + heardMs + 1)
      claims(9_000 + heardMs + 1)
    })
    expect(told).toHaveLength(1)
  })
  it('ends with its run', () => {
    const told = run(({ desires, claims, beginsAnew }) => {
      desires('', 'pause', 100)
      beginsAnew()
      claims(50_000)
    })
    expect(told).toEqual([])
  })
  it('ends when it is taken back, is of its own loop, and goes back in time with the server', () => {
    const told = run(({ desires, claims, invariant }) => {
      const restore = invariant.save?.()
      desires('in', 'pause', 100)
      restore?.()
      claims(50_000)
      desires('other', 'pause', 50_000)
      claims(90_000)
      desires('in', 'pause', 90_000)
      desires('in', '', 90_001)
      claims(190_000)
    })
    expect(told).toEqual([])
  })
})
