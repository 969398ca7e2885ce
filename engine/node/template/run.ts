/**
 * What one rendering holds: the scope it reads, the names it gave itself, and what it has used up. All budgets are
 * counts of work, never of time, so that a template stops at the same place on every machine and in every replay.
 * R1 nothing in the scope is ever written. R2 every loop, walk and new string is counted before it is paid for.
 */
import { type Json, utf8Bytes } from '../../json.ts'
import { limits } from '../../limits.ts'
import { overBudget } from './faults.ts'
import type { TemplateScope } from './scope.ts'

/** What an expression gives: JSON, or undefined when it is missing. */
export type Value = Json | undefined

/** Names set in one block. A name maps to a value, or to the fields of a namespace. */
export type Frame = {
  readonly values: Map<string, Value>
  readonly spaces: Map<string, Map<string, Value>>
  readonly up: Frame | undefined
}

export class Run {
  readonly scope: TemplateScope
  frame: Frame | undefined
  out = ''
  /** What the last captured block wrote, for the filters over it. */
  captured = ''
  /** How many loops are around. */
  loops = 0
  #steps = 0
  #outBytes = 0
  #units = 0

  constructor(scope: TemplateScope) {
    this.scope = scope
  }

  /** Pays for `steps` pieces of work. Throws `TEMPLATE_BUDGET`. */
  spend(steps: number): void {
    this.#steps += steps
    if (this.#steps > limits.templateStepsMax) throw overBudget('it takes steps', limits.templateStepsMax)
  }

  /** Asks whether a string of this many UTF-16 units may be made, before it is. Throws `TEMPLATE_BUDGET`. */
  room(units: number): void {
    this.fits(units)
    this.#units += units
    if (this.#units > limits.templateTextUnitsMax) throw overBudget('all texts have units', limits.templateTextUnitsMax)
  }

  /** Asks whether one string may be this long, in UTF-16 units. Throws `TEMPLATE_BUDGET`. */
  fits(units: number): void {
    if (units > limits.templateOutputBytesMax) throw overBudget('a text has bytes', limits.templateOutputBytesMax)
  }

  /** Counts a string that was made, and gives it back. */
  made(text: string): string {
    this.room(text.length)
    return text
  }

  write(text: string): void {
    this.#outBytes += utf8Bytes(text)
    if (this.#outBytes > limits.templateOutputBytesMax) {
      throw overBudget('its output has bytes', limits.templateOutputBytesMax)
    }
    this.out += text
  }

  /** What `body` writes, as a string of its own instead of output. */
  capture(body: () => void): string {
    const before = this.out
    this.out = ''
    body()
    const text = this.out
    this.out = before
    return text
  }

  push(): void {
    this.frame = { values: new Map(), spaces: new Map(), up: this.frame }
  }

  pop(): void {
    this.frame = this.frame?.up
  }

  set(name: string, value: Value): void {
    if (this.frame === undefined) this.push()
    this.frame?.values.set(name, value)
  }

  /** The innermost value of a name that was set; `otherwise` when none was. */
  lookup(name: string, otherwise: Value): Value {
    for (let frame = this.frame; frame !== undefined; frame = frame.up) {
      if (frame.values.has(name)) return frame.values.get(name)
    }
    return otherwise
  }

  setSpace(name: string, fields: Map<string, Value>): void {
    if (this.frame === undefined) this.push()
    this.frame?.spaces.set(name, fields)
  }

  space(name: string): Map<string, Value> | undefined {
    for (let frame = this.frame; frame !== undefined; frame = frame.up) {
      const fields = frame.spaces.get(name)
      if (fields !== undefined) return fields
    }
    return undefined
  }
}
