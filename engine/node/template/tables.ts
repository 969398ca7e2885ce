/**
 * All that can be named in a template, in four closed tables. Filters that take filters or tests by name (`map`,
 * `select` …) and those that write runtime variables are added here. `attr` and `random` are left out on purpose.
 */
import { picker } from './attributes.ts'
import { define, table } from './define.ts'
import { failure, nearest } from './faults.ts'
import { listFilters } from './filters-list.ts'
import { textFilters } from './filters-text.ts'
import { functions } from './functions.ts'
import { methods } from './methods.ts'
import type { Run, Value } from './run.ts'
import { tests } from './tests.ts'
import { elements, kindOf, textWork, truthy } from './values.ts'

/** Calls an entry whose name is only known now. Throws `TEMPLATE_FAILED`, as there is no place in the source to name. */
function byName(run: Run, what: 'filter' | 'test', value: Value, [name, ...args]: readonly Value[]): Value {
  const entries = tables[what]
  const entry = typeof name === 'string' ? entries[name] : undefined
  if (entry === undefined) {
    const near = nearest(String(name), Object.keys(entries))
    throw failure(`unknown ${what} ${kindOf(name)}${near === undefined ? '' : `; did you mean "${near}"?`}`)
  }
  if (args.length < entry.required || (args.length > entry.params.length && !entry.rest)) {
    throw failure(`the ${what} "${name}" takes ${entry.params.length} arguments, not ${args.length}`)
  }
  run.spend(args.reduce((work: number, arg) => work + textWork(arg), 1 + textWork(value)))
  return entry.body(run, value, args, undefined)
}

function mapped(run: Run, value: Value, args: readonly Value[], named: Record<string, Value> | undefined): Value {
  const attribute = named?.attribute
  const list = elements(run, value)
  if (attribute === undefined && args[0] === undefined) throw failure('map takes a filter or attribute="…"')
  if (attribute !== undefined) {
    const pick = picker(attribute)
    return list.map(item => pick(run, item) ?? named?.default ?? null)
  }
  return list.map(item => byName(run, 'filter', item, args) ?? null)
}

type Keep = 'select' | 'reject'

function selected(keep: Keep) {
  return define('*', (run, value, args) => {
    const holds = (item: Value) =>
      args[0] === undefined ? truthy(run, item) : truthy(run, byName(run, 'test', item, args))
    return elements(run, value).filter(item => holds(item) === (keep === 'select'))
  })
}

function selectedBy(keep: Keep) {
  return define('attribute *', (run, value, [attribute, ...args]) => {
    const pick = picker(attribute)
    const holds = (item: Value) => {
      const field = pick(run, item)
      return truthy(run, args[0] === undefined ? field : byName(run, 'test', field, args))
    }
    return elements(run, value).filter(item => holds(item) === (keep === 'select'))
  })
}

function runtimeKey(key: Value): string {
  if (typeof key === 'string' && !['__proto__', 'constructor', 'prototype', ''].includes(key)) return key
  throw failure(`${kindOf(key)} is no name of a runtime variable; choose another`)
}

const byNameFilters = {
  map: define('* **', mapped),
  reject: selected('reject'),
  rejectattr: selectedBy('reject'),
  select: selected('select'),
  selectattr: selectedBy('select'),
  set_runtime: define('key value', (run, value, [key, content]) => {
    run.scope.runtime.set(runtimeKey(key), content ?? null)
    return value
  }),
  delete_runtime: define('key', (run, value, [key]) => {
    run.scope.runtime.delete(runtimeKey(key))
    return value
  }),
}

const filter = table(listFilters, textFilters, byNameFilters)
const test = table(tests)
const method = table(methods)
const callables = table(functions)

export type Names = Record<'filter' | 'test' | 'method' | 'function', ReadonlySet<string>>

const names: Names = {
  filter: new Set(Object.keys(filter)),
  test: new Set(Object.keys(test)),
  // `loop.cycle` is compiled on its own: it needs its loop, not a value.
  method: new Set([...Object.keys(method), 'cycle']),
  function: new Set(Object.keys(callables)),
}

const filtersLeftOut: Readonly<Record<string, string>> = {
  attr: 'read a field as x.name or x["name"]',
  random: 'templates draw nothing at random, so that a redelivered item renders the same',
  pprint: 'write | tojson(indent=2)',
  urlize: 'write the link in place',
}
const testsLeftOut: Readonly<Record<string, string>> = {
  str: 'write "is string"',
  int: 'write "is integer"',
  list: 'write "is sequence"',
  dict: 'write "is mapping"',
  bool: 'write "is boolean"',
  callable: 'nothing in data can be called',
  filter: 'remove it',
  empty: 'write "not x"',
}

/** Why a name is missing from a table, or what to write instead. */
function refused(what: keyof Names, name: string): string | undefined {
  if (what === 'filter') return Object.hasOwn(filtersLeftOut, name) ? filtersLeftOut[name] : undefined
  if (what !== 'test') return undefined
  if (Object.hasOwn(testsLeftOut, name)) return testsLeftOut[name]
  return nearest(name, names.test) === undefined ? `write "== ${name.slice(0, 40)}"` : undefined
}

export const tables = { filter, test, method, function: callables, names, refused }
