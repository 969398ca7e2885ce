/**
 * Text from patterns: `"%05.2f" % x` and `"{:>8}".format(x)`. Only values and widths are understood; a path inside a
 * field (`{0.__class__}`, the classic way out of Python sandboxes) is refused.
 */
import type { JsonObject } from '../../json.ts'
import { failure } from './faults.ts'
import { fixed, toFloat, toInt } from './numbers.ts'
import type { Run, Value } from './run.ts'
import { charCount, jsonText, kindOf, lookup, print } from './values.ts'

/** `at` counts the arguments used so far. */
type Source = { readonly args: readonly Value[]; readonly named: JsonObject | undefined; at: number }

function nextArg(source: Source, pattern: string): Value {
  if (source.at >= source.args.length) throw failure(`the pattern "${pattern.slice(0, 40)}" needs more arguments`)
  const value = source.args[source.at]
  source.at += 1
  return value
}

const percent = /%(?:\((\w+)\))?([-+ 0#]*)(\d*)(?:\.(\d+))?(.|$)/gsu

/** Python's `%` on text: `%s %d %i %f %e %x %o %%`, with flags, width, precision and `%(name)s`. */
export function formatPercent(run: Run, pattern: string, args: readonly Value[], named?: JsonObject): string {
  const source: Source = { args, named, at: 0 }
  let usesNames = false
  const text = pattern.replace(percent, (...match: unknown[]) => {
    const [whole, name, flags, width, precision, type] = match as (string | undefined)[]
    if (type === '%') return '%'
    usesNames ||= name !== undefined
    const value = name === undefined ? nextArg(source, pattern) : lookup(named, name)
    const style: Style = {
      ...flagged(flags ?? ''),
      width: Number(width),
      comma: false,
      precision: precision === undefined ? undefined : Number(precision),
      type: type === 'i' || type === 'u' ? 'd' : (type ?? ''),
    }
    if (!'sdfFexXo'.includes(style.type) || style.type === '') throw failure(`unknown format "${whole?.slice(0, 20)}"`)
    run.spend(1)
    return applyStyle(run, value, style)
  })
  if (!usesNames && source.at < args.length)
    throw failure(`the pattern "${pattern.slice(0, 40)}" takes fewer arguments`)
  return run.made(text)
}

function flagged(flags: string): { fill: string; align: string; sign: string } {
  const plain = flags.includes(' ') ? ' ' : '-'
  const sign = flags.includes('+') ? '+' : plain
  if (flags.includes('-')) return { fill: ' ', align: '<', sign }
  return flags.includes('0') ? { fill: '0', align: '=', sign } : { fill: ' ', align: '>', sign }
}

const braces = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g

/** Python's `str.format`: `{}`, `{0}`, `{name}`, each with a format after a colon. */
export function formatBraces(run: Run, pattern: string, args: readonly Value[], named: JsonObject | undefined): string {
  const source: Source = { args, named, at: 0 }
  const text = pattern.replace(braces, (whole: string, field: string | undefined) => {
    if (whole === '{{' || whole === '}}') return whole.charAt(0)
    if (field === undefined) throw failure(`a single "${whole}" in the pattern "${pattern.slice(0, 40)}"; double it`)
    const colon = field.indexOf(':')
    const name = colon < 0 ? field : field.slice(0, colon)
    const spec = colon < 0 ? '' : field.slice(colon + 1)
    run.spend(1)
    return applyStyle(run, fieldValue(source, name, pattern), parseSpec(spec))
  })
  return run.made(text)
}

function fieldValue(source: Source, name: string, pattern: string): Value {
  if (name === '') return nextArg(source, pattern)
  if (/^\d{1,4}$/.test(name)) return nextArg({ ...source, at: Number(name) }, pattern)
  if (/^\w+$/.test(name)) return lookup(source.named, name)
  throw failure(`the field "{${name.slice(0, 40)}}" is not a plain name; pass the value itself as an argument`)
}

type Style = {
  fill: string
  align: string
  sign: string
  width: number
  comma: boolean
  precision: number | undefined
  type: string
}

const spec = /^(?:(.)?([<>=^]))?([-+ ])?(0)?(\d+)?(,)?(?:\.(\d+))?([sdfFexXobc%])?$/su

function parseSpec(text: string): Style {
  const match = spec.exec(text)
  if (match === null) throw failure(`unknown format "${text.slice(0, 40)}"`)
  const [, fill, align, sign = '-', zero, width, comma, precision, type = ''] = match
  return {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: align ?? (zero === undefined ? '' : '='),
    sign,
    width: Number(width ?? 0),
    comma: comma !== undefined,
    precision: precision === undefined ? undefined : Number(precision),
    type,
  }
}

function applyStyle(run: Run, value: Value, style: Style): string {
  const isNumber = style.type !== 's' && (style.type !== '' || typeof value === 'number')
  const [sign, body] = isNumber ? numberText(value, style) : ['', cut(run, value, style)]
  run.room(style.width)
  const missing = style.width - charCount(sign + body)
  if (missing <= 0) return sign + body
  const align = style.align || (isNumber ? '>' : '<')
  if (align === '=') return sign + style.fill.repeat(missing) + body
  const left = align === '^' ? Math.floor(missing / 2) : missing * Number(align === '>')
  return style.fill.repeat(left) + sign + body + style.fill.repeat(missing - left)
}

function cut(run: Run, value: Value, style: Style): string {
  const text = typeof value === 'object' && value !== null ? jsonText(run, value) : print(run, value)
  return style.precision === undefined ? text : text.slice(0, style.precision)
}

function numberText(value: Value, style: Style): [sign: string, body: string] {
  const number = 'dxXob'.includes(style.type) && style.type !== '' ? toInt(value) : toFloat(value)
  if (number === undefined || typeof value === 'string') {
    throw failure(`the format "${style.type}" needs a number, not ${kindOf(value)}; convert with | int or | float`)
  }
  const positive = style.sign === '-' ? '' : style.sign
  const sign = number < 0 ? '-' : positive
  const body = digits(Math.abs(number), style)
  return [sign, style.comma ? body.replace(/^\d+/, whole => whole.replace(/\B(?=(?:\d{3})+$)/g, ',')) : body]
}

const bases: Readonly<Record<string, number>> = { x: 16, X: 16, o: 8, b: 2 }

function digits(value: number, style: Style): string {
  const { type, precision } = style
  if ((precision ?? 0) > 15) throw failure(`a format has at most 15 decimals, not ${precision}`)
  if (type === '%') return `${fixed(value * 100, precision ?? 6)}%`
  if (type === 'f' || type === 'F') return fixed(value, precision ?? 6)
  if (type === 'e') return value.toExponential(precision ?? 6).replace(/e([-+])(\d)$/, 'e$10$2')
  const base = bases[type]
  if (base !== undefined) return type === 'X' ? value.toString(base).toUpperCase() : value.toString(base)
  if (type === 'd' && value >= 1e21) throw failure('the number is too large to be written out')
  return type === '' && precision !== undefined ? fixed(value, precision) : String(value)
}
