/**
 * Where the command line speaks. Results go to stdout, everything about them (progress, notes, errors) to stderr; with
 * `--json` stdout carries machine lines only. Only here is known whether a terminal listens and whether it has colours.
 *
 * O1 stdout is written in batches, in order; `close` returns when all of it is out. O2 the progress line is erased
 * before anything else is written to the terminal. O3 a reader that went away (EPIPE) is told by `whenClosed`, not thrown.
 */
import { EngineError, messageOf } from '../engine/errors.ts'
import type { Json } from '../engine/json.ts'
import type { Log } from '../engine/ports.ts'

export type OutputOptions = { format: 'text' | 'json'; debug: 'stacks' | 'plain' }

const batchBytesMax = 64 * 1024

export class Output {
  readonly format: 'text' | 'json'
  readonly interactive: boolean
  readonly #stacks: boolean
  readonly #colors: boolean
  /** What nodes and adapters have to say, on stderr. Debug messages only with `--debug`. */
  readonly log: Log = {
    write: (level, message, fields) => {
      if (level === 'debug' && !this.#stacks) return
      const detail = Object.keys(fields).length === 0 ? '' : ` ${this.dim(JSON.stringify(fields))}`
      this.note(`${level}: ${message}${detail}`)
    },
  }
  #batch: string[] = []
  #batchBytes = 0
  #progress = ''
  #gone = false
  /** Results were lost: stdout could not be written (a reader that went away is no failure). */
  failed = false
  #onGone: () => void = () => {}

  constructor(options: OutputOptions) {
    this.format = options.format
    this.#stacks = options.debug === 'stacks'
    this.interactive = process.stderr.isTTY === true
    this.#colors = this.interactive && process.stdout.isTTY === true && !process.env.NO_COLOR
    process.stdout.on('error', error => this.#lost(error))
    process.stderr.on('error', () => {})
  }

  /** A line for people; dropped with `--json`. */
  text(line = ''): void {
    if (this.format === 'text') this.#write(line)
  }

  /** A line for programs; dropped without `--json`. */
  json(value: unknown): void {
    if (this.format === 'json') this.#write(JSON.stringify(value))
  }

  /** One line on stderr, beside the results. */
  note(line: string): void {
    this.#flush()
    this.#erase()
    process.stderr.write(`${line}\n`)
    this.#draw()
  }

  /** What went wrong, where, and what to do; the stack only with `--debug`. */
  error(error: unknown): void {
    this.progress('')
    this.note(`${this.red('error:')} ${describeError(error)}`)
    if (this.#stacks && error instanceof Error) this.note(error.stack ?? '')
  }

  /** Replaces the progress line of a terminal; empty takes it away. Does nothing elsewhere. */
  progress(line: string): void {
    if (!this.interactive || line === this.#progress) return
    this.#erase()
    this.#progress = line
    this.#draw()
  }

  /** Columns aligned under their headings: the first to the left, numbers to the right. */
  table(headings: readonly string[], rows: readonly (readonly Json[])[]): void {
    const cells = [headings, ...rows.map(row => row.map(cell => String(cell ?? '')))]
    const widths = headings.map((_, i) => Math.max(...cells.map(row => (row[i] ?? '').length)))
    const numeric = headings.map((_, i) => rows.length > 0 && rows.every(row => typeof row[i] === 'number'))
    const lines = cells.map(row =>
      row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  '),
    )
    for (const [i, line] of lines.entries()) this.text(i === 0 ? this.bold(line.trimEnd()) : line.trimEnd())
  }

  bold(text: string): string {
    return this.#colors ? `\u001b[1m${text}\u001b[22m` : text
  }
  red(text: string): string {
    return this.#colors ? `\u001b[31m${text}\u001b[39m` : text
  }
  dim(text: string): string {
    return this.#colors ? `\u001b[2m${text}\u001b[22m` : text
  }

  /** Calls back once when nobody reads stdout any more. */
  whenClosed(callback: () => void): void {
    this.#onGone = callback
  }

  /** Resolves when everything is written. */
  async close(): Promise<void> {
    this.progress('')
    this.#flush()
    if (this.#gone) return
    await new Promise<void>(resolve => process.stdout.write('', () => resolve()))
  }

  #write(line: string): void {
    if (this.#gone) return
    if (this.#batch.length === 0) setImmediate(() => this.#flush())
    this.#batch.push(line)
    this.#batchBytes += line.length
    if (this.#batchBytes >= batchBytesMax) this.#flush()
  }

  #flush(): void {
    if (this.#batch.length === 0) return
    const text = `${this.#batch.join('\n')}\n`
    this.#batch = []
    this.#batchBytes = 0
    this.#erase()
    process.stdout.write(text)
    this.#draw()
  }

  #lost(error: unknown): void {
    if (this.#gone) return
    this.#gone = true
    this.#batch = []
    this.failed = (error as { code?: string }).code !== 'EPIPE'
    if (this.failed) this.note(`error: Cannot write to stdout: ${messageOf(error)}`)
    this.#onGone()
  }

  #erase(): void {
    if (this.#progress !== '') process.stderr.write('\r\u001b[K')
  }
  #draw(): void {
    if (this.#progress !== '') process.stderr.write(this.#progress.slice(0, (process.stderr.columns || 80) - 1))
  }
}

/** Anything that is no EngineError is a bug of ours, and says so. */
function describeError(error: unknown): string {
  if (error instanceof EngineError) return error.message
  return `This is a bug of theoneeye: ${messageOf(error)}; please report it with the output of the same command and --debug`
}
