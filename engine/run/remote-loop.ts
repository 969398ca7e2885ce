/**
 * One replica being served by a worker, from the supervisor's side: hands it the lease, passes orders on, watches it from
 * outside, and ends it when it can't be asked any more: a message, then a request, then force.
 *
 * W1 `end` settles only when the worker is gone: whoever serves the replica next never meets it. W2 a worker that ended
 * without saying how has died, and is to blame unless it was made to. W3 nothing it says counts before its version fits.
 */
import { EngineError, type ErrorCode, type ErrorRecord, toErrorRecord } from '../errors.ts'
import { limits } from '../limits.ts'
import type { LoopWorker, Pools } from '../ports.ts'
import { toSource } from '../trace/trace.ts'
import type { LoopOrders } from './loop-control.ts'
import {
  describeExit,
  type ExitCause,
  type FromWorker,
  type LoopTask,
  poolProtocol,
  type ServeEnd,
  type ToWorker,
} from './pool-protocol.ts'
import type { Served, ServedLoop, ServeOptions } from './served-loop.ts'
import { judge, type Verdict } from './watchdog.ts'

export type RemoteOptions = ServeOptions & { pools: Pools; pool: LoopTask['pool'] }

export class RemoteLoop implements ServedLoop, LoopOrders {
  readonly end: Promise<Served>
  readonly #options: RemoteOptions
  readonly #worker: LoopWorker
  readonly #gone = new AbortController()
  #settle: (served: Served) => void = () => undefined
  #leave: () => void = () => undefined
  #state: 'starting' | 'serving' | 'refused' | 'gone' = 'starting'
  #said: ServeEnd | undefined
  /** Why it was made to end. */
  #verdict: Verdict | undefined
  #isAborted = false
  #isPaused = false
  readonly #startedMs: number
  /** Since when it may make progress. */
  #sinceMs: number

  constructor(options: RemoteOptions) {
    this.#options = options
    this.#startedMs = options.ports.clock.monotonic()
    this.#sinceMs = this.#startedMs
    this.end = new Promise(resolve => {
      this.#settle = resolve
    })
    this.#worker = options.pools.start(taskOf(options), {
      message: message => this.#hear(message),
      exited: cause => this.#exited(cause),
    })
    this.#leave = options.control.lead(this)
  }

  // --- orders

  pause(): void {
    this.#isPaused = true
    this.#send({ kind: 'pause' })
  }
  resume(): void {
    this.#isPaused = false
    this.#sinceMs = this.#now()
    this.#send({ kind: 'resume' })
  }
  drain(): void {
    this.#send({ kind: 'drain' })
  }
  abort(reason: unknown): void {
    this.#isAborted = true
    this.#send({ kind: 'abort', reason: toErrorRecord(reason) })
    void this.#endLater()
  }
  fence(): void {
    this.#send({ kind: 'fence' })
  }
  kill(): void {
    this.#isAborted = true
    this.#worker.terminate('force')
  }

  check(): void {
    if (this.#verdict !== undefined || this.#said !== undefined) return
    const verdict = this.#look()
    if (verdict === undefined) return
    this.#verdict = verdict
    // it does not listen, so it is not asked in words
    void this.#terminate()
  }

  // --- the worker

  #hear(message: FromWorker): void {
    if (this.#state === 'starting') this.#greet(message)
    else if (this.#state === 'serving' && message.kind === 'end') {
      this.#said = message.end
      void this.#endLater()
    } else if (this.#state === 'serving') this.#tell(message)
  }

  #greet(message: FromWorker): void {
    if (message.kind === 'hello' && message.protocol === poolProtocol) {
      this.#state = 'serving'
      return
    }
    const version = message.kind === 'hello' ? `version ${message.protocol}` : 'none'
    const why = `Cannot run loop "${this.#options.loop.id}" in a worker: it speaks ${version} of the protocol, this daemon version ${poolProtocol}`
    const error = new EngineError('WORKER_REFUSED', `${why}; restart the daemon, so that both are of one package`)
    this.#state = 'refused'
    this.#said = { result: 'lost', error: toErrorRecord(error) }
    void this.#terminate()
  }

  #tell(message: FromWorker): void {
    const { emit, record, onActivity, onRetry } = this.#options
    if (message.kind === 'batch') {
      for (const event of message.events) emit(event)
      for (const line of message.lines) record?.(line)
    } else if (message.kind === 'activity') onActivity(message.activity)
    else if (message.kind === 'waits') onRetry(asError(message))
  }

  #exited(cause: ExitCause): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#gone.abort()
    this.#leave()
    this.#settle(this.#outcome(cause))
  }

  #outcome(cause: ExitCause): Served {
    const said = this.#said
    if (said !== undefined && said.result !== 'lost') return said
    if (said !== undefined) return { result: 'lost', error: asError(said.error), blame: 'blame' }
    if (this.#isAborted) return { result: 'lost', error: this.#died(cause), blame: 'spare', cause }
    const blame = this.#verdict?.blame ?? 'blame'
    const known = { ...cause, outOfMemory: cause.outOfMemory || this.#verdict?.outOfMemory === true }
    return { result: 'lost', error: this.#died(known), blame, cause: known }
  }

  #died(cause: ExitCause): EngineError {
    const why = this.#verdict === undefined ? '' : `, ended because ${this.#verdict.why}`
    return new EngineError('WORKER_DIED', `its ${this.#options.pool} died: ${describeExit(cause)}${why}`)
  }

  // --- watching, ending

  #look(): Verdict | undefined {
    if (this.#state === 'starting') {
      const late = this.#now() - this.#startedMs > limits.workerStartMs
      return late ? { why: `it did not begin within ${limits.workerStartMs / 1000} s`, blame: 'spare' } : undefined
    }
    const nowMs = this.#now()
    if (this.#isPaused) this.#sinceMs = nowMs
    const health = this.#worker.health()
    const memoryMb = this.#options.graph.workflow.settings.loops[this.#options.loop.id]?.memory_mb ?? 0
    const rssBytesMax = memoryMb === 0 ? 0 : (memoryMb + limits.processMemoryMb) * 1024 * 1024
    const idleMs = Math.min(health.idleMs, nowMs - this.#sinceMs)
    return judge({ ...health, idleMs }, { rssBytesMax, idleMsMax: limits.idleMsMax })
  }

  /** It was told to end and gets some time for that. */
  async #endLater(): Promise<void> {
    await this.#pass(limits.workerGraceMs)
    await this.#terminate()
  }

  async #terminate(): Promise<void> {
    if (this.#state === 'gone') return
    this.#worker.terminate('ask')
    await this.#pass(limits.workerGraceMs)
    if (!this.#gone.signal.aborted) this.#worker.terminate('force')
  }

  /** Waits, unless the worker is gone before. */
  async #pass(ms: number): Promise<void> {
    await this.#options.ports.clock.sleep(ms, this.#gone.signal).catch(() => undefined)
  }

  #send(message: ToWorker): void {
    if (this.#state !== 'gone') this.#worker.send(message)
  }

  #now(): number {
    return this.#options.ports.clock.monotonic()
  }
}

/** What crossed as data, as an error again. */
function asError({ code, message }: Pick<ErrorRecord, 'code' | 'message'>): EngineError {
  return new EngineError(code as ErrorCode, message)
}

function taskOf({ graph, loop, replica, run, lease, lastDeath, record, pool }: RemoteOptions): LoopTask {
  const { id, settings } = graph.workflow
  return {
    protocol: poolProtocol,
    pool,
    workflow: { name: id, source: toSource(graph.workflow), hash: graph.hash },
    run,
    loop: loop.id,
    replica,
    lease: { holder: lease.holder, seq: lease.seq, iterations: lease.iterations },
    lastDeath,
    memoryMbMax: settings.loops[loop.id]?.memory_mb ?? null,
    records: record !== undefined,
  }
}
