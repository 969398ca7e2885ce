/**
 * Hashes of text for identity and for keyed draws: the same on every machine, and without any host library. Not for
 * secrets: someone who wants a collision can make one. Four 32-bit lanes run over the UTF-16 code units with different
 * multipliers; at the end each is avalanched, so that texts differing in one character share nothing.
 */
const multipliers = [0x01000193, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f] as const
const starts = [0x811c9dc5, 0x9e3779b9, 0x7f4a7c15, 0x94d049bb] as const

type Lanes = [number, number, number, number]

/** Two hex digits per byte: several times as fast as `toString(16)`, and every item that is claimed is hashed. */
const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** 128 bits as 32 hex digits. */
export function hashText(text: string): string {
  const [a, b, c, d] = lanesOf(text)
  return hex(a) + hex(b) + hex(c) + hex(d)
}

function hex(lane: number): string {
  return `${bytes[lane >>> 24]}${bytes[(lane >>> 16) & 255]}${bytes[(lane >>> 8) & 255]}${bytes[lane & 255]}`
}

/** A number in [0, 1) with 53 bits of chance: the same text always gives the same one. */
export function hashUnit(text: string): number {
  const [high, low] = lanesOf(text)
  return ((high >>> 5) * 0x4000000 + (low >>> 6)) / 0x20000000000000
}

function lanesOf(text: string): Lanes {
  let [a, b, c, d] = starts as unknown as Lanes
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, multipliers[0])
    b = rotate(Math.imul(b ^ unit, multipliers[1]), 13)
    c = rotate(Math.imul(c + unit, multipliers[2]), 17)
    d = rotate(Math.imul(d ^ (unit + i), multipliers[3]), 7)
  }
  a = avalanche(a ^ text.length)
  b = avalanche(b ^ a)
  c = avalanche(c ^ b)
  d = avalanche(d ^ c)
  return [avalanche(a ^ d), b >>> 0, c >>> 0, d >>> 0]
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/** Spreads every bit of the input over all bits of the result. */
function avalanche(value: number): number {
  let mixed = value ^ (value >>> 16)
  mixed = Math.imul(mixed, 0x7feb352d)
  mixed ^= mixed >>> 15
  mixed = Math.imul(mixed, 0x846ca68b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
