/**
 * JSON text with templates, read so that no value can break it. People write `{ "name": "{{ data.name }}", "n": {{ data.n
 * }} }`. Rendering that as text and parsing the result would let a quote inside `data.name` change the structure. So the
 * JSON is parsed first, with templates in their places: a template inside a string renders inside that string, a string
 * that is exactly one `{{ }}` keeps its native type, a bare `{{ }}` is a value of its own (a text it gives is read as
 * JSON, as `{{ x | tojson }}` needs). Only what has no such shape (`{% for %}` around entries) is rendered as text and
 * parsed after.
 */
import { EngineError } from '../errors.ts'
import { isJsonObject, type Json } from '../json.ts'
import { type CompiledValue, type Compiling, compileDeep, compileText, constant, keyText } from './form-deep.ts'
import { parseJsonText } from './json-text.ts'
import { hasTemplate, type TemplateScope } from './template.ts'

export function compileJson(raw: Json, compiling: Compiling): CompiledValue {
  if (typeof raw !== 'string') return compileDeep(raw, compiling)
  if (!hasTemplate(raw)) {
    const parsed = parseJsonText(raw)
    if (parsed.fault === undefined) return constant(parsed.value)
    compiling.faults.push({ code: 'FORM_INVALID', message: parsed.fault.message })
    return constant(null)
  }
  return compileShape(raw, compiling) ?? compileAsText(raw, compiling)
}

export function compileJsonOrText(raw: Json, compiling: Compiling): CompiledValue {
  if (typeof raw !== 'string') return compileDeep(raw, compiling)
  if (!hasTemplate(raw) || !/^\s*[[{](?![%#{])/.test(raw)) return compileText(raw, compiling)
  return compileShape(raw, compiling) ?? compileText(raw, compiling)
}

/** The JSON with templates in their places, or undefined when the text has no such shape. */
function compileShape(text: string, compiling: Compiling): CompiledValue | undefined {
  const whole = parseJsonText(text)
  if (whole.fault === undefined) return compileDeep(whole.value, compiling)
  const masked = mask(text)
  if (masked === undefined) return undefined
  const parsed = parseJsonText(masked.text)
  return parsed.fault === undefined ? unmask(parsed.value, masked.spans, compiling) : undefined
}

function compileAsText(text: string, compiling: Compiling): CompiledValue {
  return asJson(compileText(text, compiling))
}

/** A text that a template gives is JSON; any other value is itself. */
function asJson(value: CompiledValue): CompiledValue {
  return {
    constant: false,
    render: (scope: TemplateScope) => {
      const result = value.render(scope)
      if (typeof result !== 'string') return result
      const parsed = parseJsonText(result)
      if (parsed.fault === undefined) return parsed.value
      const text = `the rendered text ${parsed.fault.message}; use "{{ value | tojson }}" where a value stands alone`
      throw new EngineError('FORM_INVALID', text, { details: { line: parsed.fault.line, column: parsed.fault.column } })
    },
  }
}

// The places of templates, in JSON text: `\u0000=N\u0000` as a whole string (bare) or `\u0000N\u0000` inside one.
const BARE = /^\0=(\d+)\0$/
const INSIDE = /\0(\d+)\0/g
const OPEN = '\\u0000'

type Masked = { text: string; spans: string[] }

/** Puts a mark where each `{{ … }}` stands; undefined when there are blocks, or marks already. */
function mask(text: string): Masked | undefined {
  const spans: string[] = []
  let out = ''
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const two = text.slice(i, i + 2)
    if (two === '{%' || two === '{#' || text.startsWith(OPEN, i)) return undefined
    if (two === '{{') {
      const end = endOfSpan(text, i + 2, inString ? '"' : '')
      if (end === undefined) return undefined
      const span = text.slice(i, end)
      out += inString ? `${OPEN}${spans.length}${OPEN}` : `"${OPEN}=${spans.length}${OPEN}"`
      spans.push(inString ? span.replaceAll('\\"', '"') : span)
      i = end - 1
    } else if (inString && text[i] === '\\') {
      out += two
      i += 1
    } else {
      if (text[i] === '"') inString = !inString
      out += text[i]
    }
  }
  return spans.length === 0 ? undefined : { text: out, spans }
}

/**
 * The index after the `}}` that closes a span; quotes inside the expression may hold braces. Inside a JSON string
 * (`outer`), `\\"` is how that string spells the quote, not an escape of the expression.
 */
function endOfSpan(text: string, from: number, outer: '' | '"'): number | undefined {
  let quote = ''
  for (let i = from; i < text.length; i++) {
    const char = text[i] as string
    if (quote !== '') {
      if (char === '\\' && text[i + 1] !== outer) i += 1
      else if (char === quote) quote = ''
    } else if (char === '"' || char === "'") quote = char
    else if (char === '}' && text[i + 1] === '}') return i + 2
  }
  return undefined
}

function unmask(value: Json, spans: readonly string[], compiling: Compiling): CompiledValue {
  if (typeof value === 'string') return unmaskText(value, spans, compiling)
  if (Array.isArray(value)) {
    const items = value.map(item => unmask(item, spans, compiling))
    return { constant: false, render: scope => items.map(item => item.render(scope)) }
  }
  if (!isJsonObject(value)) return constant(value)
  const entries = Object.entries(value).map(([key, item]) => ({
    key: unmaskText(key, spans, compiling),
    item: unmask(item, spans, compiling),
  }))
  return {
    constant: false,
    render: scope =>
      Object.fromEntries(entries.map(({ key, item }) => [keyText(key.render(scope)), item.render(scope)])),
  }
}

function unmaskText(text: string, spans: readonly string[], compiling: Compiling): CompiledValue {
  const bare = BARE.exec(text)
  if (bare !== null) return asJson(compileText(spans[Number(bare[1])] ?? '', compiling))
  const source = text.replace(INSIDE, (_mark, index: string) => spans[Number(index)] ?? '')
  return compileText(source, compiling)
}
