/**
 * The methods of texts, objects and lists, by name: a fixed table, since nothing that comes with the data can be called.
 * They do what Python's do. Called on a missing value they give a missing value, so that chains stay empty.
 */
import type { JsonObject } from '../../json.ts'
import { define } from './define.ts'
import { failure } from './faults.ts'
import { strip } from './filters-text.ts'
import { formatBraces } from './format.ts'
import type { Run, Value } from './run.ts'
import { finder, lastIndexOf } from './search.ts'
import { pythonTitle, replaceText, splitText } from './text.ts'
import { charCount, charSlice, chars, contains, elements, equal, isObject, kindOf, lookup, print } from './values.ts'

type TextBody = (text: string, args: readonly Value[], run: Run, named: JsonObject | undefined) => Value

/** A method of texts; `fallback` is what lists do under the same name. */
function ofText(
  signature: string,
  body: TextBody,
  fallback?: (run: Run, list: Value, args: readonly Value[]) => Value,
) {
  return define(signature, (run, value, args, named) => {
    if (value === undefined) return undefined
    if (Array.isArray(value) && fallback !== undefined) return fallback(run, value, args)
    if (typeof value !== 'string') throw failure(`this is a method of text, not of ${kindOf(value)}; use | string`)
    const result = body(value, args, run, named)
    if (typeof result === 'string') return run.made(result)
    if (Array.isArray(result)) run.spend(result.length)
    return result
  })
}

function ofObject(signature: string, body: (object: JsonObject, args: readonly Value[]) => Value) {
  return define(signature, (run, value, args) => {
    if (value === undefined) return undefined
    if (!isObject(value)) throw failure(`this is a method of objects, not of ${kindOf(value)}; test "is mapping" first`)
    run.spend(Object.keys(value).length + 1)
    return body(value, args)
  })
}

function textArg(value: Value, what: string): string {
  if (typeof value === 'string') return value
  throw failure(`${what} takes text, not ${kindOf(value)}; use | string`)
}

function limitOf(value: Value): number {
  if (value === undefined || value === null) return Number.POSITIVE_INFINITY
  if (!Number.isInteger(value)) throw failure(`split takes a whole number of cuts, not ${kindOf(value)}`)
  return (value as number) < 0 ? Number.POSITIVE_INFINITY : (value as number)
}

function split(text: string, [separator, max]: readonly Value[], run: Run): string[] {
  if (separator === undefined || separator === null) return splitBlank(text.trimStart(), limitOf(max))
  if (separator === '') throw failure('split takes a separator of one character or more; use | list for characters')
  return splitText(run, text, textArg(separator, 'split'), limitOf(max))
}

function splitBlank(text: string, max: number): string[] {
  const parts: string[] = []
  let at = 0
  for (const blank of text.matchAll(/\s+/g)) {
    if (parts.length >= max) return [...parts, text.slice(at)]
    if (blank.index > at) parts.push(text.slice(at, blank.index))
    at = blank.index + blank[0].length
  }
  return at < text.length ? [...parts, text.slice(at)] : parts
}

function rightSplit(text: string, [separator, max]: readonly Value[], run: Run): string[] {
  const all = split(text, [separator, undefined], run)
  const extra = all.length - 1 - limitOf(max)
  if (extra <= 0) return all
  if (typeof separator !== 'string') throw failure('rsplit with a number of cuts takes a separator')
  return [all.slice(0, extra + 1).join(separator), ...all.slice(extra + 1)]
}

function matches(args: readonly Value[], holds: (part: string) => boolean): boolean {
  const parts = Array.isArray(args[0]) ? args[0] : [args[0]]
  return parts.some(part => holds(textArg(part, 'a test of text')))
}

/** The index of a part, in characters, or -1. */
function find(run: Run, text: string, part: Value, from: 'start' | 'end'): number {
  const wanted = textArg(part, 'find')
  const unit = from === 'start' ? finder(run, text, wanted)(0) : lastIndexOf(run, text, wanted)
  return unit < 0 ? -1 : charCount(text.slice(0, unit))
}

function indexIn(run: Run, list: Value, [item]: readonly Value[]): number {
  const index = elements(run, list).findIndex(element => equal(run, element, item))
  if (index < 0) throw failure(`${kindOf(item)} is not in the list; test with "in" first`)
  return index
}

function zeroFill(text: string, [width]: readonly Value[], run: Run): string {
  const size = Number.isInteger(width) ? (width as number) : 0
  const missing = Math.max(0, size - charCount(text))
  run.room(missing)
  const sign = /^[-+]/.test(text) ? text.charAt(0) : ''
  return sign + '0'.repeat(missing) + text.slice(sign.length)
}

function padded(side: 'left' | 'right' | 'both') {
  return ofText('width fillchar?', (text, [width, fill = ' '], run) => {
    const char = textArg(fill, 'padding')
    if (charCount(char) !== 1) throw failure('padding takes one character')
    const missing = Math.max(0, (Number.isInteger(width) ? (width as number) : 0) - charCount(text))
    run.room(missing * char.length)
    const left = side === 'both' ? Math.floor(missing / 2) : missing * Number(side === 'left')
    return char.repeat(left) + text + char.repeat(missing - left)
  })
}

function replaceFrom(run: Run, text: string, [from, to, count]: readonly Value[]): string {
  return replaceText(run, text, { from: textArg(from, 'replace'), to: textArg(to, 'replace'), times: count })
}

function stripped(side: 'both' | 'left' | 'right') {
  return ofText('chars?', (text, [set]) =>
    strip(text, set === undefined || set === null ? undefined : textArg(set, 'strip'), side),
  )
}

const is = (pattern: RegExp) => ofText('', text => pattern.test(text))

export const methods = {
  capitalize: ofText('', text => charSlice(text, 0, 1).toUpperCase() + charSlice(text, 1).toLowerCase()),
  center: padded('both'),
  count: ofText(
    'item',
    (text, [part], run) => {
      const wanted = textArg(part, 'count')
      return wanted === '' ? charCount(text) + 1 : splitText(run, text, wanted, Number.POSITIVE_INFINITY).length - 1
    },
    (run, list, [item]) => elements(run, list).filter(element => equal(run, element, item)).length,
  ),
  endswith: ofText('suffix', (text, args) => matches(args, part => text.endsWith(part))),
  find: ofText('sub', (text, [part], run) => find(run, text, part, 'start')),
  format: ofText('* **', (text, args, run, named) => formatBraces(run, text, args, named)),
  get: define('key default?', (run, value, [key, instead = null]) => {
    if (value === undefined) return instead
    if (!isObject(value))
      throw failure(`"get" is a method of objects, not of ${kindOf(value)}; test "is mapping" first`)
    return contains(run, value, key) ? lookup(value, key) : instead
  }),
  index: ofText(
    'item',
    (text, [part], run) => {
      const at = find(run, text, part, 'start')
      if (at < 0) throw failure(`${kindOf(part)} is not in the text; use find(), which gives -1`)
      return at
    },
    indexIn,
  ),
  isalnum: is(/^[\p{L}\p{N}]+$/u),
  isalpha: is(/^\p{L}+$/u),
  isdecimal: is(/^\p{Nd}+$/u),
  isdigit: is(/^\p{Nd}+$/u),
  islower: ofText('', text => text === text.toLowerCase() && text !== text.toUpperCase()),
  isnumeric: is(/^\p{N}+$/u),
  isspace: is(/^\s+$/u),
  isupper: ofText('', text => text === text.toUpperCase() && text !== text.toLowerCase()),
  items: ofObject('', object => Object.entries(object)),
  join: ofText('list', (text, [list], run) => {
    let joined = ''
    for (const [i, item] of elements(run, list).entries()) {
      joined += (i > 0 ? text : '') + print(run, item)
      run.fits(joined.length)
    }
    return joined
  }),
  keys: ofObject('', object => Object.keys(object)),
  ljust: padded('right'),
  lower: ofText('', text => text.toLowerCase()),
  lstrip: stripped('left'),
  removeprefix: ofText('prefix', (text, [part]) => {
    const prefix = textArg(part, 'removeprefix')
    return text.startsWith(prefix) ? text.slice(prefix.length) : text
  }),
  removesuffix: ofText('suffix', (text, [part]) => {
    const suffix = textArg(part, 'removesuffix')
    return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text
  }),
  replace: ofText('old new count?', (text, args, run) => replaceFrom(run, text, args)),
  rfind: ofText('sub', (text, [part], run) => find(run, text, part, 'end')),
  rjust: padded('left'),
  rsplit: ofText('sep? maxsplit?', rightSplit),
  rstrip: stripped('right'),
  split: ofText('sep? maxsplit?', split),
  splitlines: ofText('', text => {
    const lines = text.split(/\r\n|\r|\n/)
    if (lines.at(-1) === '') lines.pop()
    return lines
  }),
  startswith: ofText('prefix', (text, args) => matches(args, part => text.startsWith(part))),
  strip: stripped('both'),
  swapcase: ofText('', text =>
    Array.from(chars(text), char => (char === char.toUpperCase() ? char.toLowerCase() : char.toUpperCase())).join(''),
  ),
  title: ofText('', pythonTitle),
  upper: ofText('', text => text.toUpperCase()),
  values: ofObject('', object => Object.values(object)),
  zfill: ofText('width', zeroFill),
}
