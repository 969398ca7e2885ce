/**
 * A place in the tokens and the small questions every grammar asks there. It counts how deep the parser is, since that
 * is what a stack pays for: beyond the limit it stops, at the same place on every machine.
 */
import { limits } from '../../limits.ts'
import { overBudget, syntaxFault } from './faults.ts'
import type { Token } from './lexer.ts'
import { wordHint } from './python-hints.ts'
import type { Expr, ExprKind } from './tree.ts'

export class Cursor {
  readonly source: string
  readonly tokens: readonly Token[]
  at = 0
  depth = 0

  constructor(source: string, tokens: readonly Token[]) {
    this.source = source
    this.tokens = tokens
  }

  get token(): Token {
    return this.tokens[this.at] as Token
  }

  is(text: string): boolean {
    const { kind } = this.token
    return this.token.text === text && (kind === 'op' || kind === 'name')
  }

  take(text: string): boolean {
    if (!this.is(text)) return false
    this.at += 1
    return true
  }

  expect(text: string): void {
    if (!this.take(text)) throw this.unexpected(`"${text}" is expected here`)
  }

  name(): string {
    const { kind, text } = this.token
    if (kind !== 'name') throw this.unexpected('a name is expected here')
    this.at += 1
    return text
  }

  fault(at: number, what: string, hint?: string): Error {
    return syntaxFault(this.source, at, what, hint)
  }

  unexpected(hint: string): Error {
    const { kind, text, at } = this.token
    const what = kind === 'end' ? 'unexpected end' : `unexpected "${text.slice(0, 40)}"`
    return this.fault(at, what, kind === 'name' ? (wordHint(text) ?? hint) : hint)
  }

  /** Parses one level deeper; the limit keeps the stack bounded whatever the source holds. */
  deeper<T>(parse: () => T): T {
    this.depth += 1
    if (this.depth > limits.templateDepthMax) throw overBudget('it nests', limits.templateDepthMax)
    const result = parse()
    this.depth -= 1
    return result
  }

  node(at: number, kind: ExprKind): Expr {
    return { ...kind, at, end: (this.tokens[this.at - 1] as Token).end }
  }
}
