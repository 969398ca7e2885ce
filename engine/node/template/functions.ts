/** Functions by name: those that existing Python conditions use, and Jinja's `range` and `dict`. */
import { define } from './define.ts'
import { failure } from './faults.ts'
import { dict, extreme, length, reversed, rounded, total } from './filters-list.ts'
import { toFloat, toInt } from './numbers.ts'
import { range } from './operators.ts'
import type { Run, Value } from './run.ts'
import { elements, isNumeric, isTruthy, kindOf, order, print, truthy } from './values.ts'

function number(value: Value, name: string, convert: (value: Value) => number | undefined): number {
  const result = convert(value)
  if (result === undefined)
    throw failure(`${name}() of ${kindOf(value)} is no number; use | ${name}, which gives a default`)
  return result
}

/** `int("3.7")` fails in Python, as it does not for numbers. */
function wholeText(value: Value, base: number): number | undefined {
  if (typeof value === 'string' && base === 10 && !/^\s*[-+]?\d[\d_]*\s*$/.test(value)) return undefined
  return toInt(value, base)
}

/** `min` and `max` take a list, or the values one by one. */
function extremeOf(run: Run, args: readonly Value[], sign: 1 | -1): Value {
  const list = args.length === 1 ? elements(run, args[0]) : args.map(arg => arg ?? null)
  if (list.length === 0) throw failure('nothing to choose from in an empty list; use | min or | max with | default')
  return extreme(run, list, item => item, sign)
}

export const functions = {
  abs: define('x', (_run, _value, [x]) => {
    if (!isNumeric(x)) throw failure(`abs() takes a number, not ${kindOf(x)}; use | int or | float`)
    return Math.abs(Number(x))
  }),
  all: define('list', (run, _value, [list]) => elements(run, list).every(item => truthy(run, item))),
  any: define('list', (run, _value, [list]) => elements(run, list).some(item => truthy(run, item))),
  bool: define('x?', (run, _value, [x]) => truthy(run, x)),
  dict: define('base? **', (run, _value, [base], named) => dict(run, base, named)),
  float: define('x?', (_run, _value, [x = 0]) => number(x, 'float', toFloat)),
  int: define('x? base?', (_run, _value, [x = 0, base = 10]) =>
    number(x, 'int', value => wholeText(value, Number(base))),
  ),
  len: define('x', (run, _value, [x]) => {
    if (typeof x === 'number' || typeof x === 'boolean')
      throw failure(`len() takes text, a list or an object, not ${kindOf(x)}`)
    return length(run, x)
  }),
  list: define('x?', (run, _value, [x]) => [...elements(run, x)]),
  max: define('*', (run, _value, args) => extremeOf(run, args, 1)),
  min: define('*', (run, _value, args) => extremeOf(run, args, -1)),
  range: define('start stop? step?', (run, _value, args) => range(run, trimmed(args))),
  round: define('x digits?', (_run, _value, [x, digits]) => rounded(x, digits ?? undefined, undefined)),
  sorted: define('list reverse?', (run, _value, [list, reverse]) => {
    const items = elements(run, list).toSorted((a, b) => order(run, a, b))
    return isTruthy(reverse) ? (reversed(run, items) as Value) : items
  }),
  str: define('x?', (run, _value, [x = '']) => print(run, x)),
  sum: define('list start?', (run, _value, [list, start = 0]) => total(run, elements(run, list), start)),
}

/** The arguments up to the last one that was given. */
function trimmed(args: readonly Value[]): readonly Value[] {
  let given = args.length
  while (given > 0 && args[given - 1] === undefined) given -= 1
  return args.slice(0, given)
}
