/**
 * How templates fail: three codes, one grammar. Syntax faults are found at load and say line and column (from 1);
 * failures and budgets happen while rendering. Hints are the rewrite to type instead.
 */
import { editDistance } from '../../edit-distance.ts'
import { EngineError } from '../../errors.ts'

export type Place = { readonly line: number; readonly column: number }

export function placeOf(source: string, at: number): Place {
  let line = 1
  let start = 0
  for (let i = source.indexOf('\n'); i >= 0 && i < at; i = source.indexOf('\n', i + 1)) {
    line += 1
    start = i + 1
  }
  return { line, column: at - start + 1 }
}

/** `TEMPLATE_SYNTAX` at an offset of the source; `hint` says what to write instead. */
export function syntaxFault(source: string, at: number, what: string, hint?: string): EngineError {
  const { line, column } = placeOf(source, at)
  const message = `Cannot parse template: ${what} at line ${line}, column ${column}`
  return new EngineError('TEMPLATE_SYNTAX', hint === undefined ? message : `${message}; ${hint}`, {
    details: hint === undefined ? { line, column } : { line, column, hint },
  })
}

/** `TEMPLATE_FAILED`: what went wrong with which values, and what to do. */
export function failure(what: string): EngineError {
  return new EngineError('TEMPLATE_FAILED', `Cannot render template: ${what}`)
}

/** `TEMPLATE_BUDGET`: which count passed which limit. */
export function overBudget(what: string, max: number): EngineError {
  return new EngineError('TEMPLATE_BUDGET', `Cannot use template: ${what} over the limit of ${max}; make it smaller`, {
    details: { max },
  })
}

/** The name nearest to a misspelt one, for "did you mean"; undefined when none is near. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  let best: string | undefined
  let least = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of names) {
    const distance = editDistance(name.slice(0, 40), candidate)
    if (distance < least) {
      least = distance
      best = candidate
    }
  }
  return best
}
