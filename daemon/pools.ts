/**
 * Workers of a real host. A thread is one long task of a piscina of its own (its memory limit is its own, too); a process
 * is forked, with a pipe for its heartbeat. Nothing is decided here: when a worker is to end, the engine says, and how it
 * ended, the engine is told.
 *
 * Q1 `exited` comes once, after the last message. Q2 a process goes when this one goes, whatever way: its channel breaks,
 * and its heartbeat finds nobody who reads.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MessageChannel } from 'node:worker_threads'
import { messageOf } from '../engine/errors.ts'
import type { Log, LoopWorker, Pools, Redis, WorkerListener } from '../engine/ports.ts'
import type { ExitCause, LoopTask, WorkerHealth } from '../engine/run/pool-protocol.ts'
import type { OutgoingRules } from './outgoing-policy.ts'
import type { Beat } from './pool-heartbeat.ts'
import type { Down, Up, WorkerStart } from './pool-messages.ts'
import { RedisForWorker } from './redis-bridge.ts'
import { addBatch, type RedisMeter } from './redis-metered.ts'
import { newVitals, readVitals } from './vitals.ts'

export type PoolsOptions = {
  /** Undefined: the embedded one, which workers reach through this process. */
  redisUrl: string | undefined
  redis: Redis
  filesDir: string
  /** Where requests of nodes may go; default: anywhere. */
  outgoing?: OutgoingRules
  nodesDir: string | undefined
  log: Log
  /** Told of the calls that workers make to a real Redis. */
  meter?: RedisMeter
}

const isSource = import.meta.url.endsWith('.ts')
const built = new URL('./pool-worker.js', import.meta.url)
const entry = new URL(isSource ? built.href.replace(/js$/, 'ts') : built)
const loaders = isSource ? ['--import', 'tsx'] : []

/** How long the last words of a worker that is gone may take to arrive, in milliseconds. */
const lastWordsMs = 1_000
/** What is kept of what a process said on stderr, in characters. */
const stderrKept = 8_192

export class SystemPools implements Pools {
  readonly #options: PoolsOptions
  readonly #workers = new Set<LoopWorker & { readonly gone: Promise<void> }>()

  constructor(options: PoolsOptions) {
    this.#options = options
  }

  start(task: LoopTask, listener: WorkerListener): LoopWorker {
    const { redisUrl, filesDir, nodesDir, outgoing, redis, log, meter } = this.#options
    const start: WorkerStart = { task, redisUrl, filesDir, nodesDir, outgoing }
    const desk = { listener, redis, log, meter }
    const worker = task.pool === 'thread' ? new ThreadWorker(start, desk) : new ProcessWorker(start, desk)
    this.#workers.add(worker)
    void worker.gone.then(() => this.#workers.delete(worker))
    return worker
  }

  /** Whatever is left ends at once; resolves when it is gone. */
  async close(): Promise<void> {
    const left = [...this.#workers]
    for (const worker of left) worker.terminate('force')
    await Promise.all(left.map(worker => worker.gone))
  }
}

type Desk = { listener: WorkerListener; redis: Redis; log: Log; meter: RedisMeter | undefined }

/** What threads and processes have in common: who hears what, and that the end is told once. */
abstract class Hosted {
  readonly gone: Promise<void>
  readonly #desk: Desk
  readonly #redis: RedisForWorker
  #isGone: () => void = () => undefined

  constructor(desk: Desk) {
    this.#desk = desk
    this.#redis = new RedisForWorker(desk.redis, message => this.post({ to: 'redis', message }))
    this.gone = new Promise(resolve => {
      this.#isGone = resolve
    })
  }

  protected abstract post(message: Down): void

  send(message: (Down & { to: 'loop' })['message']): void {
    this.post({ to: 'loop', message })
  }

  protected hear(up: Up): void {
    if (up.from === 'loop') this.#desk.listener.message(up.message)
    else if (up.from === 'redis') this.#redis.hear(up.message)
    else if (up.from === 'meter') this.#desk.meter && addBatch(up.batch, this.#desk.meter)
    else this.#desk.log.write(up.level, up.message, up.fields)
  }

  protected log(message: string): void {
    this.#desk.log.write('info', message, {})
  }

  protected ended(cause: ExitCause): void {
    this.#redis.close()
    this.#desk.listener.exited(cause)
    this.#isGone()
  }
}

class ThreadWorker extends Hosted implements LoopWorker {
  readonly #ending = new AbortController()
  readonly #port: MessageChannel['port1']
  readonly #vitals = newVitals()
  #isOver = false

  constructor(start: WorkerStart, desk: Desk) {
    super(desk)
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    port1.on('message', (up: Up) => this.hear(up))
    const closed = new Promise<void>(resolve => port1.once('close', resolve))
    void this.#run(start, port2).then(async cause => {
      await soon(closed)
      port1.close()
      this.ended(cause)
    })
  }

  health(): WorkerHealth {
    return { ...readVitals(this.#vitals), silentMs: 0, rssBytes: null }
  }

  /** A thread can be asked in words only. */
  terminate(): void {
    this.#ending.abort()
  }

  protected post(message: Down): void {
    if (!this.#isOver) this.#port.postMessage(message)
  }

  async #run(start: WorkerStart, port: MessageChannel['port2']): Promise<ExitCause> {
    const { memoryMbMax } = start.task
    // most daemons have no threads, and all of them want to start quickly
    const { Piscina } = await import('piscina')
    const pool = new Piscina({
      filename: entry.href,
      minThreads: 0,
      maxThreads: 1,
      atomics: 'disabled',
      recordTiming: false,
      execArgv: loaders,
      ...(memoryMbMax === null ? {} : { resourceLimits: { maxOldGenerationSizeMb: memoryMbMax } }),
    })
    try {
      const { signal } = this.#ending
      await pool.run({ start, port, vitals: this.#vitals }, { signal, transferList: [port] })
      return { code: 0, signal: null, outOfMemory: false, message: null, rssBytes: null }
    } catch (error) {
      return causeOf(error)
    } finally {
      this.#isOver = true
      await pool.destroy().catch(() => undefined)
    }
  }
}

/** How a thread ended, from what piscina says of it. */
function causeOf(error: unknown): ExitCause {
  const { name, code: word } = (error ?? {}) as { name?: string; code?: string }
  const message = messageOf(error).split('\n', 1)[0] as string
  const none = { code: null, signal: null, outOfMemory: false, message, rssBytes: null }
  if (name === 'AbortError') return { ...none, signal: 'terminate', message: null }
  const exit = /exited with code: (\d+)/.exec(message)
  if (exit !== null) return { ...none, code: Number(exit[1]), message: null }
  return { ...none, code: 1, outOfMemory: word === 'ERR_WORKER_OUT_OF_MEMORY' }
}

class ProcessWorker extends Hosted implements LoopWorker {
  readonly #child: ChildProcess
  #beat: Beat | undefined
  #beatMs = performance.now()
  #stderr = ''

  constructor(start: WorkerStart, desk: Desk) {
    super(desk)
    const { memoryMbMax } = start.task
    const memory = memoryMbMax === null ? [] : [`--max-old-space-size=${memoryMbMax}`]
    this.#child = fork(fileURLToPath(entry), ['--pool-worker'], {
      serialization: 'advanced',
      execArgv: [...loaders, ...memory],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe'],
    })
    this.#child.on('message', up => this.hear(up as Up))
    this.#readStreams()
    this.#awaitEnd()
    this.#child.send(start, () => undefined)
  }

  health(): WorkerHealth {
    const silentMs = performance.now() - this.#beatMs
    const beat = this.#beat
    if (beat === undefined) {
      return { silentMs: 0, blockedMs: 0, overdueMs: 0, work: 'none', idleMs: 0, rssBytes: null }
    }
    return { ...beat, silentMs }
  }

  terminate(how: 'ask' | 'force'): void {
    this.#child.kill(how === 'ask' ? 'SIGTERM' : 'SIGKILL')
  }

  protected post(message: Down): void {
    if (this.#child.connected) this.#child.send(message, () => undefined)
  }

  #readStreams(): void {
    const [, stdout, stderr, , beats] = this.#child.stdio as (NodeJS.ReadableStream | null | undefined)[]
    // neither may ever be full, and neither belongs among our results
    eachLine(stdout, line => this.log(line))
    eachLine(stderr, line => {
      this.#stderr = `${this.#stderr}${line}\n`.slice(-stderrKept)
      this.log(line)
    })
    eachLine(beats, line => {
      this.#beat = JSON.parse(line) as Beat
      this.#beatMs = performance.now()
    })
  }

  #awaitEnd(): void {
    const silent = new Promise<void>(resolve => this.#child.once('close', () => resolve()))
    const end = async (code: number | null, signal: string | null, failure?: string): Promise<void> => {
      await soon(silent)
      const outOfMemory = /heap out of memory|Reached heap limit/.test(this.#stderr)
      const message = failure ?? (code === 0 ? null : lastError(this.#stderr))
      this.ended({ code, signal, outOfMemory, message, rssBytes: this.#beat?.rssBytes ?? null })
    }
    this.#child.once('exit', (code, signal) => void end(code, signal))
    this.#child.once('error', error => {
      // it never began: there is no exit to wait for
      if (this.#child.pid === undefined) void end(null, null, messageOf(error))
    })
  }
}

/** Settles with `done`, or after a while all the same. */
async function soon(done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>(resolve => {
    timer = setTimeout(resolve, lastWordsMs)
  })
  await Promise.race([done, late])
  clearTimeout(timer)
}

function eachLine(stream: NodeJS.ReadableStream | null | undefined, take: (line: string) => void): void {
  let rest = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = (lines.pop() ?? '').slice(-stderrKept)
    for (const line of lines) if (line !== '') take(line)
  })
  stream?.on('error', () => undefined)
}

/** What an uncaught error said, or the last line. */
function lastError(text: string): string | null {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  return lines.find(line => /^\w*Error\b/.test(line)) ?? lines.at(-1)?.trim() ?? null
}
