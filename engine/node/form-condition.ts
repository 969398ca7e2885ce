/**
 * Conditions in forms. Most are plain expressions, compiled once at load. Existing workflows also hold texts with
 * templates that render to an expression (`{{ data.counter.current }} > 5`): these are rendered for each item and what
 * comes out is compiled then, through a bounded cache, in the same expression language (so nothing an item holds can
 * do more than a condition could). A text that is exactly one `{{ }}` and gives something else than a text is taken by
 * its truth. One that gives a text must give an expression that stands alone: it is compiled strictly, so that `yes`
 * is an error rather than an unknown variable, which would silently be false.
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import { type CompiledValue, type Compiling, compileText, constant, guarded } from './form-deep.ts'
import { parseJsonText } from './json-text.ts'
import {
  compileExpression,
  type Expression,
  hasTemplate,
  isTruthy,
  type TemplateOptions,
  type TemplateScope,
} from './template.ts'

export function compileCondition(raw: Json, compiling: Compiling, path = ''): CompiledValue {
  if (typeof raw === 'boolean' || typeof raw === 'number') {
    return constant({ expression: String(raw), result: isTruthy(raw) })
  }
  if (typeof raw !== 'string') {
    compiling.faults.push({ code: 'FORM_INVALID', message: `${at(path)}must be a text with an expression` })
    return constant(null)
  }
  return hasTemplate(raw) ? compileRendered(raw, compiling, path) : compilePlain(raw, compiling, path)
}

function compilePlain(source: string, compiling: Compiling, path: string): CompiledValue {
  return guarded(compiling, path, () => {
    const expression = compileExpression(source, compiling.options)
    const render = (scope: TemplateScope) => ({ expression: source, result: isTruthy(expression.evaluate(scope)) })
    return { constant: false, render }
  })
}

function compileRendered(source: string, compiling: Compiling, path: string): CompiledValue {
  const text = compileText(source, compiling, path)
  const lone = /^\s*\{\{(?:(?!\}\}).)*\}\}\s*$/s.test(source)
  const cache = new ExpressionCache(lone ? { ...compiling.options, strict: true } : compiling.options)
  const render = (scope: TemplateScope): Json => {
    const rendered = text.render(scope)
    if (typeof rendered !== 'string') return { expression: source.trim(), result: isTruthy(rendered) }
    const expression = rendered.trim()
    if (expression === '') return { expression, result: false }
    return { expression, result: isTruthy(cache.get(expression).evaluate(scope)) }
  }
  return { constant: false, render }
}

/** `[{ key, condition }]`, or its JSON text. Renders to `[{ key, expression, result }]` up to the first that holds. */
export function compileCases(raw: Json, compiling: Compiling): CompiledValue {
  const list = caseList(raw)
  if (list === undefined) {
    const message = 'must be a list of cases, each { "key": …, "condition": … }'
    compiling.faults.push({ code: 'FORM_INVALID', message })
    return constant(null)
  }
  const cases = list.map((entry, index) => compileCase(entry, index, compiling))
  const render = (scope: TemplateScope): Json => {
    const tried: JsonObject[] = []
    for (const { key, condition } of cases) {
      const outcome = condition.render(scope) as { expression: string; result: boolean }
      tried.push({ key, ...outcome })
      if (outcome.result) break
    }
    return tried
  }
  return { constant: false, render }
}

function compileCase(entry: Json, index: number, compiling: Compiling): { key: string; condition: CompiledValue } {
  const path = `cases.${index}`
  const key = isJsonObject(entry) ? caseKey(entry) : undefined
  if (!isJsonObject(entry) || key === undefined) {
    compiling.faults.push({ code: 'FORM_INVALID', message: `${at(path)}must be { "key": …, "condition": … }` })
    return { key: '', condition: constant(null) }
  }
  const condition = entry.condition ?? ''
  if (typeof condition === 'string' && condition.trim() === '') {
    compiling.faults.push({ code: 'FORM_REQUIRED', message: `${at(path)}has no condition; it must be given` })
    return { key, condition: constant(null) }
  }
  return { key, condition: compileCondition(condition, compiling, `${path}.condition`) }
}

/** The cases of a form value as given: a list, or JSON text of one. */
export function caseList(raw: Json | undefined): Json[] | undefined {
  const value = typeof raw === 'string' ? parseJsonText(raw).value : raw
  return Array.isArray(value) ? value : undefined
}

/** The branch key of a case, in lower case as edges have it. */
export function caseKey(entry: JsonObject): string | undefined {
  const { key } = entry
  if (typeof key !== 'string' && typeof key !== 'number') return undefined
  const folded = String(key).trim().toLowerCase()
  return folded === '' ? undefined : folded
}

function at(path: string): string {
  return path === '' ? '' : `at "${path}" `
}

/** Expressions by their text; the one unused for longest goes first, long texts are not kept. */
class ExpressionCache {
  readonly #options: TemplateOptions
  readonly #entries = new Map<string, Expression>()

  constructor(options: TemplateOptions) {
    this.#options = options
  }

  get(source: string): Expression {
    const known = this.#entries.get(source)
    const expression = known ?? compileExpression(source, this.#options)
    if (source.length > limits.conditionCacheTextMax) return expression
    this.#entries.delete(source)
    this.#entries.set(source, expression)
    const oldest = this.#entries.keys().next().value
    if (this.#entries.size > limits.conditionCacheEntriesMax && oldest !== undefined) this.#entries.delete(oldest)
    return expression
  }
}
