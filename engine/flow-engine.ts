/**
 * A workflow of type `production`, running: the face that command line, daemon and simulator use. Begins or resumes its
 * run, supervises its loops, stops them; everything it knows across crashes is in Redis.
 */
import { assert, EngineError, type ErrorRecord, toErrorRecord } from './errors.ts'
import type { FlowGraph, FlowLoop } from './graph/flow-graph.ts'
import type { NodeOutput, Pool } from './node/node.ts'
import type { Pools, Ports } from './ports.ts'
import { putInPlace } from './run/reload.ts'
import type { SuperviseResult } from './run/replica-keeper.ts'
import { Supervisor } from './run/supervisor.ts'
import {
  type BeginMode,
  beginRun,
  type NotWished,
  type RunSummary,
  readSummary,
  type StartedRun,
  type StartMode,
} from './store/run-store.ts'
import { setWish, type Told, type Wish } from './store/wishes.ts'
import type { EngineEvent, EventSink } from './trace/events.ts'
import { type LoopState, StateTracker } from './trace/state-tracker.ts'
import type { RecordOf } from './trace/trace.ts'

export type Status = 'idle' | 'running' | 'paused' | 'draining' | 'completed' | 'failed' | 'stopped'
export type RunEnd = { status: 'completed' | 'stopped' | 'failed'; error?: ErrorRecord }
export type Started = { run: string; resumed: boolean; orphanedQueues: string[] }
/**
 * `served`: this process runs the loop; another may. `trouble`: why it crashed or got nowhere, until it has processed
 * something again; `failed` is a loop that crashed too often and waits for `resume`.
 */
export type LoopStatus = { id: string; status: Status; pool: Pool; served: boolean; trouble?: string } & LoopState
export type EngineStatus = {
  status: Status
  run: string | undefined
  loops: LoopStatus[]
  /** Monotonic milliseconds since when nothing was to do here; undefined while something is. */
  idleSinceMs: number | undefined
  /** Milliseconds since the leases that are held here were renewed; 0 when none is. */
  unrenewedMs: number
  leaseMs: number
}

export type EngineOptions = {
  graph: FlowGraph
  ports: Ports
  /** Workers for loops whose pool is `thread` or `process`; without any, all loops run in this thread. */
  pools?: Pools | undefined
  /** Where all loops run, whatever the workflow says. */
  pool?: Pool | undefined
  onEvent?: EventSink
  /** See `openTrace`; recording nothing costs nothing. */
  recordOf?: RecordOf | undefined
}

export class FlowEngine {
  readonly #options: EngineOptions
  #graph: FlowGraph
  readonly #ports: Ports
  readonly #onEvent: EventSink
  readonly #ended: (end: RunEnd) => void
  /** Settles (never rejects) when every loop has completed, or the engine was stopped, killed or failed. */
  readonly done: Promise<RunEnd>
  readonly #tracker = new StateTracker()
  #status: Status = 'idle'
  #run: StartedRun | undefined
  #supervisor: Supervisor | undefined
  #defining: Promise<unknown> = Promise.resolve()
  #drainTimer: AbortController | undefined
  #isStarting = false
  /** It was stopped or killed: nothing begins any more. */
  #isUnwanted = false
  /** How it starts again when Redis has lost its run. */
  #again: BeginMode = 'resume'

  constructor(options: EngineOptions) {
    this.#options = options
    this.#graph = options.graph
    this.#ports = options.ports
    this.#onEvent = options.onEvent ?? (() => undefined)
    let ended: (end: RunEnd) => void = () => undefined
    this.done = new Promise(resolve => {
      ended = resolve
    })
    this.#ended = ended
  }

  /**
   * Starts, resuming the unfinished run if there is one; `fresh` discards its state and queues, `adopt` resumes it with a
   * changed definition. Errors: WORKFLOW_CHANGED, WORKFLOW_RUNNING, SCHEMA_TOO_NEW, NOT_SUPPORTED, REDIS_….
   */
  async start(options: { mode?: StartMode } = {}): Promise<Started> {
    return await this.#starting(async () => {
      const run = await this.#first(options.mode ?? 'resume')
      // starting is a wish too: it replaces an older one to pause or stop
      await setWish(this.#ports.redis, { workflow: this.#graph.workflow.id, loop: '' }, '')
      return this.#go(run as StartedRun)
    })
  }

  /**
   * Starts as a daemon does on its own: what is unfinished, what never ran, and what somebody asked for; `idle` tells why
   * it did not start, and the engine is done then. Wishes stay as they are. Errors: as `start`.
   */
  async startIfWished(): Promise<Started | NotWished> {
    this.#again = 'wished'
    return await this.#starting(async () => {
      const run = await this.#first('wished')
      if (run.how !== 'idle') return this.#go(run)
      this.#rest(run)
      return run
    })
  }

  /** No new claims; running iterations get `drainMs` (default: the workflow's setting), then their signals abort. */
  async stop(options: { drainMs?: number } = {}): Promise<void> {
    this.#isUnwanted = true
    // one that is starting ends as soon as it has: what it asked of Redis is not left open
    if (this.#status === 'idle' && !this.#isStarting) this.#finish({ status: 'stopped' })
    const drains = this.#status === 'draining'
    if (this.#status === 'running' || (drains && options.drainMs !== undefined)) this.#drain(options.drainMs)
    await this.done
  }

  /** Does not wait for anything: leases and claims stay as they are and are recovered at the next start. */
  async kill(): Promise<void> {
    this.#isUnwanted = true
    this.#supervisor?.kill(new EngineError('ITERATION_ABORTED', 'The engine was killed'))
    this.#finish({ status: 'stopped' })
  }

  /** Does what is wished for in Redis, as `attend` tells it. */
  obey({ wish, loops, status }: Told): void {
    this.#supervisor?.obey(wish, loop => loops.get(loop) ?? '')
    if (status === 'completed') this.#supervisor?.look()
  }

  /**
   * Puts another definition in the place of this one, in the middle of the run: unchanged loops go on untouched, changed
   * ones drain and swap, removed ones drain and stop, added ones start; state stays for nodes of unchanged id and type.
   * Errors: QUEUE_ORPHANED, RELOAD_FAILED, SCHEMA_TOO_NEW, REDIS_…; then the old definition goes on.
   */
  reload(graph: FlowGraph): Promise<'reloaded' | 'adopted'> {
    return this.#alone(() => this.#reload(graph))
  }

  async #reload(graph: FlowGraph): Promise<'reloaded' | 'adopted'> {
    const stopped = new AbortController()
    void this.done.then(() => stopped.abort())
    const how = await putInPlace(graph, {
      ports: this.#ports,
      before: this.#graph,
      letGo: loops => this.#supervisor?.letGo(loops),
      stopped: stopped.signal,
    })
    this.#graph = graph
    this.#supervisor?.adopt(graph)
    return how
  }

  /** Pauses a loop, or the workflow: the running iteration ends, the next does not begin. Kept in Redis. */
  async pause(loop = ''): Promise<void> {
    await this.#wish(loop, 'pause')
  }

  /** Also starts a loop again that was given up after too many crashes. */
  async resume(loop = ''): Promise<void> {
    await this.#wish(loop, '')
  }

  /** It was started and has not ended. */
  get isAtWork(): boolean {
    return this.#status === 'running' || this.#status === 'draining'
  }

  status(): EngineStatus {
    const supervisor = this.#supervisor
    const loops = this.#graph.loops.map(loop => this.#loopStatus(loop))
    const allPaused = this.#status === 'running' && loops.every(loop => loop.status === 'paused')
    const status = allPaused ? 'paused' : this.#status
    const leaseMs = this.#graph.workflow.settings.lease_seconds * 1000
    const unrenewedMs = supervisor?.unrenewedMs() ?? 0
    return { status, run: this.#run?.run, loops, idleSinceMs: supervisor?.idleSince(), unrenewedMs, leaseMs }
  }

  #loopStatus({ id, pool }: FlowLoop): LoopStatus {
    const supervisor = this.#supervisor
    const trouble = supervisor?.trouble(id)
    const paused = supervisor?.isPaused(id) === true ? 'paused' : 'running'
    const own = trouble?.failed === true ? 'failed' : paused
    return {
      id,
      status: this.#status === 'running' ? own : this.#status,
      pool: this.#options.pools === undefined ? 'async' : (this.#options.pool ?? pool),
      served: supervisor?.isServed(id) === true,
      ...(trouble === undefined ? {} : { trouble: trouble.why }),
      ...this.#tracker.loop(id),
    }
  }

  /** Counted in Redis over the whole run: all processes, all restarts. */
  summary(): Promise<RunSummary> {
    return readSummary(this.#ports.redis, this.#graph)
  }

  /** A run begins with one definition: neither that nor a reload may come in the middle of the other. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#defining.then(work)
    this.#defining = turn.catch(() => undefined)
    return turn
  }

  async #first(mode: BeginMode): Promise<StartedRun | NotWished> {
    assert(this.#status === 'idle', () => 'An engine is started once')
    const { id, type } = this.#graph.workflow
    if (type === 'production') return await this.#begin(mode)
    const reason = `it is of type "${type}", which runs once per request`
    throw new EngineError('NOT_SUPPORTED', `Cannot start workflow "${id}": ${reason}`)
  }

  /** Whoever is stopped meanwhile is done when this has settled, whichever way. */
  async #starting<T>(work: () => Promise<T>): Promise<T> {
    this.#isStarting = true
    try {
      return await work()
    } catch (error) {
      if (this.#isUnwanted) this.#finish({ status: 'stopped' })
      throw error
    } finally {
      this.#isStarting = false
    }
  }

  #go(run: StartedRun): Started {
    if (this.#isUnwanted) this.#finish({ status: 'stopped' })
    else {
      this.#status = 'running'
      void this.#superviseToTheEnd(run)
    }
    return { run: run.run, resumed: run.how !== 'new', orphanedQueues: run.orphanedQueues }
  }

  async #begin(mode: BeginMode): Promise<StartedRun | NotWished> {
    const { redis, random, clock, host } = this.#ports
    const run = await beginRun(redis, this.#graph, { mode, nonce: random.nonce('run'), now: clock.now(), host })
    if (run.how === 'idle') return run
    this.#run = run
    this.#emit({ type: 'workflow_started', ...this.#stamp(), resumed: run.how !== 'new' })
    return run
  }

  async #superviseToTheEnd(run: StartedRun): Promise<void> {
    try {
      let current = run
      for (;;) {
        const result = await this.#supervise(current)
        if (result !== 'superseded') return this.#finish({ status: result })
        if (await this.#wasCompleted(current)) return this.#finish({ status: 'completed' })
        this.#emit({ type: 'warning', ...this.#stamp(), code: 'RUN_LOST', message: lostRun(current.run) })
        const next = await this.#alone(() => this.#begin(this.#again))
        if (next.how === 'idle') return this.#rest(next)
        if (this.#isUnwanted) return this.#finish({ status: 'stopped' })
        current = next
      }
    } catch (error) {
      this.#finish({ status: 'failed', error: toErrorRecord(error) })
    }
  }

  async #supervise({ run, seed }: StartedRun): Promise<SuperviseResult> {
    const supervisor = new Supervisor({
      ...this.#options,
      graph: this.#graph,
      run: { id: run, seed },
      emit: (event, output) => this.#emit(event, output),
      onStopWish: wish => void this.stop(wish === 'kill' ? { drainMs: 0 } : {}),
    })
    this.#supervisor = supervisor
    return await supervisor.run()
  }

  /** Whether the keys moved on because this run was completed and a later one began. */
  async #wasCompleted(run: StartedRun): Promise<boolean> {
    const now = await this.summary()
    return runNumber(now.run) > runNumber(run.run)
  }

  #drain(drainMs = this.#graph.workflow.settings.drain_timeout_seconds * 1000): void {
    this.#status = 'draining'
    this.#supervisor?.drain()
    this.#drainTimer?.abort()
    const timer = new AbortController()
    this.#drainTimer = timer
    this.#ports.clock.sleep(drainMs, timer.signal).then(
      () =>
        this.#supervisor?.abort(
          new EngineError('ITERATION_ABORTED', `The loop stops: its iteration did not end within ${drainMs / 1000} s`),
        ),
      () => undefined,
    )
  }

  async #wish(loop: string, wish: Extract<Wish, 'pause' | ''>): Promise<void> {
    const ids = this.#graph.loops.map(each => each.id)
    if (loop !== '' && !ids.includes(loop)) {
      throw new EngineError(
        'USAGE',
        `Cannot find loop "${loop}" of workflow "${this.#graph.workflow.id}": it has ${ids.join(', ')}`,
      )
    }
    await setWish(this.#ports.redis, { workflow: this.#graph.workflow.id, loop }, wish)
    for (const id of loop === '' ? ids : [loop]) {
      if (wish === 'pause') this.#supervisor?.pause(id)
      else this.#supervisor?.resume(id)
    }
  }

  /** Nothing of it happened here, so there is nothing to tell. */
  #rest({ why }: NotWished): void {
    this.#drainTimer?.abort()
    this.#status = why === 'completed' ? 'completed' : 'stopped'
    this.#ended({ status: this.#status })
  }

  #finish(end: RunEnd): void {
    if (this.#status === 'completed' || this.#status === 'stopped' || this.#status === 'failed') return
    this.#drainTimer?.abort()
    this.#status = end.status
    if (end.status === 'completed') this.#emit({ type: 'workflow_completed', ...this.#stamp() })
    if (end.error !== undefined) this.#emit({ type: 'workflow_failed', ...this.#stamp(), error: end.error })
    this.#ended(end)
  }

  #stamp(): { time: number; workflow_id: string; run: string } {
    return { time: this.#ports.clock.now(), workflow_id: this.#graph.workflow.id, run: this.#run?.run ?? '' }
  }

  #emit(event: EngineEvent, output?: NodeOutput): void {
    this.#tracker.see(event)
    this.#onEvent(event, output)
  }
}

function runNumber(run: string): number {
  return Number(run.slice('run-'.length))
}

function lostRun(run: string): string {
  return `Redis no longer knows run "${run}": it lost writes, was emptied, or another definition took over; starting from what it has`
}
