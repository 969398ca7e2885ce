/**
 * Expressions to closures, once, at load. What is known from the source is decided here: which name means what, where
 * an argument belongs, what is constant. What remains at run time is reading data and counting the work.
 * E1 a closure's depth is the tree's, which is bounded here. E2 strict mode is a matter of compiling, not of running.
 */
import type { JsonObject } from '../../json.ts'
import { limits } from '../../limits.ts'
import type { Callable, Table } from './define.ts'
import { failure, overBudget, syntaxFault } from './faults.ts'
import { arithmetic, comparisons, concat, signed, slice } from './operators.ts'
import type { Run, Value } from './run.ts'
import { tables } from './tables.ts'
import type { Args, Expr, FilterCall, Tree } from './tree.ts'
import { lookup, setKey, textWork, truthy } from './values.ts'

export type Eval = (run: Run) => Value

/** What compiling needs to know. `missing` says what a missing value does: stay empty, or fail. */
export type Context = {
  readonly source: string
  readonly tree: Tree
  readonly missing: 'empty' | 'fails'
  readonly depth: number
}

type Of<K extends Expr['kind']> = Extract<Expr, { kind: K }>
type Compile<K extends Expr['kind']> = (expr: Of<K>, context: Context) => Eval

/** A closure that gives the expression's value. Throws `TEMPLATE_SYNTAX` or `TEMPLATE_BUDGET`. */
export function compileExpr(expr: Expr, outer: Context): Eval {
  const context = deeper(outer)
  const compile = compilers[expr.kind] as (expr: Expr, context: Context) => Eval
  return compile(expr, context)
}

export function deeper(context: Context): Context {
  if (context.depth >= limits.templateDepthMax) throw overBudget('it nests', limits.templateDepthMax)
  return { ...context, depth: context.depth + 1 }
}

/** In strict mode a closure that fails, naming the path, instead of giving nothing. */
function checked(expr: Expr, context: Context, evaluate: Eval): Eval {
  if (context.missing === 'empty') return evaluate
  const path = context.source.slice(expr.at, expr.end).slice(0, 200)
  return run => {
    const value = evaluate(run)
    if (value === undefined) throw failure(`"${path}" is missing; give it, or write ${path} | default("")`)
    return value
  }
}

function compileName(expr: Of<'name'>, context: Context): Eval {
  const { name } = expr
  const root = rootOf(name)
  if (!context.tree.assigned.has(name)) return checked(expr, context, root ?? (() => undefined))
  return checked(expr, context, run => run.lookup(name, root?.(run)))
}

function rootOf(name: string): Eval | undefined {
  if (name === 'data') return run => run.scope.data
  if (name === 'workflowenv') return run => run.scope.workflowenv
  if (name === 'iteration') return run => run.scope.iteration
  return undefined
}

/** How the fields of `runtime` or a namespace are read: neither is a value that could be passed on. */
function fieldsOf(expr: Expr, context: Context): ((run: Run, key: Value) => Value) | undefined {
  if (expr.kind !== 'name') return undefined
  const { name } = expr
  if (context.tree.namespaces.has(name)) return (run, key) => run.space(name)?.get(String(key))
  if (name !== 'runtime') return undefined
  return (run, key) => {
    if (typeof key !== 'string' || ['__proto__', 'constructor', 'prototype'].includes(key)) return undefined
    return run.scope.runtime.get(key)
  }
}

function compileMember(expr: Of<'member'>, context: Context): Eval {
  const fields = fieldsOf(expr.object, context)
  const key = compileExpr(expr.key, context)
  if (fields !== undefined) return checked(expr, context, run => fields(run, key(run)))
  const object = compileExpr(expr.object, context)
  if (expr.key.kind !== 'literal') {
    return checked(expr, context, run => {
      const value = object(run)
      run.spend(1 + textWork(value))
      return lookup(value, key(run))
    })
  }
  const constant = expr.key.value
  return checked(expr, context, run => {
    const value = object(run)
    run.spend(1 + textWork(value))
    return lookup(value, constant)
  })
}

type Values = (run: Run) => Value[]
/** Where an entry is used, and with what. */
type Use = { kind: string; name: string; args: Args; at: number }
type Bound = { args: Values; named: ((run: Run) => JsonObject) | undefined }

/** Puts arguments in the order of the parameters. Throws `TEMPLATE_SYNTAX` for a surplus, unknown or missing one. */
function bind(entry: Callable, use: Use, context: Context): Bound {
  const { args } = use
  const fault = (problem: string) =>
    syntaxFault(context.source, use.at, `${use.kind} "${use.name}" ${problem}`, usage(entry))
  if (args.positional.length > entry.params.length && !entry.rest) throw fault('takes fewer arguments')
  const slots = args.positional.map(arg => compileExpr(arg, context))
  const collected: [string, Eval][] = []
  for (const [name, arg] of args.named) {
    const index = entry.params.indexOf(name)
    if (index >= 0 && index < args.positional.length) throw fault(`is given "${name}" twice`)
    if (index < 0 && !entry.collects) throw fault(`takes no argument "${name}"`)
    if (index < 0) collected.push([name, compileExpr(arg, context)])
    else slots[index] = compileExpr(arg, context)
  }
  for (let i = 0; i < entry.required; i++)
    if (slots[i] === undefined) throw fault(`lacks its argument "${entry.params[i]}"`)
  const named = (run: Run) => {
    const object: JsonObject = {}
    for (const [name, arg] of collected) setKey(object, name, arg(run))
    return object
  }
  return { args: run => Array.from(slots, slot => slot?.(run)), named: collected.length === 0 ? undefined : named }
}

function usage(entry: Callable): string {
  if (entry.params.length === 0) return entry.rest ? 'give arguments in order' : 'it takes none'
  return `it takes: ${entry.params.join(', ')}`
}

/** A call that counts the texts it is applied to. */
function apply(entry: Callable, input: Eval, { args, named }: Bound): Eval {
  return run => {
    const value = input(run)
    const given = args(run)
    run.spend(given.reduce((work: number, arg) => work + textWork(arg), 1 + textWork(value)))
    return entry.body(run, value, given, named?.(run))
  }
}

function entryOf(entries: Table, name: string): Callable {
  return entries[name] as Callable
}

function compileFilter(expr: Of<'filter'>, context: Context): Eval {
  const lenient = expr.name === 'default' || expr.name === 'd'
  const input = compileExpr(expr.input, lenient ? { ...context, missing: 'empty' } : context)
  return checked(expr, context, applyFilter({ ...expr }, input, context))
}

/** A filter over whatever `input` gives. */
export function applyFilter(call: FilterCall, input: Eval, context: Context): Eval {
  const entry = entryOf(tables.filter, call.name)
  return apply(entry, input, bind(entry, { ...call, kind: 'filter' }, context))
}

function compileTest(expr: Of<'test'>, context: Context): Eval {
  const entry = entryOf(tables.test, expr.name)
  const lenient = expr.name === 'defined' || expr.name === 'undefined'
  const input = compileExpr(expr.input, lenient ? { ...context, missing: 'empty' } : context)
  return apply(entry, input, bind(entry, expr, context))
}

function compileMethod(expr: Of<'method'>, context: Context): Eval {
  if (expr.name === 'cycle') return cycle(expr, context)
  const ofFields = fieldMethod(expr, context)
  if (ofFields !== undefined) return ofFields
  const entry = entryOf(tables.method, expr.name)
  const bound = bind(entry, expr, context)
  return checked(expr, context, apply(entry, compileExpr(expr.object, context), bound))
}

/** `loop.cycle(a, b)`: one of its arguments, by the number of the iteration. */
function cycle(expr: Of<'method'>, context: Context): Eval {
  const args = expr.args.positional.map(arg => compileExpr(arg, context))
  if (args.length === 0 || expr.object.kind !== 'name' || expr.object.name !== 'loop') {
    throw syntaxFault(context.source, expr.at, '"cycle" of something else than a loop', 'write loop.cycle("a", "b")')
  }
  return run => args[Number(lookup(run.lookup('loop', undefined), 'index0') ?? 0) % args.length]?.(run)
}

/** `runtime.get(key, default)`. */
function fieldMethod(expr: Of<'method'>, context: Context): Eval | undefined {
  const fields = fieldsOf(expr.object, context)
  if (fields === undefined) return undefined
  if (expr.name !== 'get') {
    throw syntaxFault(context.source, expr.at, `a method "${expr.name}" of the whole`, 'read one field at a time')
  }
  const { args } = bind(entryOf(tables.method, 'get'), expr, context)
  return run => {
    const [key, instead = null] = args(run)
    return fields(run, key) ?? instead
  }
}

function compileCall(expr: Of<'call'>, context: Context): Eval {
  const entry = entryOf(tables.function, expr.name)
  return apply(entry, () => undefined, bind(entry, { ...expr, kind: 'function' }, context))
}

function compileCompare(expr: Of<'compare'>, context: Context): Eval {
  const first = compileExpr(expr.first, context)
  const rest = expr.rest.map(([op, operand]) => {
    const fields = op.endsWith('in') ? fieldsOf(operand, context) : undefined
    if (fields !== undefined) {
      const sign = op === 'in'
      return { holds: (run: Run, left: Value) => (fields(run, left) !== undefined) === sign, right: () => undefined }
    }
    return { holds: comparisons[op] as (typeof comparisons)[string], right: compileExpr(operand, context) }
  })
  return run => {
    run.spend(1)
    let left = first(run)
    for (const { holds, right } of rest) {
      const value = right(run)
      if (!holds(run, left, value)) return false
      left = value
    }
    return true
  }
}

function compileArithmetic(expr: Of<'arithmetic'>, context: Context): Eval {
  const first = compileExpr(expr.first, context)
  const rest = expr.rest.map(([op, operand]) => ({
    apply: arithmetic[op] as (typeof arithmetic)[string],
    right: compileExpr(operand, context),
  }))
  return run => {
    run.spend(rest.length)
    let value = first(run)
    for (const { apply, right } of rest) value = apply(run, value, right(run))
    return value
  }
}

function compileLogic(expr: Of<'logic'>, context: Context): Eval {
  const parts = expr.parts.map(part => compileExpr(part, context))
  const stops = expr.op === 'or'
  return run => {
    let value: Value
    for (const part of parts) {
      run.spend(1)
      value = part(run)
      if (truthy(run, value) === stops) return value
    }
    return value
  }
}

function compileObject(expr: Of<'object'>, context: Context): Eval {
  const entries = expr.entries.map(([key, value]) => [compileExpr(key, context), compileExpr(value, context)] as const)
  return run => {
    run.spend(1 + entries.length)
    const object: JsonObject = {}
    for (const [key, value] of entries) setKey(object, key(run), value(run))
    return object
  }
}

function compileChoice(expr: Of<'choice'>, context: Context): Eval {
  const test = compileExpr(expr.test, context)
  const chosen = compileExpr(expr.chosen, context)
  const otherwise = expr.otherwise === undefined ? () => undefined : compileExpr(expr.otherwise, context)
  return run => (truthy(run, test(run)) ? chosen(run) : otherwise(run))
}

const compilers: { readonly [K in Expr['kind']]: Compile<K> } = {
  literal: expr => () => expr.value,
  name: compileName,
  list: (expr, context) => {
    const items = expr.items.map(item => compileExpr(item, context))
    return run => {
      run.spend(1 + items.length)
      return items.map(item => item(run) ?? null)
    }
  },
  object: compileObject,
  member: compileMember,
  slice: (expr, context) => {
    const object = compileExpr(expr.object, context)
    const bounds = expr.bounds.map(bound => (bound === undefined ? undefined : compileExpr(bound, context)))
    return run =>
      slice(
        run,
        object(run),
        bounds.map(bound => bound?.(run)),
      )
  },
  call: compileCall,
  method: compileMethod,
  filter: compileFilter,
  test: compileTest,
  not: (expr, context) => {
    const input = compileExpr(expr.input, context)
    return run => !truthy(run, input(run))
  },
  sign: (expr, context) => {
    const input = compileExpr(expr.input, context)
    return run => signed(expr.op, input(run))
  },
  arithmetic: compileArithmetic,
  concat: (expr, context) => {
    const parts = expr.parts.map(part => compileExpr(part, context))
    return run => {
      run.spend(parts.length)
      return concat(
        run,
        parts.map(part => part(run)),
      )
    }
  },
  compare: compileCompare,
  logic: compileLogic,
  choice: compileChoice,
}
