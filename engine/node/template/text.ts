/** Text work that filters and methods share. Everything here is linear in its input: no pattern backtracks. */
import { failure } from './faults.ts'
import type { Run, Value } from './run.ts'
import { finder } from './search.ts'
import { chars, kindOf } from './values.ts'

const htmlCodes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>'"]/g, char => htmlCodes[char] as string)
}

const htmlNames: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

/** Text without comments and tags, with white space collapsed and the common entities resolved. */
export function stripTags(text: string): string {
  const bare = cutOut(cutOut(text, '<!--', '-->'), '<', '>')
  const words = bare.split(/\s+/).filter(word => word !== '')
  return words.join(' ').replace(/&(?:(amp|lt|gt|quot|apos|nbsp)|#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6}));/g, entity)
}

function entity(whole: string, name?: string, decimal?: string, hex?: string): string {
  if (name !== undefined) return htmlNames[name] as string
  const code = decimal === undefined ? Number.parseInt(hex as string, 16) : Number(decimal)
  return code > 0x10ffff ? whole : String.fromCodePoint(code)
}

function cutOut(text: string, open: string, close: string): string {
  let kept = ''
  let at = 0
  for (;;) {
    const start = text.indexOf(open, at)
    const end = start < 0 ? -1 : text.indexOf(close, start + open.length)
    if (end < 0) return kept + text.slice(at)
    kept += text.slice(at, start)
    at = end + close.length
  }
}

/** Words capitalized as the filter `title` does it: they start after white space, a hyphen or an opening bracket. */
export function titleCase(text: string): string {
  return text.toLowerCase().replace(/(^|[-\s({[<])([^-\s({[<])/gu, (_whole, before: string, char: string) => {
    return before + char.toUpperCase()
  })
}

/** Words capitalized as Python's `str.title` does it: they start after anything that is no letter. */
export function pythonTitle(text: string): string {
  return text.toLowerCase().replace(/(?<!\p{L})\p{L}/gu, char => char.toUpperCase())
}

type Replacement = { from: string; to: string; times: Value }

/** The first `times` (default: all) occurrences replaced. The length is counted before the text is made. */
export function replaceText(run: Run, text: string, { from, to, times }: Replacement): string {
  if (times !== undefined && times !== null && !Number.isInteger(times)) {
    throw failure(`replace takes a whole number of times, not ${kindOf(times)}`)
  }
  const max = typeof times === 'number' && times >= 0 ? times : Number.POSITIVE_INFINITY
  const parts = split(run, text, from, max)
  run.spend(parts.length)
  run.room(text.length + (parts.length - 1) * (to.length - from.length))
  return parts.join(to)
}

/** Cuts at each separator, at most `max` times; an empty separator stands around every character. */
function split(run: Run, text: string, separator: string, max: number): string[] {
  if (separator === '') {
    const all = ['', ...chars(text), '']
    return all.length - 1 <= max ? all : [...all.slice(0, max), all.slice(max).join('')]
  }
  return splitText(run, text, separator, max)
}

/** Cuts at each separator from the left, at most `max` times. */
export function splitText(run: Run, text: string, separator: string, max: number): string[] {
  const find = finder(run, text, separator)
  const parts: string[] = []
  let at = 0
  for (let next = find(0); next >= 0 && parts.length < max; next = find(at)) {
    parts.push(text.slice(at, next))
    at = next + separator.length
  }
  parts.push(text.slice(at))
  return parts
}

/** Percent-encoded, except letters, digits, `_.-~` and the characters in `safe`. */
export function quoteUrl(text: string, safe: '' | '/'): string {
  const wellFormed = text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, pair => {
    return pair.length === 2 ? pair : '\ufffd'
  })
  const quoted = encodeURIComponent(wellFormed).replace(/[!*'()]/g, char => {
    return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
  })
  return safe === '/' ? quoted.replaceAll('%2F', '/') : quoted
}

type LongWords = 'break-long-words' | 'keep-long-words'

/** Lines of at most `width` characters, broken at white space; existing lines are wrapped one by one. */
export function wordWrap(text: string, width: number, style: LongWords): string[] {
  return text.split(/\r\n|\r|\n/).flatMap(line => wrapLine(line, width, style))
}

function wrapLine(line: string, width: number, style: LongWords): string[] {
  const lines: string[] = []
  let current = ''
  for (const word of line.split(' ')) {
    let rest = word
    if (current !== '' && current.length + 1 + rest.length <= width) {
      current += ` ${rest}`
      continue
    }
    if (current !== '') lines.push(current)
    while (style === 'break-long-words' && rest.length > width) {
      lines.push(rest.slice(0, width))
      rest = rest.slice(width)
    }
    current = rest
  }
  if (current !== '' || lines.length === 0) lines.push(current)
  return lines
}
