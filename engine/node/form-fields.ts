/**
 * The kinds of fields that forms are made of. Their schemas take what a form sends (numbers and switches as text, as
 * Django's did) and what templates give (native values), and give what a node reads.
 */
import { z } from 'zod'
import type { Json } from '../json.ts'
import type { Choice, ComputeChoices, Field, Widget } from './form.ts'
import { parseJsonText } from './json-text.ts'

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
  options: FieldOptions & {
    schema: z.ZodType
    kind?: Field['kind']
    choices?: readonly Choice[]
    choicesFor?: ComputeChoices
  },
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
    ...(options.choicesFor === undefined ? {} : { choicesFor: options.choicesFor }),
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

/** One of choices that are computed from the fields above; which those are only an editor asks (see FormState). */
export function computedChoice(options: FieldOptions & { choicesFor: ComputeChoices }): Field {
  const schema = z.preprocess(plainText, z.string({ error: 'must be one of its choices' }))
  return field({ widget: { tag: 'select', type: null }, ...options, schema })
}

/** Some of a list, each at most once: a list, JSON text of one, or values separated by commas. */
export function multipleChoice(options: FieldOptions & { labels: Readonly<Record<string, string>> }): Field {
  const values = Object.keys(options.labels)
  const listed = `must be a list of ${values.join(', ')}`
  const schema = z.preprocess(
    toList,
    z.array(z.enum(values, { error: listed }), { error: listed }).transform(list => [...new Set(list)]),
  )
  const choices = values.map(value => ({ value, label: options.labels[value] ?? value }))
  return field({ widget: { tag: 'select', type: 'multiple' }, ...options, schema, choices })
}

/** An e-mail address. */
export function email(options: FieldOptions): Field {
  const schema = z
    .string()
    .trim()
    .pipe(z.email({ error: 'must be an e-mail address, such as ann@example.org' }))
  return field({ widget: { tag: 'input', type: 'email' }, ...options, schema })
}

/** An http or https address. */
export function url(options: FieldOptions): Field {
  const error = 'must be an address that begins with http:// or https://'
  const schema = z
    .string({ error })
    .trim()
    .pipe(z.url({ protocol: /^https?$/, error }))
  return field({ widget: { tag: 'input', type: 'url' }, ...options, schema })
}

/** A text that is never quoted, shown, logged or sent back. */
export function password(options: Omit<FieldOptions, 'secret'>): Field {
  return text({ ...options, secret: true })
}

/** Source text of some language, given to the node as it stands. */
export function code(options: FieldOptions): Field {
  return text({ widget: textarea, ...options })
}

/** A moment, ISO 8601 with an offset or `Z`; without one it is UTC. Gives the node the ISO text in UTC. */
export function dateTime(options: FieldOptions): Field {
  const error = 'must be a date and time, such as 2026-11-26T08:30:00Z'
  const schema = z.preprocess(toIsoTime, z.iso.datetime({ error }))
  return field({ widget: { tag: 'input', type: 'datetime-local' }, ...options, schema })
}

/** A file below the files folder: relative, and not out of it. */
export function filePath(options: FieldOptions): Field {
  const expected = 'must be a relative path that stays inside the files folder'
  return text({ ...options, pattern: /^(?![/\\]|[a-z]:)(?!.*(?:^|[/\\])\.\.(?:[/\\]|$))[^\0]+$/i, expected })
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

function toList(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const parsed = parseJsonText(value)
  if (parsed.fault === undefined && Array.isArray(parsed.value)) return parsed.value
  return value
    .split(',')
    .map(part => part.trim())
    .filter(part => part !== '')
}

/** `2026-11-26 08:30` and `2026-11-26T08:30+01:00` as well as what the schema takes. */
function toIsoTime(value: unknown): unknown {
  if (typeof value !== 'string') return value
  const parts = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i.exec(
    value.trim(),
  )
  if (parts === null) return value
  const [, day = '', minute = '00:00', second = ':00', zone = 'Z'] = parts
  const time = Date.parse(`${day}T${minute}${second}${zone}`)
  // the parser takes a 31st of February for the 3rd of March
  const isDay = new Date(Date.parse(`${day}T00:00Z`) || 0).toISOString().startsWith(day)
  return Number.isNaN(time) || !isDay ? value : new Date(time).toISOString()
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
