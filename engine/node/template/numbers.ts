/**
 * Texts to numbers and numbers to texts, as Python reads and writes them where people can tell. Rounding works on the
 * exact decimal expansion of a number (toFixed), so a half goes to the even neighbour only when it is one exactly.
 */
import { failure } from './faults.ts'
import type { Value } from './run.ts'

const decimal = /^[-+]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/

/** The number a text or value stands for, or undefined. */
export function toFloat(value: Value): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return Number(value)
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (text.length > 400 || !decimal.test(text)) return undefined
  const number = Number(text.replaceAll('_', ''))
  return Number.isFinite(number) ? number + 0 : undefined
}

/** The whole number a text or value stands for, cut towards zero, or undefined. */
export function toInt(value: Value, base = 10): number | undefined {
  if (typeof value === 'string' && base !== 10) return parseBase(value.trim().toLowerCase(), base)
  const number = toFloat(value)
  return number === undefined ? undefined : Math.trunc(number) + 0
}

const prefixes: Readonly<Record<number, string>> = { 2: '0b', 8: '0o', 16: '0x' }

function parseBase(text: string, base: number): number | undefined {
  if (!Number.isInteger(base) || base < 2 || base > 36) return undefined
  const sign = text.startsWith('-') ? -1 : 1
  const unsigned = text.replace(/^[-+]/, '')
  const prefix = prefixes[base]
  const digits = prefix !== undefined && unsigned.startsWith(prefix) ? unsigned.slice(2) : unsigned
  if (digits === '' || digits.length > 400) return undefined
  let value = 0
  for (const char of digits) {
    const digit = '0123456789abcdefghijklmnopqrstuvwxyz'.indexOf(char)
    if (digit < 0 || digit >= base) return undefined
    value = value * base + digit
  }
  return Number.isFinite(value) ? sign * value + 0 : undefined
}

/** `digits` decimals (0 to 15), halves to even. */
export function fixed(value: number, digits: number): string {
  if (Math.abs(value) >= 1e21) return String(value)
  const text = value.toFixed(digits)
  const exact = Math.abs(value).toFixed(100)
  const dot = exact.indexOf('.')
  const rest = exact.slice(dot + 1 + digits)
  const isTie = rest.startsWith('5') && /^50*$/.test(rest)
  if (!isTie) return text
  const kept = digits === 0 ? exact.slice(0, dot) : exact.slice(0, dot + 1 + digits)
  const isEven = Number(kept.at(-1)) % 2 === 0
  return isEven ? `${value < 0 ? '-' : ''}${kept}` : text
}

/** A number rounded to `digits` decimals (negative: tens, hundreds …), by method `common` (half to even), `ceil`, `floor`. */
export function round(value: number, digits: number, method: string): number {
  if (!Number.isInteger(digits) || Math.abs(digits) > 15) throw failure(`round takes -15 to 15 digits, not ${digits}`)
  const scale = Number(`1e${Math.abs(digits)}`)
  const scaled = digits >= 0 ? value * scale : value / scale
  if (!Number.isFinite(scaled)) return value
  if (method === 'common') {
    return (digits >= 0 ? Number(fixed(value, digits)) : Number(fixed(scaled, 0)) * scale) + 0
  }
  if (method !== 'ceil' && method !== 'floor')
    throw failure(`round knows "common", "ceil" and "floor", not "${method}"`)
  const rounded = method === 'ceil' ? Math.ceil(scaled) : Math.floor(scaled)
  return (digits >= 0 ? rounded / scale : rounded * scale) + 0
}
