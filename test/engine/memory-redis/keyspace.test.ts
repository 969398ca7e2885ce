import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type KeyDump, Keyspace } from '../../../engine/memory-redis/keyspace.ts'
import { MemoryServer } from '../../../engine/memory-redis/server.ts'

const newKeyspace = () => new Keyspace(() => 0)

type ListOp = { op: number; value: string; n: number }
const listOps = fc.array(fc.record({ op: fc.nat(9), value: fc.constantFrom('a', 'b', 'c'), n: fc.nat(40) }), {
  maxLength: 150,
  size: 'max',
})

function applyTo(db: Keyspace, list: string[], { op, value, n }: ListOp): void {
  const many = Array.from({ length: n }, (_, i) => `${value}${i % 3}`)
  if (op < 2) {
    expect(db.rpush('l', value, ...many)).toBe(list.push(value, ...many))
  } else if (op < 4) {
    expect(db.lpush('l', value, ...many)).toBe(list.unshift(...[value, ...many].reverse()))
  } else if (op < 7) {
    for (let i = 0; i < n; i++) expect(db.lpop('l')).toBe(list.shift() ?? null)
  } else if (op < 8) {
    expect(db.rpop('l')).toBe(list.pop() ?? null)
  } else {
    const kept = list.filter(item => item !== value)
    expect(db.lrem('l', value)).toBe(list.length - kept.length)
    list.splice(0, list.length, ...kept)
  }
}

function inParts(key: KeyDump): KeyDump[] {
  return key.type === 'list' ? key.value.map(value => ({ ...key, value: [value] })) : [key]
}

describe('Keyspace', () => {
  test('a list is what an array would be, at every index', () => {
    const property = fc.property(listOps, ops => {
      const db = newKeyspace()
      const list: string[] = []
      for (const op of ops) {
        applyTo(db, list, op)
        expect(db.lrange('l', 0, -1)).toEqual(list)
        expect(db.lindex('l', op.n)).toBe(list[op.n] ?? null)
        expect(db.lindex('l', -op.n - 1)).toBe(list.at(-op.n - 1) ?? null)
        expect(db.lrange('l', 1, -2)).toEqual(list.slice(1, -1))
        expect(db.type('l')).toBe(list.length === 0 ? 'none' : 'list')
      }
    })
    fc.assert(property, { numRuns: 15 })
  })

  test.each<[string, (db: Keyspace) => unknown, boolean]>([
    ['del of nothing', db => db.del('x'), false],
    ['hdel of nothing', db => db.hdel('h', 'x'), false],
    ['srem of nothing', db => db.srem('s', 'x'), false],
    ['lpop of nothing', db => db.lpop('x'), false],
    ['lrem of nothing', db => db.lrem('l', 'x'), false],
    ['hsetnx of a field that is there', db => db.hsetnx('h', 'f', 'x'), false],
    ['reading', db => [db.hgetall('h'), db.lrange('l', 0, -1), db.smembers('s'), db.get('k')], false],
    ['del', db => db.del('h'), true],
    ['hdel', db => db.hdel('h', 'f'), true],
    ['srem', db => db.srem('s', 'm'), true],
    ['lpop', db => db.lpop('l'), true],
    ['lrem', db => db.lrem('l', 'e'), true],
    ['hsetnx', db => db.hsetnx('h', 'g', 'x'), true],
    ['set', db => db.set('k', 'x'), true],
  ])('changed after %s', (_what, act, changed) => {
    const db = newKeyspace()
    db.hset('h', 'f', '1')
    db.rpush('l', 'e')
    db.sadd('s', 'm')
    db.set('k', 'v')
    db.beginScript()
    act(db)
    expect(db.changed).toBe(changed)
  })

  test('dump and load, in parts', () => {
    const db = newKeyspace()
    db.hset('h', 'b', '2', 'a', '1', '__proto__', 'x')
    db.rpush('l', 'x', 'y')
    db.sadd('s', 'n', 'm')
    db.set('k', 'v')
    const other = newKeyspace()
    other.set('gone', 'x')
    other.load(db.dump().flatMap(inParts))
    expect(other.dump()).toEqual(db.dump())
    expect(Object.keys(other.hgetall('h'))).toContain('__proto__')
  })

  test('goes back to any snapshot, whatever was written before, between and after', () => {
    const key = fc.constantFrom('a', 'b')
    const value = fc.constantFrom('x', 'y', 'z')
    const write = fc.oneof(
      fc.record({ op: fc.constantFrom('rpush', 'lpush', 'lrem'), key: key.map(k => `l${k}`), value }),
      fc.record({ op: fc.constantFrom('lpop', 'rpop'), key: key.map(k => `l${k}`), value }),
      fc.record({ op: fc.constantFrom('hset', 'hdel', 'hincrby'), key: key.map(k => `h${k}`), value }),
      fc.record({ op: fc.constantFrom('sadd', 'srem'), key: key.map(k => `s${k}`), value }),
      fc.record({ op: fc.constantFrom('set', 'del', 'clear', 'snapshot'), key, value }),
    )
    const writes = fc.array(write, { maxLength: 60 })
    fc.assert(
      fc.property(writes, fc.nat(), (steps, pick) => {
        const db = newKeyspace()
        const kept: { snapshot: ReturnType<typeof db.snapshot>; dump: unknown }[] = []
        const keep = () => kept.push({ snapshot: db.snapshot(), dump: db.dump() })
        keep()
        for (const { op, key: k, value: v } of steps) {
          if (op === 'snapshot') keep()
          else if (op === 'clear') db.clear()
          else if (op === 'del') db.del(k, `l${k}`, `h${k}`)
          else if (op === 'hset') db.hset(k, v, '1')
          else if (op === 'hincrby') db.hincrby(k, v, 1)
          else (db as unknown as Record<string, (key: string, value: string) => void>)[op]?.(k, v)
        }
        for (const { snapshot, dump } of [kept[pick % kept.length], ...kept] as typeof kept) {
          db.goBackTo(snapshot)
          expect(db.dump()).toEqual(dump)
        }
      }),
    )
  })

  test('INCRBY wants an integer', () => {
    const db = newKeyspace()
    db.set('k', 'x')
    expect(() => db.incrby('k', 1)).toThrow('not an integer')
    expect(db.incrby('n', -2)).toBe(-2)
    expect(db.hincrby('h', 'f', 5)).toBe(5)
  })
})

describe('MemoryServer', () => {
  test('an operation sees one moment; what it throws is its outcome', () => {
    const server = new MemoryServer()
    expect(server.run(7, db => db.timeMs())).toEqual({ ok: true, reply: 7, changed: false })
    const outcome = server.run(8, db => {
      db.set('k', 'v')
      return db.lpop('k')
    })
    expect(outcome).toMatchObject({ ok: false, changed: true, error: { code: 'REDIS_WRONG_TYPE' } })
  })

  test('each element wakes one waiter, the oldest first; who has left is not served', () => {
    const server = new MemoryServer()
    const woken: number[] = []
    const leave = [0, 1, 2, 3].map(i => server.park('bell', () => void woken.push(i)))
    leave[1]?.()
    server.run(1, db => db.rpush('bell', 'x', 'y'))
    const taken: string[] = []
    server.deliver(1, key => void taken.push(key))
    expect(woken).toEqual([0, 2])
    expect(taken).toEqual(['bell', 'bell'])
    server.run(2, db => db.rpush('bell', 'x', 'y'))
    server.deliver(2, key => void taken.push(key))
    expect(woken).toEqual([0, 2, 3])
    expect(server.db.llen('bell')).toBe(1)
  })

  test('an element that the operation itself took again wakes nobody', () => {
    const server = new MemoryServer()
    server.park('bell', () => expect.unreachable())
    server.run(1, db => {
      db.rpush('bell', 'x')
      db.lpop('bell')
    })
    server.deliver(1, () => expect.unreachable())
  })
})
