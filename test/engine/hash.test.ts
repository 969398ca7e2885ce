import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashText, hashUnit } from '../../engine/hash.ts'

describe('hashText', () => {
  it('never changes its values: stored hashes stay valid', () => {
    expect([hashText(''), hashText('a'), hashText('orders')]).toMatchInlineSnapshot(`
      [
        "57ddc0d956aabbe57eeef1dc9c920ac4",
        "11cd688de485a469c394882ffe7d8b17",
        "48c4a08703248ccf6bdfcbaae99bea63",
      ]
    `)
  })

  it('tells 200,000 similar texts apart, in any two of its four words', () => {
    const hashes = Array.from({ length: 200_000 }, (_, i) => hashText(`seed:${i % 400}:loop:${Math.floor(i / 400)}`))
    expect(new Set(hashes.map(hash => hash.slice(0, 16))).size).toBe(200_000)
    expect(new Set(hashes.map(hash => hash.slice(16))).size).toBe(200_000)
  })

  it('depends on every character and its place', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.nat(), (text, at) => {
        const place = at % text.length
        const code = String.fromCharCode(text.charCodeAt(place) ^ 1)
        expect(hashText(text.slice(0, place) + code + text.slice(place + 1))).not.toBe(hashText(text))
      }),
    )
  })
})

describe('hashUnit', () => {
  it('spreads texts that count up evenly over [0, 1)', () => {
    const buckets = Array.from({ length: 100 }, () => 0)
    for (let i = 0; i < 100_000; i++) {
      const unit = hashUnit(`0x1:worker:latency:item-${i}`)
      const bucket = Math.floor(unit * 100)
      buckets[bucket] = (buckets[bucket] ?? Number.NaN) + 1
    }
    expect(buckets).toHaveLength(100)
    const chiSquared = buckets.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    expect(chiSquared).toBeLessThan(160)
  })

  it('has no memory: neighbours do not follow each other', () => {
    let above = 0
    for (let i = 0; i < 20_000; i++) if (hashUnit(`draw ${i}`) < hashUnit(`draw ${i + 1}`)) above += 1
    expect(Math.abs(above - 10_000)).toBeLessThan(500)
  })
})
