import { describe, expect, it } from 'vitest'
import { Draws } from '../../sim/random.ts'

describe('Draws', () => {
  it('repeat with the seed', () => {
    const draw = (seed: string) => Array.from({ length: 5 }, () => new Draws(seed)).map(draws => draws.unit('a'))
    expect(new Set(draw('s')).size).toBe(1)
    expect(draw('s')).not.toEqual(draw('t'))
  })

  it('of one key do not shift when another is drawn', () => {
    const alone = new Draws('s')
    const expected = [alone.unit('a'), alone.unit('a')]
    const mixed = new Draws('s')
    const seen = [mixed.unit('a')]
    mixed.unit('b')
    seen.push(mixed.unit('a'))
    expect(seen).toEqual(expected)
    expect(seen[0]).not.toBe(seen[1])
  })

  it('of whole numbers reach both bounds and nothing beyond', () => {
    const draws = new Draws('s')
    const seen = new Set(Array.from({ length: 200 }, () => draws.whole('n', 2, 4)))
    expect([...seen].sort()).toEqual([2, 3, 4])
  })

  it('shuffle without losing anything', () => {
    const draws = new Draws('s')
    const values = [1, 2, 3, 4, 5, 6]
    const orders = Array.from({ length: 20 }, () => draws.shuffled('o', values))
    expect(orders.every(order => [...order].sort().join() === values.join())).toBe(true)
    expect(new Set(orders.map(String)).size).toBeGreaterThan(10)
  })

  it('of texts never repeat', () => {
    const draws = new Draws('s')
    expect(new Set(Array.from({ length: 1_000 }, () => draws.text('nonce'))).size).toBe(1_000)
  })
})
