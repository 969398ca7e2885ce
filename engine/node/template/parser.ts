/**
 * The expression grammar, as Jinja2 has it: `x if c else y` · or · and · not · comparisons (chained) · + - · ~ · * / // %
 * · ** (to the left) · signs · postfix, filters and tests. A parser of our own, after a try with @huggingface/jinja
 * 0.5.11: its tree has no positions, so no fault could say line and column; it accepts `{{ and }}`, `[1 2 3]` and takes
 * `[x for x in y]` for a list of three; knows no `raw`, `with`, `1e3`, no arguments of tests; reads `1 < 2 < 3` wrongly;
 * overflows the stack on 10,000 parentheses; and its tokenizer is quadratic in white space (80 KB: 9 s).
 */
import { Cursor } from './cursor.ts'
import { nearest } from './faults.ts'
import { callHint, methodHint, wordHint } from './python-hints.ts'
import { type Names, tables } from './tables.ts'
import type { Args, Expr, FilterCall } from './tree.ts'

const constants: Readonly<Record<string, null | boolean>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  null: null,
}
const reserved = new Set(['and', 'or', 'not', 'in', 'is', 'if', 'else'])
const comparisons = new Set(['==', '!=', '<', '>', '<=', '>='])
const noArgs: Args = { positional: [], named: new Map() }

export class Parser extends Cursor {
  /** Names that `set namespace(…)` made, which stand only before a dot. */
  readonly namespaces = new Set<string>()
  /** Names that expressions read. */
  readonly read = new Set<string>()

  expression(): Expr {
    return this.deeper(() => {
      const at = this.token.at
      const value = this.or()
      if (!this.take('if')) return value
      const test = this.or()
      const otherwise = this.take('else') ? this.expression() : undefined
      return this.node(at, { kind: 'choice', test, chosen: value, otherwise })
    })
  }

  /** `a, b` without brackets is a list too, where a statement takes a value. */
  expressionList(): Expr {
    const at = this.token.at
    const first = this.expression()
    if (!this.is(',')) return first
    const items = [first]
    while (this.take(',')) {
      if (this.token.kind === 'close') break
      items.push(this.expression())
    }
    return this.node(at, { kind: 'list', items })
  }

  or(): Expr {
    return this.logic('or', () => this.logic('and', () => this.not()))
  }

  logic(op: 'and' | 'or', operand: () => Expr): Expr {
    const at = this.token.at
    const first = operand()
    if (!this.is(op)) return first
    const parts = [first]
    while (this.take(op)) parts.push(operand())
    return this.node(at, { kind: 'logic', op, parts })
  }

  not(): Expr {
    const at = this.token.at
    if (!this.take('not')) return this.compare()
    const input = this.deeper(() => this.not())
    return this.node(at, { kind: 'not', input })
  }

  compare(): Expr {
    const at = this.token.at
    const first = this.sum()
    const rest: [string, Expr][] = []
    for (let op = this.comparison(); op !== undefined; op = this.comparison()) rest.push([op, this.sum()])
    return rest.length === 0 ? first : this.node(at, { kind: 'compare', first, rest })
  }

  comparison(): string | undefined {
    const { kind, text } = this.token
    if (kind === 'op' && comparisons.has(text)) {
      this.at += 1
      return text
    }
    if (this.take('in')) return 'in'
    if (!this.is('not') || this.tokens[this.at + 1]?.text !== 'in') return undefined
    this.at += 2
    return 'not in'
  }

  arithmetic(ops: readonly string[], operand: () => Expr): Expr {
    const at = this.token.at
    const first = operand()
    const rest: [string, Expr][] = []
    while (this.token.kind === 'op' && ops.includes(this.token.text)) {
      const op = this.token.text
      this.at += 1
      rest.push([op, operand()])
    }
    return rest.length === 0 ? first : this.node(at, { kind: 'arithmetic', first, rest })
  }

  sum(): Expr {
    return this.arithmetic(['+', '-'], () => this.concat())
  }

  concat(): Expr {
    const at = this.token.at
    const parts = [this.product()]
    while (this.take('~')) parts.push(this.product())
    return parts.length === 1 ? (parts[0] as Expr) : this.node(at, { kind: 'concat', parts })
  }

  product(): Expr {
    return this.arithmetic(['*', '/', '//', '%'], () => this.arithmetic(['**'], () => this.unary('with-filters')))
  }

  unary(suffix: 'with-filters' | 'bare'): Expr {
    const at = this.token.at
    const op = this.is('-') || this.is('+') ? this.token.text : undefined
    let value: Expr
    if (op === undefined) value = this.postfix(this.primary())
    else {
      this.at += 1
      const input = this.deeper(() => this.unary('bare'))
      value = this.node(at, { kind: 'sign', op, input })
    }
    return suffix === 'with-filters' ? this.filters(value) : value
  }

  filters(first: Expr): Expr {
    let value = first
    for (;;) {
      if (this.take('|')) {
        const { name, args } = this.filterCall()
        value = this.node(first.at, { kind: 'filter', input: value, name, args })
      } else if (this.is('is')) value = this.test(value)
      else if (this.is('(')) throw this.fault(this.token.at, 'a call of something that is not a function')
      else return value
    }
  }

  /** What stands after `|`: a known filter and its arguments. */
  filterCall(): FilterCall {
    const at = this.token.at
    const name = this.name()
    this.known('filter', name, at)
    const args = this.is('(') ? this.args() : noArgs
    return { name, args, at, end: (this.tokens[this.at - 1] as (typeof this.tokens)[number]).end }
  }

  known(what: keyof Names, name: string, at: number): void {
    const table = tables.names[what]
    if (table.has(name)) return
    const refused = tables.refused(what, name)
    const near = nearest(name, table)
    const meant = near === undefined ? undefined : `did you mean "${near}"?`
    throw this.fault(at, `unknown ${what} "${name.slice(0, 40)}"`, refused ?? meant)
  }

  test(input: Expr): Expr {
    this.expect('is')
    const negate = this.take('not')
    const { kind, at, text } = this.token
    if (kind === 'number' || kind === 'string') {
      throw this.fault(at, `"is" before a value`, `write "${negate ? '!=' : '=='} ${text.slice(0, 40)}"`)
    }
    const name = this.name()
    this.known('test', name, at)
    let args = noArgs
    if (this.is('(')) args = this.args()
    else if (this.startsOperand()) args = { positional: [this.postfix(this.primary())], named: new Map() }
    const test = this.node(input.at, { kind: 'test', input, name, args })
    return negate ? this.node(input.at, { kind: 'not', input: test }) : test
  }

  /** Whether the argument of a test follows without parentheses: `x is divisibleby 3`. */
  startsOperand(): boolean {
    const { kind, text } = this.token
    if (kind === 'number' || kind === 'string') return true
    if (kind === 'name') return !reserved.has(text) && wordHint(text) === undefined
    return kind === 'op' && (text === '[' || text === '{')
  }

  args(): Args {
    const positional: Expr[] = []
    const named = new Map<string, Expr>()
    this.expect('(')
    while (!this.is(')')) {
      if (this.is('*') || this.is('**')) throw this.unexpected('write the arguments one by one')
      const isNamed = this.token.kind === 'name' && this.tokens[this.at + 1]?.text === '='
      if (isNamed) {
        const at = this.token.at
        const name = this.name()
        this.expect('=')
        if (named.has(name)) throw this.fault(at, `argument "${name}" given twice`)
        named.set(name, this.expression())
      } else if (named.size > 0) throw this.unexpected('arguments without a name come first')
      else positional.push(this.expression())
      if (!this.is(')')) this.comma('")" or "," is expected here')
    }
    this.expect(')')
    return { positional, named }
  }

  comma(hint: string): void {
    if (!this.take(',')) throw this.unexpected(hint)
  }

  postfix(first: Expr): Expr {
    let value = first
    for (;;) {
      if (this.take('.')) value = this.dotted(value)
      else if (this.take('[')) value = this.subscript(value)
      else if (this.is('(')) throw this.fault(this.token.at, 'a call of something that is not a function')
      else return value
    }
  }

  dotted(object: Expr): Expr {
    const { kind, text, value, at, end } = this.token
    if (kind !== 'name' && kind !== 'number') throw this.unexpected('a field name is expected here')
    this.at += 1
    if (kind === 'name' && this.is('(')) {
      if (!tables.names.method.has(text)) {
        throw this.fault(
          at,
          `unknown method "${text.slice(0, 40)}"`,
          methodHint(text) ?? 'nothing in data can be called',
        )
      }
      return this.node(object.at, { kind: 'method', object, name: text, args: this.args() })
    }
    return this.node(object.at, { kind: 'member', object, key: { kind: 'literal', value, at, end } })
  }

  subscript(object: Expr): Expr {
    const bounds: (Expr | undefined)[] = [undefined]
    for (;;) {
      if (this.take(':')) bounds.push(undefined)
      else if (this.is(']') || bounds.at(-1) !== undefined) break
      else bounds[bounds.length - 1] = this.expression()
    }
    if (bounds.length > 3) throw this.unexpected('a slice has at most start, stop and step')
    this.expect(']')
    if (bounds.length > 1) return this.node(object.at, { kind: 'slice', object, bounds })
    if (bounds[0] === undefined) throw this.fault(this.token.at, 'an empty subscript', 'write x[0] or x["key"]')
    return this.node(object.at, { kind: 'member', object, key: bounds[0] })
  }

  primary(): Expr {
    const { kind, text, value, at } = this.token
    if (kind === 'number') {
      this.at += 1
      return this.node(at, { kind: 'literal', value })
    }
    if (kind === 'string') return this.strings()
    if (kind === 'name' && !reserved.has(text)) return this.named()
    if (this.take('(')) return this.parenthesized(at)
    if (this.take('[')) return this.list(at)
    if (this.take('{')) return this.object(at)
    throw this.unexpected('a value is expected here')
  }

  /** Strings that follow each other are one, as in Python. */
  strings(): Expr {
    const at = this.token.at
    let value = ''
    while (this.token.kind === 'string') {
      value += this.token.value
      this.at += 1
    }
    return this.node(at, { kind: 'literal', value })
  }

  named(): Expr {
    const at = this.token.at
    const name = this.name()
    if (Object.hasOwn(constants, name))
      return this.node(at, { kind: 'literal', value: constants[name] as null | boolean })
    if (this.is('(')) return this.call(at, name)
    const hint = this.is('.') || this.is('[') ? undefined : wordHint(name)
    if (hint !== undefined) throw this.fault(at, `unexpected "${name}"`, hint)
    this.read.add(name)
    const opaque = name === 'runtime' || this.namespaces.has(name)
    if (opaque && !this.is('.') && !this.is('[')) {
      const before = this.tokens[this.at - 2]?.text
      if (name !== 'runtime' || before !== 'in')
        throw this.fault(at, `"${name}" alone`, `name a field, e.g. ${name}.total`)
    }
    return this.node(at, { kind: 'name', name })
  }

  call(at: number, name: string): Expr {
    const hint = callHint(name)
    if (hint !== undefined) throw this.fault(at, `unknown function "${name}"`, hint)
    if (name === 'namespace')
      throw this.fault(at, 'a namespace outside "set"', 'write {% set ns = namespace(total=0) %}')
    this.known('function', name, at)
    return this.node(at, { kind: 'call', name, args: this.args() })
  }

  parenthesized(at: number): Expr {
    if (this.take(')')) return this.node(at, { kind: 'list', items: [] })
    const first = this.expression()
    if (this.take(')')) return { ...first, at }
    const items = [first]
    while (!this.is(')')) {
      this.comma('")" or "," is expected here')
      if (!this.is(')')) items.push(this.expression())
    }
    this.expect(')')
    return this.node(at, { kind: 'list', items })
  }

  list(at: number): Expr {
    const items: Expr[] = []
    while (!this.is(']')) {
      items.push(this.expression())
      if (!this.is(']')) this.comma('"]" or "," is expected here')
    }
    this.expect(']')
    return this.node(at, { kind: 'list', items })
  }

  object(at: number): Expr {
    const entries: [Expr, Expr][] = []
    while (!this.is('}')) {
      const key = this.expression()
      if (!this.take(':')) throw this.unexpected('write a key and a value, {"key": value}')
      entries.push([key, this.expression()])
      if (!this.is('}')) this.comma('"}" or "," is expected here')
    }
    this.expect('}')
    return this.node(at, { kind: 'object', entries })
  }
}
