/**
 * Arithmetic as Python does it: signs of `%` and `//`, powers by whole exponents, `+` on numbers, texts and lists.
 * Only the exact operations of IEEE 754 are used, so the same template gives the same digits on every machine.
 */
import type { Json } from '../../json.ts'
import { limits } from '../../limits.ts'
import { failure, overBudget } from './faults.ts'
import { formatPercent } from './format.ts'
import type { Run, Value } from './run.ts'
import { chars, contains, equal, isNumeric, isObject, kindOf, order, print, textWork } from './values.ts'

type Operator = (run: Run, a: Value, b: Value) => Value

function finite(value: number, what: string): number {
  // Adding 0 turns -0, which JSON does not have, into 0.
  if (Number.isFinite(value)) return value + 0
  throw failure(`the result of ${what} is too large for a number; use smaller values`)
}

function numbers(op: string, a: Value, b: Value): [number, number] {
  if (isNumeric(a) && isNumeric(b)) return [Number(a), Number(b)]
  throw failure(`"${op}" does not work on ${kindOf(a)} and ${kindOf(b)}; convert with | int, | float or | default(0)`)
}

function add(run: Run, a: Value, b: Value): Value {
  if (typeof a === 'string' && typeof b === 'string') {
    run.room(a.length + b.length)
    return a + b
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    run.spend(a.length + b.length)
    return [...a, ...b]
  }
  if (typeof a === 'string' || typeof b === 'string') {
    throw failure(`"+" does not work on ${kindOf(a)} and ${kindOf(b)}; join text with ~, convert numbers with | int`)
  }
  const [x, y] = numbers('+', a, b)
  return finite(x + y, '"+"')
}

function multiply(run: Run, a: Value, b: Value): Value {
  if (typeof a === 'string' && Number.isInteger(b)) return repeatText(run, a, b as number)
  if (typeof b === 'string' && Number.isInteger(a)) return repeatText(run, b, a as number)
  if (Array.isArray(a) && Number.isInteger(b)) return repeatList(run, a, b as number)
  if (Array.isArray(b) && Number.isInteger(a)) return repeatList(run, b, a as number)
  const [x, y] = numbers('*', a, b)
  return finite(x * y, '"*"')
}

function repeatText(run: Run, text: string, times: number): string {
  const count = Math.max(0, times)
  run.room(text.length * count)
  return text === '' ? '' : text.repeat(count)
}

function repeatList(run: Run, list: Json[], times: number): Json[] {
  const count = list.length === 0 ? 0 : Math.max(0, times)
  run.spend(list.length * count)
  return Array.from({ length: count }, () => list).flat()
}

function divisor(value: number): number {
  if (value === 0) throw failure('division by zero; test the divisor first')
  return value
}

/** The remainder with the sign of the divisor: -7 % 3 is 2. */
function modulo(x: number, y: number): number {
  const rest = x % divisor(y)
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest
}

/** The quotient rounded down, consistent with `modulo` also where x / y itself is rounded. */
export function floorDivide(x: number, y: number): number {
  const quotient = (x - modulo(x, y)) / divisor(y)
  const floor = Math.floor(quotient)
  return quotient - floor > 0.5 ? floor + 1 : floor
}

/** By squaring: only exact steps, where Math.pow may differ in the last digit between machines. */
export function power(x: number, exponent: number): number {
  if (!Number.isInteger(exponent)) throw failure(`"**" takes a whole exponent, not ${exponent}`)
  let result = 1
  let base = x
  for (let n = Math.abs(exponent); n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) result *= base
    base *= base
  }
  return finite(exponent < 0 ? 1 / divisor(result) : result, '"**"')
}

export const arithmetic: Readonly<Record<string, Operator>> = {
  '+': add,
  '-': (_run, a, b) => {
    const [x, y] = numbers('-', a, b)
    return finite(x - y, '"-"')
  },
  '*': multiply,
  '/': (_run, a, b) => {
    const [x, y] = numbers('/', a, b)
    return finite(x / divisor(y), '"/"')
  },
  '//': (_run, a, b) => finite(floorDivide(...numbers('//', a, b)), '"//"'),
  '%': (run, a, b) => {
    if (typeof a === 'string') return formatPercent(run, a, Array.isArray(b) ? b : [b], isObject(b) ? b : undefined)
    return finite(modulo(...numbers('%', a, b)), '"%"')
  },
  '**': (_run, a, b) => power(...numbers('**', a, b)),
}

/** A missing value is in no order with anything: every such comparison is false. */
function ordered(holds: (order: number) => boolean): (run: Run, a: Value, b: Value) => boolean {
  return (run, a, b) => a !== undefined && b !== undefined && holds(order(run, a, b))
}

export const comparisons: Readonly<Record<string, (run: Run, a: Value, b: Value) => boolean>> = {
  '==': equal,
  '!=': (run, a, b) => !equal(run, a, b),
  '<': ordered(n => n < 0),
  '<=': ordered(n => n <= 0),
  '>': ordered(n => n > 0),
  '>=': ordered(n => n >= 0),
  in: (run, a, b) => contains(run, b, a),
  'not in': (run, a, b) => !contains(run, b, a),
}

export function signed(op: string, value: Value): Value {
  if (!isNumeric(value)) throw failure(`"${op}" does not work on ${kindOf(value)}; convert it with | int or | float`)
  return op === '-' ? 0 - Number(value) : Number(value)
}

export function concat(run: Run, parts: readonly Value[]): string {
  let text = ''
  for (const part of parts) {
    text += print(run, part)
    run.fits(text.length)
  }
  return run.made(text)
}

/** A part of a list or text as in Python: `x[1:]`, `x[::-1]`; a missing value stays missing. */
export function slice(run: Run, value: Value, bounds: readonly (Value | undefined)[]): Value {
  if (value === undefined) return undefined
  if (typeof value !== 'string' && !Array.isArray(value)) throw failure(`${kindOf(value)} has no slices`)
  const source = typeof value === 'string' ? chars(value) : value
  const [start, stop, step = 1] = bounds.map(bound => {
    if (bound === undefined || bound === null || Number.isInteger(bound))
      return (bound ?? undefined) as number | undefined
    throw failure(`a slice goes by whole numbers, not by ${kindOf(bound)}`)
  })
  run.spend(textWork(value))
  if (step === 0) throw failure('a slice cannot go in steps of 0')
  const low = step > 0 ? 0 : -1
  const high = step > 0 ? source.length : source.length - 1
  const clip = (n: number) => Math.min(high, Math.max(low, n < 0 ? n + source.length : n))
  const ends = step > 0 ? [low, high] : [high, low]
  const from = start === undefined ? (ends[0] as number) : clip(start)
  const to = stop === undefined ? (ends[1] as number) : clip(stop)
  const picked: Json[] = []
  for (let i = from; step > 0 ? i < to : i > to; i += step) picked.push(source[i] as Json)
  run.spend(1 + picked.length)
  return typeof value === 'string' ? run.made(picked.join('')) : picked
}

/** The numbers of Python's `range`. Throws `TEMPLATE_BUDGET` before a list of more than the limit is made. */
export function range(run: Run, args: readonly Value[]): Json[] {
  for (const arg of args)
    if (!Number.isInteger(arg)) throw failure(`range takes whole numbers, not ${kindOf(arg)}; use | int`)
  const [first = 0, second, step = 1] = args as number[]
  const [from, to] = second === undefined ? [0, first] : [first, second]
  if (step === 0) throw failure('range cannot go in steps of 0')
  const count = Math.max(0, Math.ceil((to - from) / step))
  if (count > limits.templateRangeMax) throw overBudget(`a range of ${count} is`, limits.templateRangeMax)
  run.spend(count)
  return Array.from({ length: count }, (_, i) => from + i * step)
}
