import { describe, expect, it } from 'vitest'
import { fault, wireBench } from './support.ts'

describe('SimServer', () => {
  const set = (bench: ReturnType<typeof wireBench>, key: string) =>
    bench.server.execute({ ...bench.server.name('set', ''), args: [], writes: true, run: db => db.set(key, '1') })
  const pass = (bench: ReturnType<typeof wireBench>, ms: number) => {
    const until = bench.time.ms + ms
    bench.time.after(ms, () => undefined)
    while (bench.time.ms < until) bench.time.next()
  }

  it('loses exactly what came after its last fsync', () => {
    const bench = wireBench([fault('restart-loses', 'set - 4')])
    set(bench, 'a')
    pass(bench, 20)
    set(bench, 'b')
    set(bench, 'c')
    expect(set(bench, 'd')).toBeUndefined()
    expect(bench.server.memory.db.keys()).toEqual(['a'])
  })

  it('loses nothing in a restart that saved all', () => {
    const bench = wireBench([fault('restart', 'set - 3')])
    set(bench, 'a')
    set(bench, 'b')
    expect(set(bench, 'c')).toBeUndefined()
    expect(bench.server.memory.db.keys()).toEqual(['a', 'b'])
  })

  it('is replaced by a replica that lags, read-only at first', () => {
    const bench = wireBench([fault('failover', 'set - 4', { ms: 50 })])
    set(bench, 'a')
    pass(bench, 29)
    set(bench, 'b')
    pass(bench, 11)
    set(bench, 'c')
    expect(set(bench, 'd')).toBeUndefined()
    expect(bench.server.memory.db.keys()).toEqual(['a', 'b'])
    expect(set(bench, 'e')).toMatchObject({ ok: false })
    pass(bench, 51)
    expect(set(bench, 'f')).toMatchObject({ ok: true })
  })

  it('opens and closes its windows', () => {
    const bench = wireBench([fault('readonly', 'set - 1', { ms: 50 })])
    expect(set(bench, 'a')).toMatchObject({ ok: false })
    pass(bench, 49)
    expect(set(bench, 'a')).toMatchObject({ ok: false })
    pass(bench, 2)
    expect(set(bench, 'a')).toMatchObject({ ok: true })
  })

  it('tells what moved, at the keys themselves', () => {
    const bench = wireBench()
    bench.server.execute({
      ...bench.server.name('x', ''),
      args: [],
      writes: true,
      run: db => {
        db.rpush('oe:{w}:q:a', '1', '2')
        db.rpush('oe:{w}:c:in:0', db.lpop('oe:{w}:q:a') as string)
        db.hset('oe:{w}:dl', 'dl-1', 'x', 'dl-2', 'x')
        db.hset('oe:{w}:dl', 'dl-1', 'y')
        db.hdel('oe:{w}:dl', 'dl-2', 'dl-3')
        db.rpush('oe:{w}:bell:in', '1')
        db.del('oe:{w}:q:a', 'oe:{w}:meta')
      },
    })
    const moves = bench.applied[0]?.moves.map(({ key, kind, value }) => `${kind} ${key.slice(7)} ${value}`)
    expect(moves).toEqual([
      'in q:a 1',
      'in q:a 2',
      'out q:a 1',
      'in c:in:0 1',
      'in dl dl-1',
      'in dl dl-2',
      'out dl dl-2',
      'out q:a 2',
    ])
  })
})
