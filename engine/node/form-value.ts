/**
 * One form value, prepared once: whatever holds a template becomes a closure, whatever does not is a constant. The kind
 * of a field says how its text is read.
 *
 * - `value`: templates in texts, also deep inside lists and objects
 * - `json`: JSON text whose texts hold templates (see form-json.ts), or a value
 * - `json-or-text`: as `json` when a text with templates has the shape of a list or object, else as `value`
 * - `condition`: an expression, giving `{ expression, result }`
 * - `cases`: a list of `{ key, condition }`; gives the cases up to the first that holds, with their results
 */
import type { Json } from '../json.ts'
import { compileCases, compileCondition } from './form-condition.ts'
import { type CompiledValue, type Compiling, compileDeep, type Fault } from './form-deep.ts'
import { compileJson, compileJsonOrText } from './form-json.ts'
import type { TemplateOptions } from './template.ts'

export type ValueKind = 'value' | 'json' | 'json-or-text' | 'condition' | 'cases'

/** Never throws: what does not compile is in `faults`, and the value is then a null. */
export function compileValue(
  raw: Json,
  kind: ValueKind,
  options: TemplateOptions,
): { value: CompiledValue; faults: Fault[] } {
  const compiling: Compiling = { options, faults: [] }
  return { value: compilers[kind](raw, compiling), faults: compiling.faults }
}

const compilers: Record<ValueKind, (raw: Json, compiling: Compiling) => CompiledValue> = {
  value: (raw, compiling) => compileDeep(raw, compiling),
  json: compileJson,
  'json-or-text': compileJsonOrText,
  condition: compileCondition,
  cases: compileCases,
}
