/**
 * What can be called in a template: filters, tests, methods and functions are entries of fixed, frozen tables without
 * a prototype. Their parameters are declared, so that a misspelt or surplus argument is found at load.
 */
import type { JsonObject } from '../../json.ts'
import type { Run, Value } from './run.ts'

/** `args` are in the order of the parameters, undefined where not given; `named` holds what `**` collects. */
export type Body = (run: Run, value: Value, args: readonly Value[], named: JsonObject | undefined) => Value

export type Callable = {
  readonly params: readonly string[]
  readonly required: number
  /** Any number of further positional arguments. */
  readonly rest: boolean
  /** Any further named arguments. */
  readonly collects: boolean
  readonly body: Body
}

export type Table = Readonly<Record<string, Callable>>

/**
 * An entry. `signature` names the parameters: `?` marks optional ones, `*` takes all further positional arguments,
 * `**` all further named ones.
 * @example define('old new count?', (run, value, [from, to, count]) => …)
 */
export function define(signature: string, body: Body): Callable {
  const words = signature.split(' ').filter(word => word !== '')
  const params = words.filter(word => !word.startsWith('*'))
  return Object.freeze({
    params: Object.freeze(params.map(word => word.replace('?', ''))),
    required: params.filter(word => !word.endsWith('?')).length,
    rest: words.includes('*'),
    collects: words.includes('**'),
    body,
  })
}

export function table(...parts: Record<string, Callable>[]): Table {
  return Object.freeze(Object.assign(Object.create(null) as Record<string, Callable>, ...parts))
}
