/**
 * The kinds of fields that forms are made of. Their schemas take what a form sends (numbers and switches as text, as
 * Django's did) and what templates give (native values), and give what a node reads.
 */
import { z } from 'zod'
import type { Json } from '../json.ts'
import type { Choice, Field, Widget } from './form.ts'

export type FieldOptions = {
  label: string
  help?: string
  required?: boolean
  default?: Json
  secret?: boolean
  depends_on?: readonly string[]
  widget?: Widget
}

/** A field with a schema of its own; the makers below cover the usual ones. */
export function field(
  options: FieldOptions & { schema: z.ZodType; kind?: Field['kind']; choices?: readonly Choice[] },
): Field {
  const { label, help = '', secret = false, depends_on = [], choices = [] } = options
  return {
    kind: options.kind ?? 'value',
    schema: options.schema,
    label,
    help,
    widget: options.widget ?? { tag: 'input', type: secret ? 'password' : 'text' },
    required: options.required ?? false,
    ...(options.default === undefined ? {} : { default: options.default }),
    choices,
    secret,
    depends_on,
  }
}

/** A text. Numbers and booleans, as templates may give them, become text; lists and objects are refused. */
export function text(options: FieldOptions & { pattern?: RegExp; expected?: string; charsMax?: number }): Field {
  const expected = options.expected ?? 'must be a text'
  let schema = z.string({ error: expected })
  if (options.pattern !== undefined) schema = schema.regex(options.pattern, expected)
  const charsMax = options.charsMax ?? 1_000_000
  schema = schema.max(charsMax, `must have at most ${charsMax} characters`)
  return field({ ...options, schema: z.preprocess(plainText, schema) })
}

/** Any value, given to the node as text: lists and objects as JSON. */
export function anyText(options: FieldOptions): Field {
  const schema = z.preprocess(
    value => (typeof value === 'object' ? JSON.stringify(value) : plainText(value)),
    z.string(),
  )
  return field({ widget: textarea, ...options, schema })
}

export const textarea: Widget = { tag: 'textarea', type: null }

export type NumberOptions = FieldOptions & { min?: number; max?: number; above?: number; whole?: boolean }

/** A number, or a text that is one. */
export function number(options: NumberOptions): Field {
  const { min, max, above, whole = false } = options
  let schema = z.number({ error: whole ? 'must be a whole number' : 'must be a number' })
  if (whole) schema = schema.int('must be a whole number')
  if (min !== undefined) schema = schema.min(min, `must be at least ${min}`)
  if (max !== undefined) schema = schema.max(max, `must be at most ${max}`)
  if (above !== undefined) schema = schema.gt(above, `must be above ${above}`)
  return field({ widget: { tag: 'input', type: 'number' }, ...options, schema: z.preprocess(toNumber, schema) })
}

/** True or false, or one of the texts a form sends for them. */
export function toggle(options: FieldOptions): Field {
  const schema = z.preprocess(toBoolean, z.boolean({ error: 'must be true or false' }))
  return field({ widget: { tag: 'input', type: 'checkbox' }, ...options, schema })
}

/** One of a list, whatever its case; `labels` maps values to what people read. */
export function choice(options: FieldOptions & { labels: Readonly<Record<string, string>> }): Field {
  const values = Object.keys(options.labels)
  const canonical = (value: unknown) =>
    values.find(known => known.toLowerCase() === String(plainText(value)).trim().toLowerCase()) ?? value
  const schema = z.preprocess(canonical, z.enum(values, { error: `must be one of ${values.join(', ')}` }))
  const choices = values.map(value => ({ value, label: options.labels[value] ?? value }))
  return field({ widget: { tag: 'select', type: null }, ...options, schema, choices })
}

/** JSON: a value, or text (with templates) that is JSON. */
export function json(options: FieldOptions & { schema?: z.ZodType; kind?: 'json' | 'json-or-text' }): Field {
  return field({ widget: textarea, kind: 'json', schema: z.any(), ...options })
}

/** An expression, giving the node `{ expression, result }`. */
export function condition(options: FieldOptions): Field {
  return field({ ...options, kind: 'condition', schema: z.any() })
}

/** `[{ key, condition }]`, giving the node the tried cases: `[{ key, expression, result }]`. */
export function cases(options: FieldOptions): Field {
  return field({ widget: textarea, ...options, kind: 'cases', schema: z.any() })
}

function plainText(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

function toNumber(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const trimmed = value.trim()
  return NUMBER.test(trimmed) ? Number(trimmed) : value
}

const switches: Readonly<Record<string, boolean>> = {
  ...{ true: true, on: true, yes: true, 1: true },
  ...{ false: false, off: false, no: false, 0: false },
}

function toBoolean(value: unknown): unknown {
  const word = String(plainText(value)).trim().toLowerCase()
  return Object.hasOwn(switches, word) ? switches[word] : value
}
