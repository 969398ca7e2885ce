/** Filters that make text. A missing value counts as empty text; anything else as what it prints. */
import { picker } from './attributes.ts'
import { define } from './define.ts'
import { failure } from './faults.ts'
import { formatPercent } from './format.ts'
import { fixed, toFloat } from './numbers.ts'
import type { Run, Value } from './run.ts'
import { escapeHtml, quoteUrl, replaceText, stripTags, titleCase, wordWrap } from './text.ts'
import { charCount, charSlice, chars, elements, isObject, isTruthy, jsonText, kindOf, print } from './values.ts'

type TextBody = (text: string, args: readonly Value[], run: Run) => string

/** An entry that turns text into text, with its work and its result counted. */
function text(signature: string, body: TextBody) {
  return define(signature, (run, value, args) => {
    const source = print(run, value)
    return run.made(body(source, args, run))
  })
}

/** A whole number at or above zero, or the default when it was not given. */
export function count(value: Value, otherwise: number): number {
  if (value === undefined || value === null) return otherwise
  if (Number.isInteger(value) && (value as number) >= 0) return value as number
  throw failure(`a whole number is wanted, not ${kindOf(value)}; use | int`)
}

function truncate(source: string, [length, killwords, end, leeway]: readonly Value[], run: Run): string {
  const max = count(length, 255)
  const tail = end === undefined ? '...' : print(run, end)
  if (charCount(source) <= max + count(leeway, 5)) return source
  if (max < charCount(tail)) throw failure(`truncate(${max}) has no room for "${tail}"; use a greater length`)
  const head = charSlice(source, 0, max - charCount(tail))
  if (isTruthy(killwords)) return head + tail
  const blank = head.lastIndexOf(' ')
  return (blank < 0 ? head : head.slice(0, blank)) + tail
}

function indent(source: string, [width, first, blank]: readonly Value[], run: Run): string {
  const spaces = typeof width === 'string' ? 0 : count(width, 4)
  run.room(spaces)
  const pad = typeof width === 'string' ? width : ' '.repeat(spaces)
  const lines = source.split('\n')
  run.room(source.length + lines.length * pad.length)
  const indented = lines.map((line, i) => (i > 0 && (line !== '' || isTruthy(blank)) ? pad + line : line))
  return (isTruthy(first) ? pad : '') + indented.join('\n')
}

function wrap(source: string, [width, long, glue]: readonly Value[], run: Run): string {
  const style = long === false ? 'keep-long-words' : 'break-long-words'
  const lines = wordWrap(source, Math.max(1, count(width, 79)), style)
  const between = glue === undefined ? '\n' : print(run, glue)
  run.room(source.length + lines.length * between.length)
  return lines.join(between)
}

const units = ['Bytes', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB']
const binaryUnits = ['Bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB']

function fileSize(value: Value, binary: boolean): string {
  const bytes = toFloat(value)
  if (bytes === undefined) throw failure(`a file size is a number of bytes, not ${kindOf(value)}`)
  const base = binary ? 1024 : 1000
  if (bytes === 1) return '1 Byte'
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`
  let size = bytes
  let unit = 0
  while (size >= base && unit < units.length - 1) {
    size /= base
    unit += 1
  }
  return `${fixed(size, 1)} ${(binary ? binaryUnits : units)[unit]}`
}

function urlEncode(run: Run, value: Value): string {
  if (!isObject(value) && !Array.isArray(value)) return quoteUrl(print(run, value), '/')
  const pairs = isObject(value) ? Object.entries(value) : value
  run.spend(pairs.length)
  const quoted = pairs.map(pair => {
    if (!Array.isArray(pair) || pair.length !== 2) throw failure(`urlencode takes pairs, not ${kindOf(pair)}`)
    return pair.map(part => quoteUrl(print(run, part), '').replaceAll('%20', '+')).join('=')
  })
  return quoted.join('&')
}

function xmlAttributes(run: Run, value: Value, autospace: boolean): string {
  if (!isObject(value)) throw failure(`xmlattr takes an object, not ${kindOf(value)}`)
  const parts = Object.entries(value).flatMap(([key, content]) => {
    if (/[\s/>=<"']/.test(key)) throw failure(`${JSON.stringify(key)} is no name of an attribute`)
    return content === null ? [] : [`${escapeHtml(key)}="${escapeHtml(print(run, content))}"`]
  })
  return (autospace && parts.length > 0 ? ' ' : '') + parts.join(' ')
}

function join(run: Run, value: Value, [separator, attribute]: readonly Value[]): string {
  const pick = attribute === undefined ? undefined : picker(attribute)
  const between = print(run, separator)
  let text = ''
  for (const [i, item] of elements(run, value).entries()) {
    text += (i > 0 ? between : '') + print(run, pick === undefined ? item : pick(run, item))
    run.fits(text.length)
  }
  return run.made(text)
}

const html = text('', escapeHtml)

export const textFilters = {
  capitalize: text('', source => charSlice(source, 0, 1).toUpperCase() + charSlice(source, 1).toLowerCase()),
  center: text('width?', (source, [width], run) => {
    const missing = Math.max(0, count(width, 80) - charCount(source))
    run.room(missing)
    const left = Math.floor(missing / 2)
    return ' '.repeat(left) + source + ' '.repeat(missing - left)
  }),
  e: html,
  escape: html,
  forceescape: html,
  filesizeformat: define('binary?', (_run, value, [binary]) => fileSize(value, isTruthy(binary))),
  format: define('* **', (run, value, args, named) => formatPercent(run, print(run, value), args, named)),
  indent: text('width? first? blank?', indent),
  join: define('d? attribute?', join),
  lower: text('', source => source.toLowerCase()),
  replace: define('old new count?', (run, value, [from, to, times]) =>
    replaceText(run, print(run, value), { from: print(run, from), to: print(run, to), times }),
  ),
  safe: define('', (_run, value) => value),
  string: define('', (run, value) => print(run, value)),
  striptags: text('', stripTags),
  title: text('', titleCase),
  tojson: define('indent?', (run, value, [width]) => {
    const spaces = width === undefined || width === null ? undefined : count(width, 0)
    if ((spaces ?? 0) > 10) throw failure(`tojson indents by up to 10 spaces, not ${spaces}`)
    return run.made(jsonText(run, value, spaces))
  }),
  trim: text('chars?', (source, [set], run) => strip(source, set === undefined ? undefined : print(run, set), 'both')),
  truncate: text('length? killwords? end? leeway?', truncate),
  upper: text('', source => source.toUpperCase()),
  urlencode: define('', (run, value) => run.made(urlEncode(run, value))),
  wordcount: define('', (run, value) => print(run, value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
  wordwrap: text('width? break_long_words? wrapstring? break_on_hyphens?', wrap),
  xmlattr: define('autospace?', (run, value, [autospace]) => run.made(xmlAttributes(run, value, autospace !== false))),
}

/** Without the given characters (white space when none are) at one end or both. */
export function strip(source: string, set: string | undefined, side: 'both' | 'left' | 'right'): string {
  if (set === undefined) {
    if (side === 'both') return source.trim()
    return side === 'left' ? source.trimStart() : source.trimEnd()
  }
  const list = chars(source)
  const drop = new Set(set)
  let from = 0
  let to = list.length
  if (side !== 'right') while (from < to && drop.has(list[from] as string)) from += 1
  if (side !== 'left') while (to > from && drop.has(list[to - 1] as string)) to -= 1
  return charSlice(source, from, to)
}
