/**
 * Values as templates see them: what a field is, what is true, equal, less, and how it prints. This file is the wall
 * around the host: own properties of plain JSON only, three names never, and nothing that could be called comes through.
 * One rule of printing: text as it is, everything else as JSON (`true`, `null`, `[1, 2]`, `{"a": 1}`), missing as nothing.
 */
import type { Json, JsonObject } from '../../json.ts'
import { limits } from '../../limits.ts'
import { failure, overBudget } from './faults.ts'
import type { Run, Value } from './run.ts'
import { includesText } from './search.ts'

const forbidden = new Set(['__proto__', 'constructor', 'prototype'])
const surrogate = /[\ud800-\udfff]/

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The field or element, or undefined: own properties of objects, elements (also from the end) of lists and texts. */
export function lookup(object: Value, key: Value): Value {
  if (typeof object === 'string') return Number.isInteger(key) ? charAt(object, key as number) : undefined
  if (typeof object !== 'object' || object === null) return undefined
  if (Array.isArray(object)) return Number.isInteger(key) ? plain(object.at(key as number)) : groupField(object, key)
  if (typeof key !== 'string' && typeof key !== 'number') return undefined
  const name = String(key)
  return Object.hasOwn(object, name) && !forbidden.has(name) ? plain(object[name]) : undefined
}

const groups = new WeakSet<object>()

/** A pair of `groupby`: a list of two that also has the fields `grouper` and `list`. */
export function makeGroup(name: Json, members: Json[]): Json[] {
  const group: Json[] = [name, members]
  groups.add(group)
  return group
}

function groupField(list: Json[], key: Value): Value {
  if (!groups.has(list)) return undefined
  if (key === 'grouper') return list[0]
  return key === 'list' ? list[1] : undefined
}

/** A scope should hold JSON only; what is none of it (a function that slipped in) counts as missing. */
function plain(value: Value): Value {
  const type = typeof value
  return type === 'function' || type === 'symbol' || type === 'bigint' ? undefined : value
}

/** Writes a key of an object that a template makes. Throws `TEMPLATE_FAILED` for names that mean something to a host. */
export function setKey(object: JsonObject, key: Value, value: Value): void {
  if (typeof key !== 'string' && typeof key !== 'number')
    throw failure(`${kindOf(key)} is no key of an object; use text`)
  if (forbidden.has(String(key))) throw failure(`"${key}" is no key of an object; choose another name`)
  object[String(key)] = value ?? null
}

/** Truth as in Jinja: empty text, list and object, 0, null and missing are false. */
export function isTruthy(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isObject(value)) {
    for (const key in value) if (Object.hasOwn(value, key)) return true
    return false
  }
  return Boolean(value)
}

/** Truth, with the keys of an object counted: a host may have to list them all to see whether there is one. */
export function truthy(run: Run, value: Value): boolean {
  if (!isObject(value)) return isTruthy(value)
  const keys = Object.keys(value).length
  run.spend(keys >> 2)
  return keys > 0
}

/** The word for a value's type in messages. */
export function kindOf(value: Value): string {
  if (value === undefined) return 'a missing value'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  if (typeof value === 'string')
    return `the text ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`
  return typeof value === 'boolean' ? String(value) : `the number ${value}`
}

/** Equality as in Python: by content, `1 == true`, and a text never equals a number. */
export function equal(run: Run, a: Value, b: Value, depth = 0): boolean {
  run.spend(1 + (typeof a === 'string' ? a.length >> 8 : 0))
  if (a === b) return true
  if (typeof a === 'boolean' && typeof b === 'number') return Number(a) === b
  if (typeof a === 'number' && typeof b === 'boolean') return Number(b) === a
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (depth > limits.templateDepthMax) throw overBudget('values nest', limits.templateDepthMax)
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(run, item, b[i], depth + 1))
  }
  if (Array.isArray(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every(key => Object.hasOwn(b, key) && equal(run, a[key], b[key], depth + 1))
  )
}

/** Negative, zero or positive. Throws `TEMPLATE_FAILED` for what has no order (text and number, null). */
export function order(run: Run, a: Value, b: Value, depth = 0): number {
  run.spend(1 + (typeof a === 'string' ? a.length >> 8 : 0))
  if (isNumeric(a) && isNumeric(b)) return Number(a) - Number(b)
  if (typeof a === 'string' && typeof b === 'string') return Number(a > b) - Number(a < b)
  if (!Array.isArray(a) || !Array.isArray(b)) {
    throw failure(`${kindOf(a)} and ${kindOf(b)} have no order; convert one, e.g. with | int or | default(0)`)
  }
  if (depth > limits.templateDepthMax) throw overBudget('values nest', limits.templateDepthMax)
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (!equal(run, a[i], b[i])) return order(run, a[i], b[i], depth + 1)
  }
  return a.length - b.length
}

export function isNumeric(value: Value): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean'
}

/** Membership: element of a list, part of a text, key of an object. Nothing is in a missing value. */
export function contains(run: Run, container: Value, item: Value): boolean {
  if (container === undefined) return false
  if (Array.isArray(container)) return container.some(element => equal(run, element, item))
  if (isObject(container)) return typeof item === 'string' && Object.hasOwn(container, item) && !forbidden.has(item)
  if (typeof container !== 'string') throw failure(`nothing is in ${kindOf(container)}; test a list, object or text`)
  if (item === undefined) return false
  if (typeof item !== 'string') throw failure(`only text is in a text, not ${kindOf(item)}; use | string`)
  return includesText(run, container, item)
}

/** What a loop goes over: elements, characters, or the keys of an object; nothing for a missing value. */
export function elements(run: Run, value: Value): Json[] {
  if (value === undefined) return []
  if (Array.isArray(value)) {
    run.spend(value.length)
    return value
  }
  if (typeof value === 'string') {
    run.spend(value.length)
    return Array.from(value)
  }
  if (!isObject(value)) throw failure(`${kindOf(value)} is not a list; use | default([], true)`)
  const keys = Object.keys(value)
  run.spend(keys.length)
  return keys
}

/** A value as text. `indent` is the number of spaces of each level, as JSON.stringify has it. */
export function print(run: Run, value: Value): string {
  if (typeof value === 'string') return value
  if (value === undefined) return ''
  if (typeof value === 'number') return String(value)
  if (value === null || typeof value === 'boolean') return String(value)
  return run.made(jsonText(run, value))
}

/** JSON text spaced as Jinja does it: `{"a": [1, 2]}`, or over several lines with `indent` spaces a level. */
export function jsonText(run: Run, value: Value, indent?: number): string {
  const writer = new JsonWriter(run, indent)
  writer.write(value, 0)
  return writer.text
}

class JsonWriter {
  readonly run: Run
  readonly indent: number | undefined
  text = ''

  constructor(run: Run, indent: number | undefined) {
    this.run = run
    this.indent = indent
  }

  write(value: Value, depth: number): void {
    this.run.spend(1)
    if (depth > limits.templateDepthMax) throw overBudget('values nest', limits.templateDepthMax)
    if (this.text.length > limits.templateOutputBytesMax) {
      throw overBudget('a text has bytes', limits.templateOutputBytesMax)
    }
    if (Array.isArray(value)) this.all(value, ['[', ']'], depth, item => this.write(item, depth + 1))
    else if (isObject(value)) {
      this.all(Object.keys(value), ['{', '}'], depth, key => {
        this.text += `${JSON.stringify(key)}: `
        this.write(value[key], depth + 1)
      })
    } else this.text += typeof value === 'number' ? value : JSON.stringify(plain(value) ?? null)
  }

  all<T>(items: readonly T[], [open, close]: [string, string], depth: number, each: (item: T) => void): void {
    const line = this.indent === undefined || items.length === 0 ? '' : `\n${' '.repeat(this.indent * (depth + 1))}`
    this.text += open
    for (const [i, item] of items.entries()) {
      if (i > 0) this.text += line === '' ? ', ' : ','
      this.text += line
      each(item)
    }
    if (line !== '') this.text += `\n${' '.repeat((this.indent as number) * depth)}`
    this.text += close
  }
}

// Texts count in characters (code points), not UTF-16 units: `"☕🎉" | length` is 2.

export function charCount(text: string): number {
  return surrogate.test(text) ? Array.from(text).length : text.length
}

export function charAt(text: string, index: number): string | undefined {
  return surrogate.test(text) ? Array.from(text).at(index) : text.at(index)
}

export function chars(text: string): string | string[] {
  return surrogate.test(text) ? Array.from(text) : text
}

/** The characters from `start` to before `end`, counted as `charCount` does. */
export function charSlice(text: string, start: number, end?: number): string {
  return surrogate.test(text) ? Array.from(text).slice(start, end).join('') : text.slice(start, end)
}

/** What working through texts costs, in steps; lists and objects are counted by what walks them. */
export function textWork(value: Value): number {
  return typeof value === 'string' ? value.length >> 4 : 0
}
