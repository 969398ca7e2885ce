/**
 * Values with templates at any depth, compiled to closures. What they all share: a compiled value is a constant or a
 * function of the scope, and what does not compile becomes a fault in a list, so that one load names all of them.
 */
import { EngineError, messageOf } from '../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { compileTemplate, hasTemplate, type TemplateOptions, type TemplateScope } from './template.ts'

export type CompiledValue =
  | { readonly constant: true; readonly constantValue: Json; render(scope: TemplateScope): Json }
  | { readonly constant: false; render(scope: TemplateScope): Json }

/** Why a value does not compile. */
export type Fault = { code: string; message: string; hint?: string }

/** What compiling needs and collects: one value may have several faults. */
export type Compiling = { readonly options: TemplateOptions; readonly faults: Fault[] }

export function constant(value: Json): CompiledValue {
  return { constant: true, constantValue: value, render: () => value }
}

/** A value whose texts (and keys) may hold templates, at any depth. `path` is for messages. */
export function compileDeep(raw: Json, compiling: Compiling, path = ''): CompiledValue {
  if (typeof raw === 'string') return compileText(raw, compiling, path)
  if (Array.isArray(raw)) return compileList(raw, compiling, path)
  return isJsonObject(raw) ? compileObject(raw, compiling, path) : constant(raw)
}

export function compileText(text: string, compiling: Compiling, path = ''): CompiledValue {
  if (!hasTemplate(text)) return constant(text)
  return guarded(compiling, path, () => {
    const template = compileTemplate(text, compiling.options)
    return { constant: false, render: scope => template.render(scope) }
  })
}

function compileList(raw: Json[], compiling: Compiling, path: string): CompiledValue {
  const items = raw.map((item, index) => compileDeep(item, compiling, join(path, String(index))))
  if (items.every(item => item.constant)) return constant(raw)
  return { constant: false, render: scope => items.map(item => item.render(scope)) }
}

function compileObject(raw: JsonObject, compiling: Compiling, path: string): CompiledValue {
  const entries = Object.entries(raw).map(([key, item]) => ({
    key: compileText(key, compiling, join(path, key)),
    item: compileDeep(item, compiling, join(path, key)),
  }))
  if (entries.every(entry => entry.key.constant && entry.item.constant)) return constant(raw)
  const render = (scope: TemplateScope) =>
    Object.fromEntries(entries.map(({ key, item }) => [keyText(key.render(scope)), item.render(scope)]))
  return { constant: false, render }
}

/** A rendered key as text. */
export function keyText(key: Json): string {
  return typeof key === 'string' ? key : JSON.stringify(key)
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}

/** Runs a compiler; what it throws becomes a fault with line, column and hint. */
export function guarded(compiling: Compiling, path: string, compile: () => CompiledValue): CompiledValue {
  try {
    return compile()
  } catch (error) {
    compiling.faults.push(toFault(error, path))
    return constant(null)
  }
}

function toFault(error: unknown, path: string): Fault {
  if (!(error instanceof EngineError)) throw error
  const details = isJsonObject(error.details) ? error.details : {}
  const text = messageOf(error)
  const known = typeof details.line !== 'number' || /\bline \d/.test(text)
  const place = known ? '' : ` (line ${details.line}, column ${details.column})`
  const fault: Fault = { code: error.code, message: `${path === '' ? '' : `at "${path}": `}${text}${place}` }
  if (typeof details.hint === 'string' && !text.includes(details.hint)) fault.hint = details.hint
  return fault
}
