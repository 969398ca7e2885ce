/** What stands after `is`. Each answers true or false; only `defined` and `undefined` tell missing from null. */
import { define } from './define.ts'
import { failure } from './faults.ts'
import { comparisons } from './operators.ts'
import type { Run, Value } from './run.ts'
import { contains, isNumeric, isObject, kindOf, print } from './values.ts'

const test = (holds: (value: Value) => boolean) => define('', (_run, value) => holds(value))
const compare = (op: string) =>
  define('other', (run, value, [other]) => (comparisons[op] as (typeof comparisons)[string])(run, value, other))

function divides(value: Value, by: Value): boolean {
  if (!isNumeric(value) || !isNumeric(by))
    throw failure(`divisibility is asked of numbers, not of ${kindOf(value)}; use | int`)
  if (Number(by) === 0) throw failure('nothing is divisible by zero; test the divisor first')
  return Number(value) % Number(by) === 0
}

const isNone = test(value => value === null)
const isTrue = test(value => value === true)
const isFalse = test(value => value === false)
const isText = (run: Run, value: Value, change: (text: string) => string): boolean => {
  const text = print(run, value)
  return text === change(text) && text.toLowerCase() !== text.toUpperCase()
}

export const tests = {
  boolean: test(value => typeof value === 'boolean'),
  defined: test(value => value !== undefined),
  divisibleby: define('num', (_run, value, [by]) => divides(value, by)),
  eq: compare('=='),
  equalto: compare('=='),
  even: test(value => divides(value, 2)),
  false: isFalse,
  False: isFalse,
  float: test(value => typeof value === 'number' && !Number.isInteger(value)),
  ge: compare('>='),
  greaterthan: compare('>'),
  gt: compare('>'),
  in: define('seq', (run, value, [container]) => contains(run, container, value)),
  integer: test(value => Number.isInteger(value)),
  iterable: test(value => typeof value === 'string' || (typeof value === 'object' && value !== null)),
  le: compare('<='),
  lessthan: compare('<'),
  lower: define('', (run, value) => isText(run, value, text => text.toLowerCase())),
  lt: compare('<'),
  mapping: test(isObject),
  ne: compare('!='),
  none: isNone,
  None: isNone,
  null: isNone,
  number: test(isNumeric),
  odd: test(value => !divides(value, 2)),
  sameas: define('other', (_run, value, [other]) => value === other),
  sequence: test(value => typeof value === 'string' || (typeof value === 'object' && value !== null)),
  string: test(value => typeof value === 'string'),
  true: isTrue,
  True: isTrue,
  undefined: test(value => value === undefined),
  upper: define('', (run, value) => isText(run, value, text => text.toUpperCase())),
}
