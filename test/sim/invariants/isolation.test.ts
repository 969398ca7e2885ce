import { describe, expect, it } from 'vitest'
import { MemoryServer } from '../../../engine/memory-redis/server.ts'
import type { FaultKind } from '../../../sim/faults.ts'
import type { Invariant } from '../../../sim/invariants/invariant.ts'
import { isolation } from '../../../sim/invariants/isolation.ts'
import { appliedOf, entry, graphOf, twoLoops } from '../support.ts'
import { eventOf, reports } from './history.ts'

const graph = graphOf(twoLoops(3))

class Life {
  readonly #server = new MemoryServer()
  readonly #invariant: Invariant
  constructor(invariant: Invariant) {
    this.#invariant = invariant
  }
  /** Loop `count` goes on, or whoever is told. */
  works(ms: number, loop = 'count', reply = 'ok\n1'): this {
    const outcome = { ok: true, reply: [reply], changed: reply.startsWith('ok') } as const
    this.#invariant.applied?.({ ...appliedOf('commit', [], loop), outcome, ms, db: this.#server.db })
    return this
  }
  waiting(key = 'oe:{w}:q:queue_out_in'): this {
    this.#server.db.rpush(key, entry('a'))
    return this
  }
  field(key: string, field: string, value: string): this {
    this.#server.db.hset(`oe:{w}:${key}`, field, value)
    return this
  }
  event(type: Parameters<typeof eventOf>[0]): this {
    this.#invariant.event?.(eventOf(type, { node_id: 'done' }, 'in'), '1.1')
    return this
  }
  disturbed(kind: FaultKind = 'latency'): this {
    this.#invariant.disturbed?.(kind, { op: 'claim', loop: 'in', n: 1 })
    return this
  }
  restarts(): this {
    this.#invariant.life?.({ daemon: 1, pid: 1001, teller: '1.1', what: 'dies' }, this.#server.db)
    return this
  }
}

const run = (history: (life: Life) => unknown): string[] =>
  reports(isolation, graph, invariant => history(new Life(invariant)))
const minutes = (life: Life, from: number, to: number): Life => {
  for (let s = from; s <= to; s += 10) life.works(s * 1_000)
  return life
}

describe('isolation', () => {
  it('notices a loop that does nothing with what waits, while another goes on', () => {
    expect(run(life => minutes(life.waiting(), 0, 70))).toEqual(['it has done nothing for 70 s'])
    expect(run(life => minutes(life.waiting('oe:{w}:c:in:0'), 0, 70))).toHaveLength(1)
    expect(run(life => minutes(life.waiting('oe:{w}:q:requeue_in'), 0, 70))).toHaveLength(1)
  })
  it('holds when nothing waits, and when it has not waited long', () => {
    expect(run(life => minutes(life, 0, 100))).toEqual([])
    expect(run(life => minutes(minutes(life, 0, 100).waiting(), 110, 160))).toEqual([])
  })
  it.each<[string, (life: Life) => Life]>([
    ['it does something now and then', life => life.works(50_000, 'in')],
    ['something disturbs it', life => life.disturbed()],
    ['its daemon dies', life => life.restarts()],
  ])('holds when %s', (_what, meanwhile) => {
    expect(run(life => minutes(meanwhile(minutes(life.waiting(), 0, 50)), 60, 100))).toEqual([])
  })
  it.each<[string, (life: Life) => Life]>([
    ['a node of its own hangs', life => life.event('iteration_started').event('node_started')],
    ['the queue it writes to is full', life => life.works(0, 'in', 'full\n0')],
    ['a worker of its own hangs', life => life.disturbed('worker-hang')],
    ['somebody paused it', life => life.field('desired', 'in', 'pause')],
    ['somebody paused the workflow', life => life.field('desired', '', 'pause')],
    ['it has ended', life => life.field('ended', 'in', 'run-1')],
  ])('holds for as long as %s', (_what, before) => {
    expect(run(life => minutes(before(life.waiting()), 0, 200))).toEqual([])
  })
  it('notices it once the node has ended, the queue has room, or a crash took the node along', () => {
    const begun = (life: Life) => life.waiting().event('iteration_started').event('node_started')
    expect(run(life => minutes(begun(life).event('node_completed'), 0, 70))).toHaveLength(1)
    expect(run(life => minutes(begun(life).restarts(), 0, 70))).toHaveLength(1)
    const room = (life: Life) => life.waiting().works(0, 'in', 'full\n0').works(1, 'in', 'ok\n1')
    expect(run(life => minutes(room(life), 0, 70))).toHaveLength(1)
  })
})
