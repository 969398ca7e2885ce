import { describe, expect, it } from 'vitest'
import type { Script } from '../../engine/ports.ts'
import type { FaultKind } from '../../sim/faults.ts'
import { fault, watched, wireBench } from './support.ts'

/** Pushes its argument and answers the length. */
const append: Script = {
  name: 'commit',
  lua: '',
  run: (db, [key = ''], args) => db.rpush(`${key}list`, args[1] as string),
}

const list = (bench: ReturnType<typeof wireBench>) => bench.server.memory.db.lrange('p:list', 0, -1)
const push = (bench: ReturnType<typeof wireBench>, value: string) =>
  watched(bench.redis.call(append, ['p:'], ['in', value]))

describe('SimRedis', () => {
  it('runs operations in the order in which they were sent, never at once', async () => {
    const bench = wireBench()
    const seen = ['a', 'b', 'c'].map(value => push(bench, value))
    expect(list(bench)).toEqual([])
    await bench.rest()
    expect(list(bench)).toEqual(['a', 'b', 'c'])
    expect(seen.map(each => each.value)).toEqual([1, 2, 3])
    expect(bench.time.ms).toBeGreaterThanOrEqual(2)
  })

  const table: [FaultKind, state: string, times: number][] = [
    ['lost-before', 'resolved', 1],
    ['reply-lost', 'resolved', 2],
    ['refused', 'REDIS_UNAVAILABLE', 0],
    ['refused-applied', 'REDIS_UNAVAILABLE', 1],
    ['latency', 'resolved', 1],
    ['restart', 'resolved', 1],
    ['restart-loses', 'resolved', 1],
    ['loading', 'REDIS_LOADING', 0],
    ['readonly', 'REDIS_READONLY', 0],
    ['oom', 'REDIS_OUT_OF_MEMORY', 0],
    ['crash-before', 'pending', 0],
    ['crash-applied', 'pending', 1],
    ['crash-replied', 'pending', 1],
  ]
  it.each(table)('after %s: the caller is %s, the server did it %i times', async (kind, state, times) => {
    const bench = wireBench([fault(kind, 'commit in 1', { ms: 100 })])
    const seen = push(bench, 'a')
    await bench.rest()
    expect([seen.state, list(bench).length, bench.faults]).toEqual([state, times, [kind]])
    expect(bench.crashes.length).toBe(kind.startsWith('crash') ? 1 : 0)
  })

  it('sends everything without a reply again, in order, when the connection drops', async () => {
    const bench = wireBench([fault('reply-lost', 'commit in 2')])
    const seen = ['a', 'b', 'c'].map(value => push(bench, value))
    await bench.rest()
    expect(seen.map(each => each.state)).toEqual(['resolved', 'resolved', 'resolved'])
    expect(list(bench).filter(value => value === 'b').length).toBe(2)
    expect(list(bench).slice(-2)).toEqual(['b', 'c'])
  })

  it('never answers a dead daemon, whatever is on the wire', async () => {
    const bench = wireBench()
    const seen = push(bench, 'a')
    bench.redis.die()
    const later = push(bench, 'b')
    const waiting = watched(bench.redis.wait('p:bell:in', 1_000))
    await bench.rest()
    expect([seen.state, later.state, waiting.state]).toEqual(['pending', 'pending', 'pending'])
    expect(list(bench)).not.toContain('b')
  })

  it('refuses work once it is closed', async () => {
    const bench = wireBench()
    await bench.redis.close()
    const seen = [push(bench, 'a'), watched(bench.redis.wait('p:bell:in', 10))]
    await bench.rest()
    expect(seen.map(each => each.state)).toEqual(['REDIS_UNAVAILABLE', 'REDIS_UNAVAILABLE'])
  })

  it('answers hashes and sets in no particular order', async () => {
    const bench = wireBench()
    const names = ['a', 'b', 'c', 'd', 'e']
    for (const name of names) {
      bench.server.memory.db.hset('h', name, name)
      bench.server.memory.db.sadd('s', name)
    }
    const orders = new Set<string>()
    for (let i = 0; i < 8; i++) {
      const [fields, members] = [watched(bench.redis.hgetall('h')), watched(bench.redis.smembers('s'))]
      await bench.rest()
      expect([Object.keys(fields.value ?? {}).sort(), [...(members.value ?? [])].sort()]).toEqual([names, names])
      orders.add(Object.keys(fields.value ?? {}).join()).add((members.value ?? []).join())
    }
    expect(orders.size).toBeGreaterThan(2)
  })
})

describe('SimRedis.wait', () => {
  const ring = (bench: ReturnType<typeof wireBench>) => {
    bench.server.execute({ op: 'ring', loop: '', n: 0, args: [], writes: true, run: db => db.rpush('p:bell:in', '1') })
  }

  it('takes a wake-up that is there', async () => {
    const bench = wireBench()
    ring(bench)
    const seen = watched(bench.redis.wait('p:bell:in', 5_000))
    await bench.rest()
    expect([seen.value, bench.server.memory.db.llen('p:bell:in')]).toEqual([true, 0])
    expect(bench.time.ms).toBeLessThan(10)
  })

  it('is woken by one that comes', async () => {
    const bench = wireBench()
    const seen = watched(bench.redis.wait('p:bell:in', 5_000))
    bench.time.after(100, () => ring(bench))
    await bench.rest()
    expect([seen.value, bench.server.memory.db.llen('p:bell:in')]).toEqual([true, 0])
    expect(bench.time.ms).toBeLessThan(110)
  })

  it('ends after its time, and at its abort', async () => {
    const bench = wireBench()
    const stop = new AbortController()
    const late = watched(bench.redis.wait('p:bell:in', 500))
    const aborted = watched(bench.redis.wait('p:bell:out', 5_000, stop.signal))
    bench.time.after(100, () => stop.abort())
    await bench.rest()
    expect([late.value, aborted.value]).toEqual([false, false])
    expect(bench.time.ms).toBeLessThan(520)
  })

  it('loses the wake-up whose reply is lost, and says that there may have been one', async () => {
    const bench = wireBench([fault('reply-lost', 'wait in 1')])
    const seen = watched(bench.redis.wait('p:bell:in', 500))
    bench.time.after(50, () => ring(bench))
    await bench.rest()
    expect(seen.value).toBe(true)
    expect(bench.time.ms).toBeLessThan(500)
    expect(bench.server.memory.db.llen('p:bell:in')).toBe(0)
  })

  it('gives back what comes for one that was given up, and takes nothing once its connection is closed', async () => {
    const bench = wireBench()
    const stop = new AbortController()
    const [given, closed] = ['p:bell:in', 'p:bell:out']
    void bench.redis.wait(given, 500, stop.signal)
    void bench.redis.wait(closed, 500, stop.signal)
    bench.time.after(100, () => {
      stop.abort()
      bench.server.memory.db.rpush(given, '1')
      bench.server.memory.deliver(bench.time.wall(), () => undefined)
      void bench.redis.close()
      bench.server.memory.db.rpush(closed, '1')
      bench.server.memory.deliver(bench.time.wall(), () => undefined)
    })
    await bench.rest()
    expect([given, closed].map(key => bench.server.memory.db.llen(key))).toEqual([1, 1])
  })
})
