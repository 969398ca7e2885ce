/**
 * JSON text as people write it. `JSON.parse` decides whether it is JSON; where it is not, the place of the fault is
 * found here, since the messages of `JSON.parse` differ between JavaScript engines and often name no place at all.
 */
import type { Json } from '../json.ts'

/** Lines and columns count from 1. */
export type JsonFault = { line: number; column: number; message: string }

/** The value, or where and why the text is not JSON. */
export function parseJsonText(
  text: string,
): { value: Json; fault?: undefined } | { value?: undefined; fault: JsonFault } {
  try {
    return { value: JSON.parse(text) as Json }
  } catch {
    return { fault: locate(text) }
  }
}

/** What a value is, in the words of an error. */
export function kindOf(value: Json | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function locate(text: string): JsonFault {
  const scanner = new Scanner(text)
  const at = scanner.firstFault()
  const before = text.slice(0, at).split('\n')
  const line = before.length
  const column = (before.at(-1)?.length ?? 0) + 1
  const found = at >= text.length ? 'the text ends' : `${JSON.stringify(text[at])} is not expected`
  return { line, column, message: `is not JSON: ${found} at line ${line}, column ${column}` }
}

const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\u007f|[\u0080-\u009f])*/uy
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.])/y
const SPACE = /[ \t\r\n]*/y

/** Walks the grammar without a stack of calls: deep nesting must not end the process. */
class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  firstFault(): number {
    const open: ('{' | '[')[] = []
    let expect: 'value' | 'first' | 'key' | 'next' = 'value'
    for (;;) {
      this.#skip(SPACE)
      const char = this.#text[this.#at]
      if (expect === 'next') {
        const top = open.at(-1)
        if (top === undefined) return this.#at
        if (char === (top === '{' ? '}' : ']')) {
          open.pop()
          this.#at += 1
        } else if (char === ',') {
          this.#at += 1
          expect = top === '{' ? 'key' : 'value'
        } else return this.#at
      } else {
        const next = this.#item(expect, open)
        if (next === undefined) return this.#at
        expect = next
      }
    }
  }

  /** One key or value; undefined leaves `#at` on the fault. */
  #item(expect: 'value' | 'first' | 'key', open: ('{' | '[')[]): 'value' | 'first' | 'key' | 'next' | undefined {
    const char = this.#text[this.#at]
    const top = open.at(-1)
    if (expect === 'first' && char === (top === '{' ? '}' : ']')) {
      open.pop()
      this.#at += 1
      return 'next'
    }
    if (expect === 'key' || (expect === 'first' && top === '{')) return this.#key()
    if (char === '{' || char === '[') {
      open.push(char)
      this.#at += 1
      return 'first'
    }
    if (char === '"') return this.#string() ? 'next' : undefined
    return this.#skip(SCALAR) > 0 ? 'next' : undefined
  }

  #key(): 'value' | undefined {
    if (this.#text[this.#at] !== '"' || !this.#string()) return undefined
    this.#skip(SPACE)
    if (this.#text[this.#at] !== ':') return undefined
    this.#at += 1
    return 'value'
  }

  #string(): boolean {
    this.#skip(STRING)
    if (this.#text[this.#at] !== '"') return false
    this.#at += 1
    return true
  }

  #skip(pattern: RegExp): number {
    pattern.lastIndex = this.#at
    const length = pattern.exec(this.#text)?.[0].length ?? 0
    this.#at += length
    return length
  }
}
