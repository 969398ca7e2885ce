/** Filters over lists, objects and numbers. None changes what it is given; lists that come out are new ones. */
import type { Json, JsonObject } from '../../json.ts'
import { picker } from './attributes.ts'
import { define } from './define.ts'
import { failure } from './faults.ts'
import { count } from './filters-text.ts'
import { round, toFloat, toInt } from './numbers.ts'
import { arithmetic } from './operators.ts'
import type { Run, Value } from './run.ts'
import {
  charCount,
  elements,
  equal,
  isNumeric,
  isObject,
  isTruthy,
  kindOf,
  lookup,
  makeGroup,
  order,
  setKey,
} from './values.ts'

type Key = (item: Value) => Value

/** What to compare by: attributes (several after commas), text without regard to case unless asked for. */
function keyOf(run: Run, attribute: Value, caseSensitive: Value): Key {
  const folded = (value: Value) => (typeof value === 'string' && !isTruthy(caseSensitive) ? value.toLowerCase() : value)
  if (attribute === undefined || attribute === null) return folded
  const picks = (typeof attribute === 'string' ? attribute.split(',') : [attribute]).map(picker)
  const [only] = picks
  if (picks.length === 1 && only !== undefined) return item => folded(only(run, item))
  return item => picks.map(pick => folded(pick(run, item)) ?? null)
}

function sorted(run: Run, list: readonly Json[], key: Key, direction: 1 | -1): Json[] {
  const keyed = list.map(item => ({ item, key: key(item) }))
  return keyed.sort((a, b) => direction * order(run, a.key, b.key)).map(entry => entry.item)
}

const direction = (reverse: Value): 1 | -1 => (isTruthy(reverse) ? -1 : 1)

/** The first element that comes before (or after) all others; missing for an empty list. */
export function extreme(run: Run, list: readonly Json[], key: Key, sign: 1 | -1): Value {
  let best: Value
  for (const [i, item] of list.entries()) {
    if (i === 0 || sign * order(run, key(item), key(best)) > 0) best = item
  }
  return best
}

export function total(run: Run, list: readonly Value[], start: Value): Value {
  let sum = start
  for (const item of list) sum = (arithmetic['+'] as (typeof arithmetic)[string])(run, sum, item)
  return sum
}

export function length(run: Run, value: Value): number {
  if (value === undefined) return 0
  if (typeof value === 'string') return charCount(value)
  if (Array.isArray(value)) return value.length
  if (isObject(value)) {
    const keys = Object.keys(value).length
    run.spend(keys >> 2)
    return keys
  }
  throw failure(`${kindOf(value)} has no length; use | default("", true)`)
}

function unique(run: Run, list: readonly Json[], key: Key): Json[] {
  const seen = new Set<unknown>()
  const others: Value[] = []
  return list.filter(item => {
    run.spend(1)
    const value = key(item)
    const scalar = typeof value === 'boolean' ? Number(value) : value
    if (typeof scalar !== 'object' || scalar === null) return !seen.has(scalar) && seen.add(scalar)
    if (others.some(other => equal(run, other, value))) return false
    others.push(value)
    return true
  })
}

function batch(run: Run, list: readonly Json[], size: number, fill: Value): Json[] {
  if (size < 1) throw failure('batch takes a size of 1 or more')
  const rows: Json[][] = []
  for (let i = 0; i < list.length; i += size) rows.push(list.slice(i, i + size))
  const last = rows.at(-1)
  if (last !== undefined && fill !== undefined && fill !== null) {
    run.spend(size)
    while (last.length < size) last.push(fill)
  }
  return rows
}

function slices(run: Run, list: readonly Json[], number: number, fill: Value): Json[] {
  if (number < 1) throw failure('slice takes 1 slice or more')
  run.spend(number)
  const size = Math.floor(list.length / number)
  const longer = list.length % number
  let at = 0
  return Array.from({ length: number }, (_, i) => {
    const row = list.slice(at, at + size + (i < longer ? 1 : 0))
    at += row.length
    if (fill !== undefined && fill !== null && i >= longer && longer > 0) row.push(fill)
    return row
  })
}

function groupBy(run: Run, list: readonly Json[], key: Key, otherwise: Value): Json[] {
  const keyed = (item: Value) => key(item) ?? otherwise
  const groups: [Value, Json[]][] = []
  for (const item of sorted(run, list, keyed, 1)) {
    const last = groups.at(-1)
    if (last !== undefined && equal(run, last[0], keyed(item))) last[1].push(item)
    else groups.push([keyed(item), [item]])
  }
  return groups.map(([name, members]) => makeGroup(name ?? null, members))
}

function pairs(run: Run, value: Value): [string, Json][] {
  if (value === undefined) return []
  if (!isObject(value)) throw failure(`${kindOf(value)} is not an object and has no items`)
  const entries = Object.entries(value)
  run.spend(entries.length)
  return entries
}

function dictSort(run: Run, value: Value, [caseSensitive, by, reverse]: readonly Value[]): Json[] {
  if (by !== undefined && by !== 'key' && by !== 'value')
    throw failure(`dictsort goes by "key" or "value", not ${kindOf(by)}`)
  const key = keyOf(run, by === 'value' ? 1 : 0, caseSensitive)
  return sorted(run, pairs(run, value), key, direction(reverse))
}

export function reversed(run: Run, value: Value): Value {
  if (typeof value === 'string') {
    run.spend(1 + (value.length >> 4))
    return run.made(Array.from(value).reverse().join(''))
  }
  return [...elements(run, value)].reverse()
}

/** A new object of the given one and further fields. */
export function dict(run: Run, base: Value, named: JsonObject | undefined): JsonObject {
  const object: JsonObject = {}
  const entries = Array.isArray(base) ? base : pairs(run, base)
  for (const entry of entries) {
    if (!Array.isArray(entry) || entry.length !== 2) throw failure(`dict takes pairs, not ${kindOf(entry)}`)
    setKey(object, entry[0], entry[1])
  }
  for (const [key, value] of Object.entries(named ?? {})) setKey(object, key, value)
  return object
}

function absolute(value: Value): number {
  if (isNumeric(value)) return Math.abs(Number(value))
  throw failure(`abs takes a number, not ${kindOf(value)}; use | int or | float`)
}

export function rounded(value: Value, digits: Value, method: Value): number {
  if (!isNumeric(value)) throw failure(`round takes a number, not ${kindOf(value)}; use | float`)
  if (digits !== undefined && typeof digits !== 'number')
    throw failure(`round takes a number of digits, not ${kindOf(digits)}`)
  return round(Number(value), digits ?? 0, method === undefined ? 'common' : String(method))
}

const otherwise = define('default_value? boolean?', (_run, value, [instead = '', boolean]) =>
  value === undefined || (isTruthy(boolean) && !isTruthy(value)) ? instead : value,
)
const size = define('', length)

/** An element at one end: of lists without walking them. */
function end(run: Run, value: Value, index: 0 | -1): Value {
  return Array.isArray(value) || typeof value === 'string' ? lookup(value, index) : elements(run, value).at(index)
}

export const listFilters = {
  abs: define('', (_run, value) => absolute(value)),
  batch: define('linecount fill_with?', (run, value, [n, fill]) => batch(run, elements(run, value), count(n, 1), fill)),
  count: size,
  d: otherwise,
  default: otherwise,
  dictsort: define('case_sensitive? by? reverse?', dictSort),
  first: define('', (run, value) => end(run, value, 0)),
  float: define('default?', (_run, value, [instead = 0]) => toFloat(value) ?? instead),
  groupby: define('attribute default? case_sensitive?', (run, value, [attribute, instead, caseSensitive]) =>
    groupBy(run, elements(run, value), keyOf(run, attribute, caseSensitive), instead),
  ),
  int: define('default? base?', (_run, value, [instead = 0, base = 10]) => toInt(value, Number(base)) ?? instead),
  items: define('', (run, value) => pairs(run, value)),
  last: define('', (run, value) => end(run, value, -1)),
  length: size,
  list: define('', (run, value) => [...elements(run, value)]),
  max: define('case_sensitive? attribute?', (run, value, [caseSensitive, attribute]) =>
    extreme(run, elements(run, value), keyOf(run, attribute, caseSensitive), 1),
  ),
  min: define('case_sensitive? attribute?', (run, value, [caseSensitive, attribute]) =>
    extreme(run, elements(run, value), keyOf(run, attribute, caseSensitive), -1),
  ),
  reverse: define('', reversed),
  round: define('precision? method?', (_run, value, [digits, method]) => rounded(value, digits, method)),
  slice: define('slices fill_with?', (run, value, [n, fill]) => slices(run, elements(run, value), count(n, 1), fill)),
  sort: define('reverse? case_sensitive? attribute?', (run, value, [reverse, caseSensitive, attribute]) =>
    sorted(run, elements(run, value), keyOf(run, attribute, caseSensitive), direction(reverse)),
  ),
  sum: define('attribute? start?', (run, value, [attribute, start = 0]) => {
    const list = elements(run, value)
    if (attribute === undefined || attribute === null) return total(run, list, start)
    const pick = picker(attribute)
    return total(
      run,
      list.map(item => pick(run, item)),
      start,
    )
  }),
  unique: define('case_sensitive? attribute?', (run, value, [caseSensitive, attribute]) =>
    unique(run, elements(run, value), keyOf(run, attribute, caseSensitive)),
  ),
}
