/**
 * Forms: what a node lets its user set (1.11). A field is a zod schema plus what an editor needs to draw it.
 *
 * Validation has two phases. At load a field that holds a template need only parse and be non-empty; every other field
 * is validated in full, once. After rendering, the fields that hold templates are validated too. So whatever can be
 * known before the first item is, and a form without templates costs nothing per item: `render` gives the same frozen
 * object each time.
 */
import type { z } from 'zod'
import { EngineError, messageOf } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import type { CompiledValue } from './form-deep.ts'
import { compileValue, type ValueKind } from './form-value.ts'
import type { TemplateScope } from './template.ts'

export type FieldProblem = { field: string; code: string; message: string; hint?: string }
export type Choice = { readonly value: string; readonly label: string }
/** Gets the values of the form as they are now. What it throws is shown at its field. */
export type ComputeChoices = (values: JsonObject) => Promise<readonly Choice[]> | readonly Choice[]
/** What an editor draws: an HTML tag, and the `type` of an input. */
export type Widget = { readonly tag: 'input' | 'select' | 'textarea'; readonly type: string | null }

/** One field. `schema` takes what people and templates write (`'5'`, `'on'`) and gives what the node reads. */
export type Field = {
  readonly kind: ValueKind
  readonly schema: z.ZodType
  readonly label: string
  readonly help: string
  readonly widget: Widget
  readonly required: boolean
  readonly default?: Json
  readonly choices: readonly Choice[]
  /** Computes the choices from what is filled in above this field; instead of `choices`. */
  readonly choicesFor?: ComputeChoices
  /** Never quoted in errors and never sent back to an editor. */
  readonly secret: boolean
  readonly depends_on: readonly string[]
}

/** Finds what no single field can know (`min_value` above `max_value`); sees validated values only. */
export type FormCheck = (values: JsonObject) => FieldProblem[]
export type Form = { readonly fields: Readonly<Record<string, Field>>; readonly check?: FormCheck }

export interface CompiledForm {
  /** As given, unknown keys included, with defaults filled in. */
  readonly values: JsonObject
  /** What `render` gives whatever the item, when no field holds a template. */
  readonly constant: JsonObject | undefined
  /**
   * The values for one item, all valid; the same frozen object each time when no field holds a template.
   * Throws `FORM_INVALID` (node, field, value) or the template's own code.
   */
  render(scope: TemplateScope, nodeId: string): JsonObject
}

/** One line of the field list that an editor draws. */
export type FieldDescription = {
  tag: string
  name: string
  label: string
  type: string | null
  options: Choice[]
  value: Json
  errors: string[]
  required: boolean
  help: string
  depends_on: string[]
}

/** @example defineForm({ url: text({ label: 'URL', required: true }) }) */
export function defineForm(fields: Record<string, Field>, check?: FormCheck): Form {
  return check === undefined ? { fields } : { fields, check }
}

/** Validates what can be known before the first item, and prepares the rest. Collects all problems; never throws. */
export function compileForm(
  form: Form,
  values: JsonObject,
  options: { strict: boolean },
): { form: CompiledForm; problems: FieldProblem[] } {
  const given: JsonObject = { ...values }
  const constants: JsonObject = { ...values }
  const dynamic: DynamicField[] = []
  const problems: FieldProblem[] = []
  for (const [name, field] of Object.entries(form.fields)) {
    delete constants[name]
    const raw = withDefault(values[name], field)
    if (raw === undefined) {
      if (field.required) problems.push(required(name))
      continue
    }
    given[name] = raw
    const compiled = compileValue(raw, field.kind, options)
    problems.push(...compiled.faults.map(fault => ({ field: name, ...(field.secret ? withheld(fault) : fault) })))
    if (compiled.faults.length > 0) continue
    if (!compiled.value.constant) dynamic.push({ name, field, value: compiled.value })
    else {
      const checked = validate(name, field, compiled.value.constantValue)
      if (checked.problem === undefined) constants[name] = checked.value
      else problems.push(checked.problem)
    }
  }
  if (problems.length === 0 && dynamic.length === 0) problems.push(...(form.check?.(constants) ?? []))
  return { form: new PreparedForm(form, given, deepFreeze(constants), dynamic), problems }
}

/** The field list of a form, with values and their problems when values are given. */
export function describeForm(form: Form, values?: JsonObject): FieldDescription[] {
  const problems = values === undefined ? [] : compileForm(form, values, { strict: false }).problems
  return Object.entries(form.fields).map(([name, field]) =>
    describeField(name, field, { value: values?.[name] ?? field.default, choices: field.choices, problems }),
  )
}

/** One line of the field list. A secret's value stays here. */
export function describeField(
  name: string,
  field: Field,
  now: { value: Json | undefined; choices: readonly Choice[]; problems: readonly FieldProblem[] },
): FieldDescription {
  return {
    tag: field.widget.tag,
    name,
    label: field.label,
    type: field.widget.type,
    options: now.choices.map(choice => ({ ...choice })),
    value: field.secret ? null : (now.value ?? null),
    errors: now.problems.filter(problem => problem.field === name).map(problem => problem.message),
    required: field.required,
    help: field.help,
    depends_on: [...field.depends_on],
  }
}

type DynamicField = { name: string; field: Field; value: CompiledValue }

class PreparedForm implements CompiledForm {
  readonly values: JsonObject
  readonly constant: JsonObject | undefined
  readonly #form: Form
  readonly #constants: JsonObject
  readonly #dynamic: readonly DynamicField[]

  constructor(form: Form, values: JsonObject, constants: JsonObject, dynamic: readonly DynamicField[]) {
    this.#form = form
    this.values = values
    this.constant = dynamic.length === 0 ? constants : undefined
    this.#constants = constants
    this.#dynamic = dynamic
  }

  render(scope: TemplateScope, nodeId: string): JsonObject {
    if (this.constant !== undefined) return this.constant
    const rendered: JsonObject = { ...this.#constants }
    for (const { name, field, value } of this.#dynamic) {
      const at = { node: nodeId, field: name }
      const result = withDefault(
        field.secret ? inSecret(value, scope, at) : evaluate(value, scope, at),
        field,
        'rendered',
      )
      if (result === undefined && field.required) throw invalid(nodeId, required(name), field)
      if (result === undefined) continue
      const checked = validate(name, field, result)
      if (checked.problem !== undefined) throw invalid(nodeId, checked.problem, field)
      rendered[name] = checked.value
    }
    const problem = this.#form.check?.(rendered)[0]
    if (problem !== undefined) throw invalid(nodeId, problem, this.#form.fields[problem.field])
    return rendered
  }
}

/**
 * What stands for an empty field: its default, else nothing. A template may render to an empty text on purpose, so that
 * one is kept where the schema takes it.
 */
function withDefault(value: Json | undefined, field: Field, phase: 'given' | 'rendered' = 'given'): Json | undefined {
  const empty = value === undefined || value === null || (typeof value === 'string' && isBlank(value, field))
  if (!empty) return value
  if (field.default !== undefined) return field.default
  if (phase === 'given' || field.required || value === null) return undefined
  return field.schema.safeParse(value).success ? value : undefined
}

function isBlank(text: string, field: Field): boolean {
  return field.required ? text.trim() === '' : text === ''
}

function evaluate(value: CompiledValue, scope: TemplateScope, at: { node: string; field: string }): Json {
  try {
    return value.render(scope)
  } catch (error) {
    const code = error instanceof EngineError ? error.code : 'TEMPLATE_FAILED'
    const message = `Cannot render field "${at.field}" of node "${at.node}": ${messageOf(error)}`
    const inner = error instanceof EngineError && typeof error.details === 'object' ? error.details : {}
    throw new EngineError(code, message, { cause: error, details: { ...inner, ...at } })
  }
}

/** What is wrong with a secret says nothing of what it holds. */
function withheld({ code }: { code: string }): { code: string; message: string } {
  return { code, message: 'has a template that is not right; what it says is not shown, for the field is secret' }
}

function inSecret(value: CompiledValue, scope: TemplateScope, at: { node: string; field: string }): Json {
  try {
    return evaluate(value, scope, at)
  } catch (error) {
    const { code } = error as EngineError
    const message = `Cannot render field "${at.field}" of node "${at.node}": its template fails; why is not shown, for the field is secret`
    throw new EngineError(code, message, { details: at })
  }
}

type Checked = { value: Json; problem?: undefined } | { problem: FieldProblem & { value?: Json } }

function validate(name: string, field: Field, value: Json): Checked {
  const parsed = field.schema.safeParse(value)
  if (parsed.success) return { value: parsed.data as Json }
  const issue = parsed.error.issues[0]
  const path = issue === undefined || issue.path.length === 0 ? '' : `at "${issue.path.join('.')}" `
  const shown = field.secret ? '' : `is ${quote(value)}; `
  const message = `${shown}${path}${issue?.message ?? 'is not valid'}`
  return { problem: { field: name, code: 'FORM_INVALID', message, ...(field.secret ? {} : { value }) } }
}

function required(name: string): FieldProblem {
  return { field: name, code: 'FORM_REQUIRED', message: 'is empty; it must be given' }
}

function invalid(nodeId: string, problem: FieldProblem & { value?: Json }, field: Field | undefined): EngineError {
  const value = field?.secret === true || problem.value === undefined ? {} : { value: quote(problem.value) }
  return new EngineError('FORM_INVALID', `Cannot run node "${nodeId}": field "${problem.field}" ${problem.message}`, {
    details: { node: nodeId, field: problem.field, ...value },
  })
}

/** A value as it stands in an error: JSON, cut at 120 characters. */
function quote(value: Json): string {
  const text = JSON.stringify(value)
  return text.length <= 120 ? text : `${text.slice(0, 117)}…`
}

function deepFreeze<T extends Json>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const child of Object.values(value)) deepFreeze(child)
  return Object.freeze(value)
}
