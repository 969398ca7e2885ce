import { describe, expect, it } from 'vitest'
import { MemoryServer } from '../../../engine/memory-redis/server.ts'
import type { FaultKind } from '../../../sim/faults.ts'
import type { Invariant } from '../../../sim/invariants/invariant.ts'
import { waking } from '../../../sim/invariants/waking.ts'
import type { LifeNews } from '../../../sim/life.ts'
import { appliedOf, entry, graphOf, twoLoops } from '../support.ts'
import { reports } from './history.ts'

const graph = graphOf(twoLoops(3))
const bell = 'oe:{w}:bell:in'
const room = 'oe:{w}:room:count:0'

class Life {
  readonly #server = new MemoryServer()
  readonly #invariant: Invariant
  constructor(invariant: Invariant) {
    this.#invariant = invariant
  }
  op(op: string, loop: string, args: string[] = [], reply: string | null = null): this {
    const outcome = { ok: true, reply, changed: false } as const
    this.#invariant.applied?.({ ...appliedOf(op, [], loop), args, outcome, ms: 0, db: this.#server.db })
    return this
  }
  waits(key = bell): this {
    return this.op('wait', key.replace(/.*(bell|room):/, ''), [key])
  }
  item(queue = 'queue_out_in'): this {
    this.#server.db.rpush(`oe:{w}:q:${queue}`, entry('a'))
    return this
  }
  inLine(): this {
    this.#server.db.sadd('oe:{w}:full:queue_out_in', 'count:0')
    return this
  }
  field(key: string, field: string, value: string): this {
    this.#server.db.hset(`oe:{w}:${key}`, field, value)
    return this
  }
  disturbed(kind: FaultKind): this {
    this.#invariant.disturbed?.(kind, { op: 'claim', loop: 'in', n: 1 })
    return this
  }
  life(what: LifeNews['what'] & ('pauses' | 'dies' | 'wakes')): this {
    this.#invariant.life?.({ daemon: 1, pid: 1001, teller: '1.1', what }, this.#server.db)
    return this
  }
  /** Somebody else does something every second. */
  seconds(from: number, to: number): this {
    for (let s = from; s <= to; s++) {
      const { db } = this.#server
      this.#invariant.applied?.({ ...appliedOf('attend', [], ''), ms: s * 1_000, db })
    }
    return this
  }
}

const run = (history: (life: Life) => unknown): string[] =>
  reports(waking, graph, invariant => history(new Life(invariant)))

describe('waking', () => {
  it('notices a loop that waits while there is an item, or one that was requeued', () => {
    expect(run(life => life.waits().item().seconds(1, 12))).toEqual(['it was not, for 11 s'])
    expect(run(life => life.waits().item('requeue_in').seconds(1, 12))).toHaveLength(1)
  })
  it('notices a writer that waits for space and is not in line for it', () => {
    expect(run(life => life.waits(room).seconds(1, 11))).toHaveLength(1)
    expect(run(life => life.inLine().waits(room).seconds(1, 12))).toEqual([])
  })
  it('waits for a slow operation, behind which the wake-up may be, and then judges', () => {
    const slow = (life: Life): Life => life.waits().item().disturbed('latency').seconds(1, 20)
    expect(run(life => slow(life))).toEqual([])
    expect(run(life => slow(life).seconds(21, 22))).toHaveLength(1)
  })
  it('holds when nothing came, or not long ago', () => {
    expect(run(life => life.waits().seconds(1, 30))).toEqual([])
    expect(run(life => life.waits().seconds(1, 30).item().seconds(31, 41))).toEqual([])
  })
  it.each<[string, (life: Life) => Life]>([
    ['it claims', life => life.op('claim', 'in', [], 'empty')],
    ['it is woken', life => life.op('wait', 'in', [bell], '1')],
    ['its daemon dies', life => life.life('dies')],
  ])('holds when %s', (_what, meanwhile) => {
    expect(run(life => meanwhile(life.waits().item().seconds(1, 10)).seconds(11, 30))).toEqual([])
  })
  it.each<[string, (life: Life) => Life]>([
    ['a worker of its own hangs', life => life.disturbed('worker-hang')],
    ['a daemon stands still', life => life.life('pauses')],
    ['somebody paused it', life => life.field('desired', 'in', 'pause')],
    ['it has ended', life => life.field('ended', 'in', 'run-1')],
  ])('holds for as long as %s', (_what, before) => {
    expect(run(life => before(life.waits().item()).seconds(1, 60))).toEqual([])
  })
  it('begins anew when a fault strikes, or a daemon wakes up', () => {
    expect(run(life => life.waits().item().seconds(1, 10).disturbed('reply-lost').seconds(11, 20))).toEqual([])
    expect(run(life => life.waits().item().seconds(1, 10).disturbed('reply-lost').seconds(11, 22))).toHaveLength(1)
    expect(run(life => life.life('pauses').waits().item().seconds(1, 30).life('wakes').seconds(31, 42))).toHaveLength(1)
  })
})
