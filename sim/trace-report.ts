/**
 * `theoneeye report TRACE`: what a trace holds, read line by line, whatever its size; what is kept of it for the page is
 * bounded. Of very many iterations a sample is kept, evenly, and all that failed.
 */
import type { JsonObject } from '../engine/json.ts'
import type { IterationLine, TraceHeader } from '../engine/trace/trace.ts'
import { itemIdOf, parentOf } from './item-path.ts'
import { readTrace, type TraceEntry } from './read-trace.ts'

/** Most iterations that the page holds, and most lines of a simulation, of which the last are drawn. */
export const reportMax = { rows: 30_000, failed: 5_000, simLines: 1_500, textUnits: 300 } as const

/** How an iteration ended. `lost`: its commit was never confirmed in this trace. */
export type RowStatus = 'ok' | 'failed' | 'lost'

/** One iteration. `parent` is the iteration that pushed its item: what that one's `prefix` is. */
export type Row = {
  time: number
  lane: number
  iteration: number
  status: RowStatus
  item: string
  prefix: string
  parent: string
  /** Queues that it pushed to, and how it failed. */
  to: string
  error: string
}

/** One loop replica of one run. */
export type Lane = { name: string; iterations: number; failed: number; committed: number }

export type TraceSummary = {
  header: TraceHeader
  lanes: Lane[]
  /** In the order of the trace. */
  rows: Row[]
  iterations: number
  /** Of the iterations that did not fail, one in so many is among the rows. */
  oneIn: number
  failedLeft: number
  /** What a simulation wrote beside them: its last lines. */
  simLines: string[]
  truncated: boolean
}

/** `name` is for errors. Rejects with `USAGE` when it is no trace. */
export async function summarize(lines: AsyncIterable<string>, name: string): Promise<TraceSummary> {
  const { reader, truncated } = await readTrace(lines, name, header => new Summarizer(header))
  return { ...reader.end(), truncated }
}

class Summarizer {
  readonly #header: TraceHeader
  readonly #lanes = new Map<string, { index: number; lane: Lane }>()
  #rows: (Row & { number: number })[] = []
  /** By iteration, those that wait to be confirmed. */
  readonly #open = new Map<string, Row & { number: number }>()
  #iterations = 0
  #oneIn = 1
  #failed = 0
  #failedLeft = 0
  #simLines: string[] = []

  constructor(header: TraceHeader) {
    this.#header = header
  }

  read({ line, iteration, text }: TraceEntry): void {
    if (iteration !== undefined) this.#iteration(iteration)
    else if (line.kind === 'commit') this.#commit(line)
    else if (typeof line.ms === 'number') this.#simulated(text)
  }

  end(): Omit<TraceSummary, 'truncated'> {
    return {
      header: this.#header,
      lanes: [...this.#lanes.values()].map(({ lane }) => lane),
      rows: this.#rows.map(({ number: _, ...row }) => row),
      iterations: this.#iterations,
      oneIn: this.#oneIn,
      failedLeft: this.#failedLeft,
      simLines: this.#simLines.slice(-reportMax.simLines),
    }
  }

  #iteration(line: IterationLine): void {
    const { outcome } = line
    // a producer that had nothing is no iteration to anybody who counts
    if (outcome.as === 'none') return
    const { index, lane } = this.#laneOf(line)
    this.#iterations += 1
    lane.iterations += 1
    if (outcome.as === 'failed') lane.failed += 1
    const row = { ...rowOf(line, index), number: this.#iterations }
    if (!this.#isKept(row)) return
    this.#rows.push(row)
    this.#open.set(nameOf(line), row)
    if (this.#rows.length > reportMax.rows) this.#thin()
  }

  #isKept({ number, error }: Row & { number: number }): boolean {
    if (error === '') return number % this.#oneIn === 0
    this.#failed += 1
    if (this.#failed <= reportMax.failed) return true
    this.#failedLeft += 1
    return false
  }

  #thin(): void {
    this.#oneIn *= 2
    this.#rows = this.#rows.filter(({ number, error }) => error !== '' || number % this.#oneIn === 0)
    // what was confirmed long ago or is no longer kept need not be looked for
    const kept = new Set(this.#rows)
    for (const [name, row] of this.#open) if (!kept.has(row)) this.#open.delete(name)
  }

  #commit(line: JsonObject): void {
    this.#laneOf(line as unknown as IterationLine).lane.committed += 1
    const name = nameOf(line as unknown as IterationLine)
    const row = this.#open.get(name)
    if (row === undefined) return
    if (row.error === '') row.status = 'ok'
    this.#open.delete(name)
  }

  #simulated(text: string): void {
    this.#simLines.push(text)
    if (this.#simLines.length > 2 * reportMax.simLines) this.#simLines = this.#simLines.slice(-reportMax.simLines)
  }

  #laneOf({ run, loop, replica }: IterationLine): { index: number; lane: Lane } {
    const name = `${run} ${loop}:${replica}`
    const known = this.#lanes.get(name)
    if (known !== undefined) return known
    const lane = { index: this.#lanes.size, lane: { name, iterations: 0, failed: 0, committed: 0 } }
    this.#lanes.set(name, lane)
    return lane
  }
}

function rowOf(line: IterationLine, lane: number): Row {
  const { time, iteration, prefix, outcome, writes } = line
  const error = outcome.as === 'failed' ? short(`${outcome.node}: ${outcome.error.code} ${outcome.error.message}`) : ''
  return {
    time,
    lane,
    iteration,
    status: error === '' ? 'lost' : 'failed',
    item: itemIdOf(line),
    prefix,
    parent: parentOf(line) ?? '',
    to: short([...new Set(writes.pushes.map(({ queue }) => queue))].join(', ')),
    error,
  }
}

function nameOf({ instance, run, loop, replica, iteration, key }: IterationLine): string {
  return [instance, run, loop, replica, iteration, key].join('\n')
}

function short(text: string): string {
  return text.length <= reportMax.textUnits ? text : `${text.slice(0, reportMax.textUnits)}…`
}
