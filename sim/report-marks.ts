/**
 * Reads a trace for the timeline: what is drawn in which lane. A lane per process, per loop and per queue; time is
 * squeezed where nothing happens, or a minute of waiting would push everything else off the page.
 */
import type { JsonObject } from '../engine/json.ts'
import { type FaultKind, faultKinds } from './faults.ts'

export type Mark = {
  lane: string
  kind: 'in' | 'out' | 'operation' | 'life' | 'iteration' | 'fault' | 'failure'
  /** Milliseconds; `end` of what lasts. */
  ms: number
  end?: number
  title: string
  /** Of the item that moved. */
  key?: string
  /** Of a fault: what it hit, as plans name it. */
  at?: string
}
/** `done`, `failed`, or `cut` when it never came to its end. */
export type Bar = Mark & { end: number; how: 'done' | 'failed' | 'cut' }
export type Timeline = {
  lanes: string[]
  marks: Mark[]
  bars: Bar[]
  from: number
  to: number
  isWhole: boolean
  /** How many items are in each lane in the end. */
  left: ReadonlyMap<string, number>
}

/** More would be no picture; the end is where it went wrong. */
const linesMax = 1_500

export function readTimeline(lines: readonly string[]): Timeline {
  const reader = new Reader()
  const recent = lines.slice(-linesMax).map(line => JSON.parse(line) as JsonObject)
  for (const line of recent) reader.read(line)
  const from = Number(recent[0]?.ms ?? 0)
  const to = Number(recent.at(-1)?.ms ?? 0)
  const order = ['daemon', 'loop', 'queue', 'taken', 'dead letters']
  const rank = (lane: string): number => order.findIndex(kind => lane.startsWith(kind))
  const lanes = [...reader.lanes].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
  const isWhole = recent.length === lines.length
  return { lanes, marks: reader.marks, bars: reader.bars(to), from, to, isWhole, left: reader.left }
}

type Open = { lane: string; kind: 'life' | 'iteration'; ms: number; title: string }

class Reader {
  readonly lanes = new Set<string>()
  readonly marks: Mark[] = []
  readonly left = new Map<string, number>()
  readonly #bars: Bar[] = []
  readonly #open = new Map<string, Open>()

  read(line: JsonObject): void {
    const ms = Number(line.ms)
    if (typeof line.failure === 'string')
      this.#mark({ lane: '', kind: 'failure', ms, title: `${line.failure} does not hold` })
    else if (typeof line.fault === 'string') this.#fault(line, ms)
    else if (typeof line.daemon === 'string') this.#daemon(line, ms)
    else if (typeof line.op === 'string') this.#operation(line, ms)
    else if (line.event !== undefined) this.#event(line.event as JsonObject, { ms, daemon: line.daemon as number })
  }

  /** What is still open at the end was cut off there. */
  bars(to: number): Bar[] {
    for (const key of [...this.#open.keys()]) this.#close(key, to, 'cut')
    return this.#bars
  }

  #mark(mark: Mark): void {
    if (mark.lane !== '') this.lanes.add(mark.lane)
    this.marks.push(mark)
  }

  #fault({ fault, op, loop, n }: JsonObject, ms: number): void {
    const where = `${op}${loop === '' ? '' : ` of "${loop}"`} no. ${n}`
    const title = `${fault} at ${where}: ${faultKinds[fault as FaultKind] ?? ''}`
    this.#mark({ lane: '', kind: 'fault', ms, title, at: `${fault} ${op} ${loop} ${n}` })
  }

  #daemon({ daemon, number, life, boot, code = null }: JsonObject, ms: number): void {
    const lane = `daemon ${number}`
    if (daemon === 'wakes up') this.#mark({ lane, kind: 'operation', ms, title: 'wakes up from a pause' })
    else if (daemon === 'starts') {
      // a crash writes no line of its own: the next life tells that the last one is over
      this.#closeAll(`${number} `, ms)
      this.#close(lane, ms, 'cut')
      this.#begin(lane, { lane, kind: 'life', ms, title: `life ${life} on ${boot}` })
    } else this.#close(lane, ms, code === null ? 'done' : 'failed')
  }

  #operation({ op, loop, n, answer, moves }: JsonObject, ms: number): void {
    const title = `${op} no. ${n}: ${String(answer).replaceAll('\n', ' ').slice(0, 60)}`
    // who waits for the lease of a replica waits at LOOP:N
    const of = op === 'wait' ? String(loop).replace(/:\d+$/, '') : loop
    if (typeof of === 'string' && of !== '') this.#mark({ lane: `loop ${of}`, kind: 'operation', ms, title })
    for (const [kind, key, value] of (moves ?? []) as [string, string, string][]) {
      const lane = laneOf(key)
      if (lane === undefined) continue
      const [comes, by] = [kind === 'in', `by ${op}${loop === '' ? '' : ` of "${loop}"`}`]
      this.left.set(lane, (this.left.get(lane) ?? 0) + (comes ? 1 : -1))
      const title = `${comes ? 'an item comes in' : 'an item leaves'} ${by}: ${value.slice(0, 160)}`
      this.#mark({ lane, kind: comes ? 'in' : 'out', ms, title, key: value.split('|')[1] ?? '' })
    }
  }

  #event(event: JsonObject, { ms, daemon }: { ms: number; daemon: number }): void {
    const { type, loop, iteration } = event
    const lane = `loop ${loop}`
    const key = `${daemon} ${loop} ${iteration} ${event.replica ?? 0}`
    if (type === 'iteration_started') this.#begin(key, { lane, kind: 'iteration', ms, title: `iteration ${iteration}` })
    if (type === 'iteration_completed') this.#close(key, ms, 'done')
    if (type === 'iteration_failed' || type === 'iteration_abandoned') this.#close(key, ms, 'failed')
    if (type === 'loop_completed') this.#mark({ lane, kind: 'operation', ms, title: 'the loop is complete' })
  }

  #begin(key: string, open: Open): void {
    this.#close(key, open.ms, 'cut')
    this.lanes.add(open.lane)
    this.#open.set(key, open)
  }

  #closeAll(prefix: string, ms: number): void {
    for (const key of [...this.#open.keys()]) if (key.startsWith(prefix)) this.#close(key, ms, 'cut')
  }

  #close(key: string, end: number, how: Bar['how']): void {
    const open = this.#open.get(key)
    if (open === undefined) return
    this.#open.delete(key)
    this.#bars.push({ ...open, end, how })
  }
}

/** Claims count as places of items too: what a crash leaves behind is there. */
function laneOf(key: string): string | undefined {
  if (key === 'dl') return 'dead letters'
  if (key.startsWith('q:')) return `queue ${key.slice(2)}`
  return key.startsWith('c:') ? `taken by ${key.slice(2).replace(/:0$/, '')}` : undefined
}
