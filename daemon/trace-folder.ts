/**
 * The traces of a daemon: a file for each definition that runs, another when it has grown, so many kept. Nothing waits for
 * the disk: what it cannot take is left out, whole iterations at a time, and a line says how many. Nor may recording take
 * more than a tenth of the time: of loops that do little else than turn, only some chapters are recorded.
 *
 * D1 a file begins with a header, and holds of each holder of a loop all or what comes before a gap: what is recorded
 * goes to the file in which its chapter began. D2 a disk that fails costs traces, never a loop.
 */
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { limits } from '../engine/limits.ts'
import type { Clock, Ports, Random } from '../engine/ports.ts'
import { type GapLine, openTrace, type TraceLine, type TraceSink } from '../engine/trace/trace.ts'
import type { DaemonConfig } from './config.ts'
import { version } from './version.ts'

export type TraceFolderOptions = {
  dir: string
  /** A file is ended when it has so many bytes. */
  bytesMax: number
  /** And when it is so old. */
  ageMsMax: number
  /** Files of a workflow; the oldest go. */
  keep: number
  /** Keys whose values are left out wherever they stand: `email`, or `customer.email`. */
  redact: readonly string[]
  clock: Clock
  random: Random
  /** What is written waits in memory, at most so many bytes of it; default 32 MiB. */
  waitingMax?: number
  onTrouble(message: string): void
}

const hoursDefault = 24
const waitingDefault = 32 * 1024 * 1024
/** Milliseconds of recording that may be saved up, and the share of the time that it may take. */
const budgetMs = 500
const budgetShare = 0.1
/** Writing a line is a part of what recording costs: the rest is noting what it holds, and the disk. Measured. */
const wholeCost = 4
/** Chapters whose file is remembered; far more than are being written at a time. */
const placesMax = 10_000
/** After a disk has failed it is tried again. */
const againMs = 60_000

/** Undefined when traces are not wanted. Throws `USAGE` when the folder can't be made. */
export function openTraceFolder(
  { dir, max_mb, max_hours = hoursDefault, keep, redact }: DaemonConfig['trace'],
  { clock, random, log }: Pick<Ports, 'clock' | 'random' | 'log'>,
): TraceFolder | undefined {
  const onTrouble = (message: string): void => log.write('warn', message, {})
  const [bytesMax, ageMsMax] = [max_mb * 1024 * 1024, max_hours * 3_600_000]
  const options = { bytesMax, ageMsMax, keep, redact, clock, random, onTrouble }
  return dir === undefined ? undefined : new TraceFolder({ dir, ...options })
}

export class TraceFolder {
  readonly #options: TraceFolderOptions
  readonly #budget: Budget
  /** By workflow and definition. */
  readonly #traces = new Map<string, DefinitionTrace>()

  /** Throws `USAGE` when there can be no such folder. */
  constructor(options: TraceFolderOptions) {
    this.#options = options
    this.#budget = new Budget(options.clock)
    try {
      mkdirSync(options.dir, { recursive: true })
    } catch (error) {
      throw new EngineError('USAGE', `Cannot keep traces in "${options.dir}": ${messageOf(error)}; set "trace.dir"`)
    }
  }

  readonly recordOf = (graph: FlowGraph): TraceSink => {
    const name = `${graph.workflow.id}\n${graph.hash}`
    const trace = this.#traces.get(name) ?? new DefinitionTrace(graph, this.#options)
    this.#traces.set(name, trace)
    const write = (line: TraceLine): void => this.#budget.spend(() => trace.write(line))
    return Object.assign(write, { wants: () => this.#budget.isLeft })
  }

  /** Resolves when everything is on its way to the disk, or given up. */
  async close(): Promise<void> {
    await Promise.all([...this.#traces.values()].map(trace => trace.close()))
  }
}

/** What recording may cost: a share of the time that passes, saved up for a while. */
class Budget {
  readonly #clock: Clock
  #leftMs: number = budgetMs
  #sinceMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sinceMs = clock.monotonic()
  }

  get isLeft(): boolean {
    const nowMs = this.#clock.monotonic()
    this.#leftMs = Math.min(budgetMs, this.#leftMs + (nowMs - this.#sinceMs) * budgetShare)
    this.#sinceMs = nowMs
    return this.#leftMs > 0
  }

  spend(work: () => void): void {
    const beganMs = this.#clock.monotonic()
    work()
    this.#leftMs -= (this.#clock.monotonic() - beganMs) * wholeCost
  }
}

class DefinitionTrace {
  readonly #graph: FlowGraph
  readonly #options: TraceFolderOptions
  #current: TraceFile | undefined
  /** By holder: where its chapter began. */
  readonly #places = new Map<string, TraceFile>()
  #old: { file: TraceFile; endMs: number }[] = []
  /** By holder: iterations left out since its last line. */
  readonly #missing = new Map<string, number>()
  #failedMs = Number.NEGATIVE_INFINITY
  #pruned = Promise.resolve()

  constructor(graph: FlowGraph, options: TraceFolderOptions) {
    this.#graph = graph
    this.#options = options
  }

  write(line: TraceLine): void {
    const nowMs = this.#options.clock.monotonic()
    this.#closeOld(nowMs)
    const file = this.#placeOf(line.instance, nowMs)
    if (line.kind === 'gap') {
      file?.gap(line)
      return
    }
    if (file === undefined || file.isFull) {
      if (line.kind === 'iteration') this.#missing.set(line.instance, (this.#missing.get(line.instance) ?? 0) + 1)
      return
    }
    this.#tellGap(file, line)
    file.record(line)
    if (file === this.#current && this.#isOver(file, nowMs)) this.#turn(nowMs)
  }

  async close(): Promise<void> {
    const files = [...this.#old.map(({ file }) => file), ...(this.#current === undefined ? [] : [this.#current])]
    for (const [instance, iterations] of this.#missing) {
      this.#places.get(instance)?.gap({ kind: 'gap', time: this.#options.clock.now(), instance, iterations })
    }
    await Promise.all([this.#pruned, ...files.map(file => file.close())])
  }

  #placeOf(instance: string, nowMs: number): TraceFile | undefined {
    const known = this.#places.get(instance)
    if (known !== undefined && !known.hasFailed) return known
    const file = this.#fileNow(nowMs)
    if (file === undefined) return undefined
    this.#places.set(instance, file)
    // chapters end without a word
    const [oldest = ''] = this.#places.size > placesMax ? this.#places.keys() : []
    this.#places.delete(oldest)
    return file
  }

  #fileNow(nowMs: number): TraceFile | undefined {
    if (this.#current?.hasFailed === true) {
      this.#current = undefined
      this.#failedMs = nowMs
    }
    if (this.#current === undefined && nowMs - this.#failedMs >= againMs) {
      this.#current = new TraceFile(this.#graph, this.#options)
      this.#pruned = this.#pruned.then(() => prune(this.#graph.workflow.id, this.#options))
    }
    return this.#current
  }

  #isOver({ bytes, beganMs }: TraceFile, nowMs: number): boolean {
    const { bytesMax, ageMsMax } = this.#options
    return bytes > bytesMax || nowMs - beganMs > ageMsMax
  }

  /** What began before goes on to the old file, until its chapter must be over. */
  #turn(nowMs: number): void {
    this.#old.push({ file: this.#current as TraceFile, endMs: nowMs + 2 * limits.chapterMs })
    this.#current = undefined
  }

  #closeOld(nowMs: number): void {
    if ((this.#old[0]?.endMs ?? Number.POSITIVE_INFINITY) > nowMs) return
    const ended = this.#old.filter(({ endMs }) => endMs <= nowMs)
    this.#old = this.#old.filter(({ endMs }) => endMs > nowMs)
    for (const { file } of ended) {
      for (const [instance, place] of this.#places) if (place === file) this.#places.delete(instance)
      void file.close()
    }
  }

  #tellGap(file: TraceFile, { instance, time }: TraceLine): void {
    const iterations = this.#missing.get(instance)
    if (iterations === undefined) return
    this.#missing.delete(instance)
    file.gap({ kind: 'gap', time, instance, iterations })
  }
}

/** Lines on their way to one file. */
class TraceFile {
  readonly #stream: WriteStream
  readonly #sink: TraceSink
  readonly #waitingMax: number
  readonly #path: string
  #batch: string[] = []
  #batched = 0
  /** By the monotonic clock. */
  readonly beganMs: number
  bytes = 0
  hasFailed = false

  constructor(graph: FlowGraph, { dir, redact, clock, random, waitingMax, onTrouble }: TraceFolderOptions) {
    this.beganMs = clock.monotonic()
    this.#path = join(dir, fileNameOf(graph, clock.now(), random.nonce('trace')))
    this.#waitingMax = waitingMax ?? waitingDefault
    this.#stream = createWriteStream(this.#path, { flags: 'wx' })
    this.#stream.on('error', error => {
      if (!this.hasFailed) onTrouble(`the trace "${this.#path}" ends here: ${messageOf(error)}`)
      this.hasFailed = true
      this.#batch = []
    })
    this.#sink = openTrace(graph, { engine: version, source: 'recorded', redact }, text => this.#put(text))
  }

  /** So much waits for the disk that nothing more is to be written now. */
  get isFull(): boolean {
    return this.#batched + this.#stream.writableLength > this.#waitingMax
  }

  record(line: TraceLine): void {
    this.#sink(line)
  }

  gap(line: GapLine): void {
    this.#put(JSON.stringify(line))
  }

  async close(): Promise<void> {
    this.#flush()
    if (this.hasFailed) return
    await new Promise<void>(resolve => {
      this.#stream.once('error', () => resolve())
      this.#stream.end(() => resolve())
    })
  }

  #put(text: string): void {
    if (this.hasFailed) return
    if (this.#batch.length === 0) setImmediate(() => this.#flush())
    this.#batch.push(text)
    this.#batched += text.length + 1
    this.bytes += text.length + 1
  }

  #flush(): void {
    if (this.#batch.length > 0 && !this.hasFailed) this.#stream.write(`${this.#batch.join('\n')}\n`)
    this.#batch = []
    this.#batched = 0
  }
}

/** `orders.20261127T001503123Z.1f3a9c20.k3Jd.jsonl`: by name, the files of a workflow are in the order of time. */
function fileNameOf({ workflow, hash }: FlowGraph, nowMs: number, nonce: string): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '')
  return `${plainName(workflow.id)}.${time}.${hash.slice(0, 8)}.${nonce.replaceAll(/\W/g, '').slice(0, 4)}.jsonl`
}

function plainName(id: string): string {
  return id.replaceAll(/[^\p{L}\p{N}_-]+/gu, '_').slice(0, 100)
}

async function prune(id: string, { dir, keep, onTrouble }: TraceFolderOptions): Promise<void> {
  const own = (name: string): boolean =>
    name.startsWith(`${plainName(id)}.`) && /^[^.]+\.\d{8}T\d{9}Z\.\w+\.\w+\.jsonl$/.test(name)
  try {
    const names = (await readdir(dir)).filter(own).sort()
    // the one that has just begun may not be there yet
    for (const name of names.slice(0, Math.max(0, names.length - keep))) await rm(join(dir, name), { force: true })
  } catch (error) {
    // without a folder there is nothing to remove, and writing says so
    if (codeOf(error) !== 'ENOENT') onTrouble(`old traces in "${dir}" cannot be removed: ${messageOf(error)}`)
  }
}
