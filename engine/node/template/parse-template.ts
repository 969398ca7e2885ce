/**
 * Statements: what stands in `{% … %}` and which of them belong together. Blocks nest by recursion, so they count
 * towards the same depth as expressions. What would reach beyond the one source (include, macros …) is refused here.
 */
import { lexExpression, lexTemplate, type Token } from './lexer.ts'
import { Parser } from './parser.ts'
import type { Expr, FilterCall, Stmt, Target, Tree } from './tree.ts'

const refused: Readonly<Record<string, string>> = {
  macro: 'repeat the text, or loop over a list with {% for %}',
  call: 'macros are not supported; write the text in place',
  include: 'write the text in place; a template is one source',
  extends: 'write the text in place; a template is one source',
  import: 'write the text in place; a template is one source',
  from: 'write the text in place; a template is one source',
  block: 'write the text in place; there is no inheritance',
  do: 'templates change nothing; use {% set %} for a name',
  autoescape: 'use the filter "escape" where HTML is written',
  trans: 'write the text in place',
  generation: 'write the text in place',
}

type Rule = (parser: StatementParser, at: number) => Stmt
type Loop = 'in-loop' | 'no-loop'

/** The tree of a whole template. Throws `TEMPLATE_SYNTAX` or `TEMPLATE_BUDGET`. */
export function parseTemplate(source: string): Tree {
  const parser = new StatementParser(source, lexTemplate(source))
  const body = parser.body([], 0)
  return { body, read: parser.read, assigned: parser.assigned, namespaces: parser.namespaces }
}

/** The tree of one bare expression, as conditions are written. Throws `TEMPLATE_SYNTAX` or `TEMPLATE_BUDGET`. */
export function parseExpression(source: string): Tree {
  const parser = new StatementParser(source, lexExpression(source))
  const value = parser.expression()
  if (parser.token.kind !== 'end') throw parser.unexpected('an operator or the end is expected here')
  return {
    body: [{ kind: 'output', value }],
    read: parser.read,
    assigned: parser.assigned,
    namespaces: parser.namespaces,
  }
}

class StatementParser extends Parser {
  readonly assigned = new Set<string>()
  loop: Loop = 'no-loop'

  constructor(source: string, tokens: readonly Token[]) {
    super(source, tokens)
  }

  /** Statements up to one of the closing words, which stays to be read, or to the end; `opened` is where the block began. */
  body(until: readonly string[], opened: number): Stmt[] {
    return this.deeper(() => {
      const body: Stmt[] = []
      for (;;) {
        const { kind, text, at } = this.token
        if (kind === 'end' && until.length === 0) return body
        if (kind === 'end') throw this.fault(opened, 'a block that does not end', `add {% ${until.at(-1)} %}`)
        this.at += 1
        if (kind === 'text') body.push({ kind: 'text', text })
        else if (text === '{{') body.push(this.output())
        else if (until.includes(this.token.text) && this.token.kind === 'name') return body
        else body.push(this.statement(at))
      }
    })
  }

  output(): Stmt {
    const value = this.expressionList()
    this.close()
    return { kind: 'output', value }
  }

  close(): void {
    if (this.token.kind !== 'close') throw this.unexpected('an operator or the end of the tag is expected here')
    this.at += 1
  }

  /** Reads the word that ended a body, and its tag. */
  closing(word: string): void {
    this.expect(word)
    this.close()
  }

  statement(at: number): Stmt {
    const word = this.name()
    if (Object.hasOwn(rules, word)) return (rules[word] as Rule)(this, at)
    if (Object.hasOwn(refused, word)) throw this.fault(at, `"${word}" is not supported`, refused[word])
    throw this.fault(
      at,
      word.startsWith('e') ? `"${word}" without its block` : `unknown statement "${word.slice(0, 40)}"`,
    )
  }

  target(): Target {
    const bracketed = this.take('(')
    const names = [this.assign()]
    let unpack: Target['unpack'] = 'one'
    while (this.take(',')) {
      unpack = 'list'
      if (this.token.kind === 'name' && !this.is('in')) names.push(this.assign())
    }
    if (bracketed) this.expect(')')
    return { names, unpack }
  }

  assign(): string {
    const at = this.token.at
    const name = this.name()
    if (name === 'runtime') {
      throw this.fault(at, '"runtime" cannot be assigned', 'use a filter: value | set_runtime("key", value)')
    }
    if (this.namespaces.has(name)) throw this.fault(at, `"${name}" is a namespace already`, 'choose another name')
    this.assigned.add(name)
    return name
  }

  filterCalls(): FilterCall[] {
    const calls = [this.filterCall()]
    while (this.take('|')) calls.push(this.filterCall())
    return calls
  }
}

function parseIf(parser: StatementParser, at: number): Stmt {
  const branches: { test: Expr; body: Stmt[] }[] = []
  let otherwise: Stmt[] = []
  do {
    const test = parser.expressionList()
    parser.close()
    branches.push({ test, body: parser.body(['elif', 'else', 'endif'], at) })
  } while (parser.take('elif'))
  if (parser.take('else')) {
    parser.close()
    otherwise = parser.body(['endif'], at)
  }
  parser.closing('endif')
  return { kind: 'if', branches, otherwise }
}

function parseFor(parser: StatementParser, at: number): Stmt {
  parser.assigned.add('loop')
  const target = parser.target()
  parser.expect('in')
  const items = parser.or()
  const only = parser.take('if') ? parser.expression() : undefined
  if (parser.is('recursive')) throw parser.unexpected('recursive loops are not supported')
  parser.close()
  const outer = parser.loop
  parser.loop = 'in-loop'
  const body = parser.body(['else', 'endfor'], at)
  parser.loop = outer
  let otherwise: Stmt[] = []
  if (parser.take('else')) {
    parser.close()
    otherwise = parser.body(['endfor'], at)
  }
  parser.closing('endfor')
  return { kind: 'for', target, items, only, body, otherwise }
}

function parseSet(parser: StatementParser, at: number): Stmt {
  const { at: nameAt, text } = parser.token
  if (parser.namespaces.has(text) && parser.tokens[parser.at + 1]?.text === '.') return parseSetField(parser)
  if (parser.tokens[parser.at + 2]?.text === 'namespace' && parser.tokens[parser.at + 1]?.text === '=') {
    return parseNamespace(parser)
  }
  const target = parser.target()
  if (parser.is('.'))
    throw parser.fault(nameAt, `"${text}" is not a namespace`, `write {% set ${text} = namespace() %} first`)
  if (parser.take('=')) {
    const value = parser.expressionList()
    parser.close()
    return { kind: 'set', target, value }
  }
  const filters = parser.take('|') ? parser.filterCalls() : []
  parser.close()
  if (target.unpack === 'list') throw parser.fault(nameAt, 'a block set of several names')
  const body = parser.body(['endset'], at)
  parser.closing('endset')
  return { kind: 'set-block', name: target.names[0] as string, filters, body }
}

function parseNamespace(parser: StatementParser): Stmt {
  const at = parser.token.at
  const name = parser.name()
  parser.at += 2
  const args = parser.args()
  parser.close()
  if (parser.assigned.has(name) || ['data', 'workflowenv', 'iteration', 'runtime', 'loop'].includes(name)) {
    throw parser.fault(at, `"${name}" is no name for a namespace`, 'choose another name')
  }
  if (args.positional.length > 0) throw parser.fault(at, 'a namespace takes names', 'write namespace(total=0)')
  parser.namespaces.add(name)
  return { kind: 'namespace', name, fields: args.named }
}

function parseSetField(parser: StatementParser): Stmt {
  const name = parser.name()
  parser.expect('.')
  const field = parser.name()
  parser.expect('=')
  const value = parser.expressionList()
  parser.close()
  return { kind: 'set-field', name, field, value }
}

function parseWith(parser: StatementParser, at: number): Stmt {
  const values: [string, Expr][] = []
  while (parser.token.kind !== 'close') {
    const name = parser.assign()
    parser.expect('=')
    values.push([name, parser.expression()])
    if (!parser.take(',')) break
  }
  parser.close()
  const body = parser.body(['endwith'], at)
  parser.closing('endwith')
  return { kind: 'with', values, body }
}

function parseFilterBlock(parser: StatementParser, at: number): Stmt {
  const filters = parser.filterCalls()
  parser.close()
  const body = parser.body(['endfilter'], at)
  parser.closing('endfilter')
  return { kind: 'filter-block', filters, body }
}

function parseJump(kind: 'break' | 'continue'): Rule {
  return (parser, at) => {
    if (parser.loop === 'no-loop') throw parser.fault(at, `"${kind}" outside a loop`)
    parser.close()
    return { kind }
  }
}

const rules: Readonly<Record<string, Rule>> = {
  if: parseIf,
  for: parseFor,
  set: parseSet,
  with: parseWith,
  filter: parseFilterBlock,
  break: parseJump('break'),
  continue: parseJump('continue'),
}
