/**
 * Cuts a template into tokens that know their offsets. Every pattern is sticky and linear: a source of 256 KiB is read
 * once, whatever it holds. Brackets are matched here, so that the parser's recursion is bounded before it starts.
 * (Why not `tokenize` of @huggingface/jinja: see parser.ts.)
 */
import { utf8Bytes } from '../../json.ts'
import { limits } from '../../limits.ts'
import { overBudget, syntaxFault } from './faults.ts'
import { operatorHint, prefixHint } from './python-hints.ts'

export type TokenKind = 'text' | 'open' | 'close' | 'name' | 'string' | 'number' | 'op' | 'end'

/** `text` is the token as it stands (for `open` and `close`: `{{`, `{%` …); `value` what a literal means. */
export type Token = { kind: TokenKind; text: string; value: string | number; at: number; end: number }

const opening = /\{[{%#]/g
const space = /\s+/y
const name = /[\p{ID_Start}_][\p{ID_Continue}]*/uy
const number = /0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const integer = /\d+/y
const operator = /\*\*|\/\/|[=!]==?|<=|>=|<>|:=|&&|\|\||\?\?|\?\.|=>|->|[-+*/%~|.,:()[\]{}<>=]|[!&?;@^$`\\#]/y
const rawTag = /\{%[-+]?\s*raw\s*(-?)%\}/y
const endRawTag = /\{%([-+]?)\s*endraw\s*(-?)[+]?%\}/g
const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }
const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  v: '\v',
  a: '\x07',
  '0': '\0',
  "'": "'",
  '"': '"',
  '\\': '\\',
  '\n': '',
}

function match(pattern: RegExp, source: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(source)
}

/** Tokens of a whole template, with `{{`, `{%` and comments. */
export function lexTemplate(source: string): Token[] {
  return new Lexer(source).template()
}

/** Tokens of one expression without delimiters, as conditions are written. */
export function lexExpression(source: string): Token[] {
  return new Lexer(source).expression()
}

class Lexer {
  readonly source: string
  readonly tokens: Token[] = []
  at = 0
  /** Whether the text that follows begins without its leading white space (`-}}`). */
  trimNext = false

  constructor(source: string) {
    if (utf8Bytes(source) > limits.templateBytesMax) throw overBudget('a source', limits.templateBytesMax)
    this.source = source
  }

  template(): Token[] {
    // As in Jinja: one newline at the end of a template is not part of it.
    const end = this.source.endsWith('\n') ? this.source.length - 1 : this.source.length
    while (this.at < end) {
      const found = match(opening, this.source, this.at)
      const stop = found === null ? end : found.index
      const trimmed = found !== null && this.source[stop + 2] === '-'
      this.text(this.at, stop, trimmed ? 'trim-end' : 'keep-end')
      this.at = stop
      if (found !== null) this.construct(found[0])
    }
    this.push('end', this.at)
    return this.tokens
  }

  expression(): Token[] {
    this.code(undefined, 0)
    this.push('end', this.at)
    return this.tokens
  }

  /** Adds the token from `at` to where the lexer stands now. */
  push(kind: TokenKind, at: number, value?: string | number): void {
    const text = this.source.slice(at, this.at)
    this.tokens.push({ kind, text, value: value ?? text, at, end: this.at })
  }

  text(from: number, to: number, ending: 'trim-end' | 'keep-end'): void {
    let text = this.source.slice(from, to)
    if (this.trimNext) text = text.trimStart()
    if (ending === 'trim-end') text = text.trimEnd()
    this.trimNext = false
    if (text !== '') this.tokens.push({ kind: 'text', text, value: text, at: from, end: to })
  }

  /** One of `{{ … }}`, `{% … %}`, `{# … #}`, `{% raw %} … {% endraw %}`. */
  construct(open: string): void {
    const start = this.at
    const raw = open === '{%' ? match(rawTag, this.source, start) : null
    if (open === '{#') this.comment(start)
    else if (raw !== null) this.raw(start, raw)
    else this.tag(start, open)
  }

  tag(start: number, open: string): void {
    const sign = this.source[start + 2]
    this.at = start + (sign === '-' || (sign === '+' && open === '{%') ? 3 : 2)
    this.tokens.push({ kind: 'open', text: open, value: open, at: start, end: this.at })
    this.code(open === '{{' ? '}}' : '%}', start)
  }

  comment(start: number): void {
    const stop = this.source.indexOf('#}', start + 2)
    if (stop < 0) throw syntaxFault(this.source, start, 'a comment that does not end', 'close it with "#}"')
    this.trimNext = this.source[stop - 1] === '-'
    this.at = stop + 2
  }

  raw(start: number, open: RegExpExecArray): void {
    const from = start + open[0].length
    const close = match(endRawTag, this.source, from)
    if (close === null) throw syntaxFault(this.source, start, '"raw" that does not end', 'close it with {% endraw %}')
    this.trimNext = open[1] === '-'
    this.text(from, close.index, close[1] === '-' ? 'trim-end' : 'keep-end')
    this.trimNext = close[2] === '-'
    this.at = close.index + close[0].length
  }

  /** Tokens up to and with the closing delimiter, or to the end of the source when there is none to come. */
  code(close: '}}' | '%}' | undefined, start: number): void {
    const brackets: Token[] = []
    for (;;) {
      const blank = match(space, this.source, this.at)
      if (blank !== null) this.at += blank[0].length
      if (this.at >= this.source.length) break
      if (close !== undefined && brackets.length === 0 && this.closed(close)) return
      this.token()
      this.matchBracket(brackets, this.tokens.at(-1) as Token)
    }
    const open = brackets.at(-1)
    if (open !== undefined) {
      const hint = `add "${closers[open.text]}"`
      throw syntaxFault(this.source, open.at, `"${open.text}" that does not end`, hint)
    }
    if (close === undefined) return
    const opened = close === '}}' ? '{{' : '{%'
    throw syntaxFault(this.source, start, `"${opened}" that does not end`, `close it with "${close}"`)
  }

  closed(close: '}}' | '%}'): boolean {
    const sign = this.source[this.at]
    const skip = sign === '-' || (sign === '+' && close === '%}') ? 1 : 0
    const from = this.source.startsWith(close, this.at) ? 0 : skip
    if (!this.source.startsWith(close, this.at + from)) return false
    this.trimNext = from === 1 && sign === '-'
    const end = this.at + from + 2
    this.tokens.push({ kind: 'close', text: close, value: close, at: this.at, end })
    this.at = end
    return true
  }

  matchBracket(brackets: Token[], token: Token): void {
    if (token.kind !== 'op') return
    if (Object.hasOwn(closers, token.text)) {
      brackets.push(token)
      if (brackets.length > limits.templateDepthMax) throw overBudget('brackets nest', limits.templateDepthMax)
    } else if (token.text === ')' || token.text === ']' || token.text === '}') {
      const open = brackets.pop()
      if (open !== undefined && closers[open.text] === token.text) return
      const hint = open === undefined ? undefined : `close "${open.text}" with "${closers[open.text]}" first`
      throw syntaxFault(this.source, token.at, `"${token.text}" that closes nothing`, hint)
    }
  }

  token(): void {
    const at = this.at
    const first = this.source[at] as string
    const word = match(name, this.source, at)
    const afterDot = this.tokens.at(-1)?.text === '.'
    const digits = match(afterDot ? integer : number, this.source, at)
    if (first === '"' || first === "'") this.string(first)
    else if (word !== null) this.word(at, word[0])
    else if (digits !== null) this.number(at, digits[0])
    else this.operator(at, first)
  }

  operator(at: number, first: string): void {
    const op = match(operator, this.source, at)
    if (op === null) throw syntaxFault(this.source, at, `unexpected character ${JSON.stringify(first)}`)
    const hint = operatorHint(op[0])
    if (hint !== undefined) throw syntaxFault(this.source, at, `"${op[0]}" is not an operator here`, hint)
    this.at = at + op[0].length
    this.push('op', at)
  }

  word(at: number, text: string): void {
    this.at = at + text.length
    const next = this.source[this.at]
    const hint = next === '"' || next === "'" ? prefixHint(text) : undefined
    if (hint !== undefined) throw syntaxFault(this.source, at, `a Python string prefix "${text}"`, hint)
    this.push('name', at)
  }

  number(at: number, text: string): void {
    const value = Number(text.replaceAll('_', ''))
    this.at = at + text.length
    const tail = match(name, this.source, this.at)
    if (tail !== null) throw syntaxFault(this.source, at, `"${text}${tail[0].slice(0, 20)}" is not a number`)
    if (!Number.isFinite(value)) throw syntaxFault(this.source, at, `the number "${text.slice(0, 40)}" is too large`)
    this.push('number', at, value)
  }

  string(quote: string): void {
    const start = this.at
    let value = ''
    for (let i = start + 1; i < this.source.length; ) {
      const char = this.source[i] as string
      if (char === quote) {
        this.at = i + 1
        this.push('string', start, value)
        return
      }
      const escaped = char === '\\' ? readEscape(this.source, i) : undefined
      value += escaped === undefined ? char : escaped.text
      i = escaped === undefined ? i + 1 : escaped.end
    }
    throw syntaxFault(this.source, start, 'a string that does not end', `close it with ${quote}`)
  }
}

/** An escape as Python reads it; one that means nothing stays as it is, backslash included. */
function readEscape(source: string, at: number): { text: string; end: number } {
  const char = source[at + 1] ?? ''
  const size = { x: 2, u: 4 }[char] ?? 0
  const hex = source.slice(at + 2, at + 2 + size)
  if (size > 0 && hex.length === size && /^[0-9a-fA-F]+$/.test(hex)) {
    return { text: String.fromCharCode(Number.parseInt(hex, 16)), end: at + 2 + size }
  }
  if (char !== '' && Object.hasOwn(escapes, char)) return { text: escapes[char] as string, end: at + 2 }
  return { text: '\\', end: at + 1 }
}
