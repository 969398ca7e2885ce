/**
 * A form while somebody fills it in (1.11). When a field changes, every field that depends on it, at any depth, is
 * cleared, and its choices are computed anew from what is above it: level by level, since the choices of one may hang on
 * the value of another. What is not below a changed field is left alone.
 *
 * S1 a field is computed only after all that it depends on. S2 updates come one after another, whoever calls.
 */
import { EngineError, messageOf } from '../errors.ts'
import { type Json, type JsonObject, jsonEqual } from '../json.ts'
import {
  type Choice,
  compileForm,
  describeField,
  type Field,
  type FieldDescription,
  type FieldProblem,
  type Form,
} from './form.ts'
import { hasTemplate } from './template.ts'

export class FormState {
  readonly #form: Form
  readonly #values: JsonObject
  /** Of the fields whose choices are computed, as they are now. */
  readonly #choices = new Map<string, readonly Choice[]>()
  /** Why choices could not be computed, by field. */
  readonly #failures = new Map<string, string>()
  readonly #order: readonly string[]
  #last: Promise<unknown>

  /** `values` as stored; unknown keys are kept. */
  constructor(form: Form, values: JsonObject = {}) {
    this.#form = form
    this.#order = dependencyOrder(form)
    this.#values = { ...defaultsOf(form), ...values }
    this.#last = this.#computeAll(this.#order)
  }

  /** What is filled in, secrets included: for storing and running, not for showing. */
  get values(): JsonObject {
    return { ...this.#values }
  }

  /**
   * Sets fields, clears what depends on them and computes its choices. A dependent field that is given too keeps its
   * value if that is still one of its choices. Unknown fields are `FORM_INVALID`.
   */
  update(changes: JsonObject): Promise<void> {
    const turn = this.#last.then(() => this.#apply(changes))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** All problems of all fields, as at load, and values that are none of their computed choices. */
  async problems(): Promise<FieldProblem[]> {
    await this.#last
    return this.#problems()
  }

  /** The field list that an editor draws; secrets are null. Choices are those of the last update. */
  toJSON(): FieldDescription[] {
    const problems = this.#problems()
    return Object.entries(this.#form.fields).map(([name, field]) =>
      describeField(name, field, { value: this.#values[name], choices: this.#choicesOf(name, field), problems }),
    )
  }

  /** Resolves when the choices are those of the values. */
  async settled(): Promise<this> {
    await this.#last
    return this
  }

  async #apply(changes: JsonObject): Promise<void> {
    const unknown = Object.keys(changes).find(name => !Object.hasOwn(this.#form.fields, name))
    if (unknown !== undefined) {
      const known = Object.keys(this.#form.fields).join(', ')
      throw new EngineError('FORM_INVALID', `Cannot set field "${unknown}": the form has ${known}`)
    }
    const touched = new Set<string>()
    for (const name of this.#order) {
      const field = this.#form.fields[name] as Field
      const isBelow = field.depends_on.some(parent => touched.has(parent))
      if (isBelow) await this.#reset(name, field, changes[name])
      else if (!Object.hasOwn(changes, name) || same(this.#values[name], changes[name])) continue
      else this.#values[name] = changes[name] as Json
      touched.add(name)
    }
  }

  /** A field below one that changed: cleared, unless it is given a value that still fits. */
  async #reset(name: string, field: Field, given: Json | undefined): Promise<void> {
    await this.#compute(name, field)
    const fits = given !== undefined && this.#isOffered(name, field, given)
    this.#values[name] = fits ? given : (field.default ?? null)
  }

  async #computeAll(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#compute(name, this.#form.fields[name] as Field)
  }

  /** Choices that cannot be computed are a problem of their field, never of the whole form. */
  async #compute(name: string, field: Field): Promise<void> {
    if (field.choicesFor === undefined) return
    try {
      this.#choices.set(name, await field.choicesFor(this.values))
      this.#failures.delete(name)
    } catch (error) {
      this.#choices.set(name, [])
      this.#failures.set(name, `has no choices: ${this.#quotesSecret(error) ? 'why holds a secret' : messageOf(error)}`)
    }
  }

  #quotesSecret(error: unknown): boolean {
    const secrets = Object.entries(this.#form.fields).flatMap(([name, { secret }]) =>
      secret ? [this.#values[name]] : [],
    )
    return secrets.some(text => typeof text === 'string' && text !== '' && messageOf(error).includes(text))
  }

  #choicesOf(name: string, field: Field): readonly Choice[] {
    return field.choicesFor === undefined ? field.choices : (this.#choices.get(name) ?? [])
  }

  #isOffered(name: string, field: Field, value: Json): boolean {
    if (field.choicesFor === undefined || (typeof value === 'string' && hasTemplate(value))) return true
    const offered = this.#choicesOf(name, field).map(choice => choice.value)
    return [value].flat().every(each => offered.includes(String(each)))
  }

  #problems(): FieldProblem[] {
    const { problems } = compileForm(this.#form, this.#values, { strict: false })
    const found = new Set(problems.map(problem => problem.field))
    for (const [name, field] of Object.entries(this.#form.fields)) {
      const failure = this.#failures.get(name)
      const value = this.#values[name]
      if (failure !== undefined) problems.push({ field: name, code: 'FORM_CHOICES', message: failure })
      else if (!found.has(name) && !isEmpty(value) && !this.#isOffered(name, field, value as Json)) {
        const offered = this.#choicesOf(name, field).map(choice => choice.value)
        problems.push({ field: name, code: 'FORM_INVALID', message: `must be one of ${offered.join(', ')}` })
      }
    }
    return problems
  }
}

/** Fields in an order in which each comes after all that it depends on. A ring of them is `NODE_CLASS_INVALID`. */
export function dependencyOrder({ fields }: Form): string[] {
  const order: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const visit = (name: string, path: readonly string[]): void => {
    if (state.get(name) === 'done') return
    const field = fields[name]
    const way = [...path, name].map(each => `"${each}"`).join(' → ')
    if (field === undefined) throw ill(`field ${way} does not exist`)
    if (state.get(name) === 'open') throw ill(`fields depend on each other: ${way}`)
    state.set(name, 'open')
    for (const parent of field.depends_on) visit(parent, [...path, name])
    state.set(name, 'done')
    order.push(name)
  }
  for (const name of Object.keys(fields)) visit(name, [])
  return order
}

function ill(what: string): EngineError {
  return new EngineError('NODE_CLASS_INVALID', `Cannot use the form: ${what}`)
}

function defaultsOf({ fields }: Form): JsonObject {
  const given = Object.entries(fields).filter(([, field]) => field.default !== undefined)
  return Object.fromEntries(given.map(([name, field]) => [name, field.default as Json]))
}

function isEmpty(value: Json | undefined): boolean {
  return value === undefined || value === null || value === ''
}

function same(a: Json | undefined, b: Json | undefined): boolean {
  return a === undefined || b === undefined ? a === b : jsonEqual(a, b)
}
