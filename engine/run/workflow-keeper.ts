/**
 * One workflow in a daemon, for as long as the daemon lives: starts it when it shall run, lets it rest when it shall not,
 * and tries again what could not start. What it shall be doing stands in Redis; a keeper only looks and obeys.
 *
 * K1 there is at most one engine at a time. K2 what is at rest is started by somebody's wish or by another daemon's run,
 * never because Redis forgot why it rests. K3 what could not start is said once for each reason.
 */
import { type ErrorRecord, messageOf, toErrorRecord } from '../errors.ts'
import { type EngineOptions, type EngineStatus, FlowEngine } from '../flow-engine.ts'
import type { FlowGraph } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import { isTransient } from '../store/retry.ts'
import { setWish, type Told } from '../store/wishes.ts'
import type { EventSink } from '../trace/events.ts'
import { changesBetween, putInPlace, type ReloadReport } from './reload.ts'

export type KeeperOptions = Omit<EngineOptions, 'graph'> & { onEvent: EventSink }

export type WorkflowStatus = EngineStatus & { workflow: string /** Why it could not start. */; error?: ErrorRecord }

/** Nothing but another definition, run or wish helps against these; everything else is tried again after a while. */
const lasting: ReadonlySet<string> = new Set(['WORKFLOW_CHANGED', 'SCHEMA_TOO_NEW', 'NOT_SUPPORTED'])

/** A start that failed: with what it may depend on, and when it is tried again whatever happens (monotonic). */
type Failure = { error: ErrorRecord; facts: string; againMs: number }

/** `waiting`: for Redis. `resting`: it is complete, or shall not run. */
type State = 'new' | 'starting' | 'running' | 'waiting' | 'resting' | 'failed' | 'closed'

export class WorkflowKeeper {
  #graph: FlowGraph
  readonly #options: KeeperOptions
  /** The one that runs, ran last, or will run. */
  #engine: FlowEngine
  #state: State = 'new'
  #turn = 0
  #work: Promise<void> = Promise.resolve()
  #failure: Failure | undefined
  #failures = 0
  /** The last run that was seen in Redis. */
  #run = ''
  readonly #closed = new AbortController()
  #isReloading = false
  /** Whether this definition was the current one in Redis, and whether another took its place. */
  #place: 'unseen' | 'current' | 'outdated' = 'unseen'

  constructor(graph: FlowGraph, options: KeeperOptions) {
    this.#graph = graph
    this.#options = options
    this.#engine = this.#newEngine()
  }

  get isAtWork(): boolean {
    return this.#state === 'starting' || this.#state === 'running'
  }

  get id(): string {
    return this.#graph.workflow.id
  }

  /** Goes up with everything that happens here: what Redis told earlier is out of date then. */
  get turn(): number {
    return this.#turn
  }

  /** Tries to start; never rejects. Afterwards it runs, or `status` tells why it does not. */
  async start(): Promise<void> {
    if (this.#state === 'new') this.#begin('')
    await this.#work
  }

  /** Obeys what Redis told when it was `turn` here. */
  tend(told: Told, turn: number): void {
    if (turn !== this.#turn) return
    if (this.#isReloading && this.#state !== 'running') return
    this.#notePlace(told)
    if (this.#state === 'running') this.#engine.obey(told)
    else if (this.#state !== 'starting' && this.#state !== 'closed' && this.#isDue(told)) this.#begin(factsOf(told))
    if (told.run !== '') this.#run = told.run
  }

  /** Puts another definition in the place of this one; never rejects. Reloads come one after the other. */
  reload(graph: FlowGraph): Promise<ReloadReport> {
    const reloaded = this.#work.then(() => this.#reload(graph))
    this.#work = reloaded.then(() => undefined)
    return reloaded
  }

  /** Drains. The workflow goes on elsewhere, or when a daemon starts again. */
  async stop(): Promise<void> {
    this.#become('closed')
    this.#closed.abort()
    // first: a reload under way is given up
    await this.#engine.stop()
    await this.#work
    await this.#engine.stop()
  }

  /** Waits for nothing. */
  async kill(): Promise<void> {
    this.#become('closed')
    this.#closed.abort()
    await this.#engine.kill()
  }

  status(): WorkflowStatus {
    const status = { workflow: this.id, ...this.#engine.status() }
    if (this.#state !== 'failed' || this.#failure === undefined) return status
    const loops = status.loops.map(loop => ({ ...loop, status: 'failed' as const }))
    return { ...status, status: 'failed', loops, error: this.#failure.error }
  }

  async #reload(graph: FlowGraph): Promise<ReloadReport> {
    const before = this.#graph
    const report = { workflow: this.id, loops: changesBetween(before, graph) }
    // what differs from what runs is put in its place because somebody says reload, be it new here or not
    const isRefused = this.#state === 'failed' && this.#failure?.error.code === 'WORKFLOW_CHANGED'
    const isCurrent = !isRefused && this.#place !== 'outdated'
    if (graph.hash === before.hash && isCurrent) return { ...report, status: 'unchanged' }
    this.#isReloading = true
    try {
      const status = await this.#putInPlace(graph)
      this.#graph = graph
      this.#place = 'current'
      if (this.#state !== 'running') this.#engine = this.#newEngine()
      if (this.#state === 'failed') this.#become('waiting')
      this.#turn += 1
      return { ...report, status }
    } catch (error) {
      return { ...report, status: 'refused', error: toErrorRecord(error) }
    } finally {
      this.#isReloading = false
    }
  }

  async #putInPlace(graph: FlowGraph): Promise<'reloaded' | 'adopted'> {
    if (this.#state === 'running') {
      try {
        return await this.#engine.reload(graph)
      } catch (error) {
        // it came to its end meanwhile: then it is reloaded where it rests
        if (this.#closed.signal.aborted || this.#engine.isAtWork) throw error
      }
    }
    const { ports } = this.#options
    const stopped = this.#closed.signal
    return await putInPlace(graph, { ports, before: this.#graph, letGo: () => undefined, stopped })
  }

  #notePlace({ hash }: Told): void {
    if (hash === this.#graph.hash) this.#place = 'current'
    else if (this.#place === 'current' && hash !== '') {
      this.#place = 'outdated'
      const what = `Workflow "${this.id}" is defined otherwise by now: what changed is served by others`
      this.#warn('DEFINITION_CHANGED', `${what}; reload this one to have it take part again`)
    }
  }

  #newEngine(): FlowEngine {
    return new FlowEngine({ ...this.#options, graph: this.#graph })
  }

  #become(state: Exclude<State, 'new'>): void {
    if (this.#state === 'closed') return
    this.#state = state
    this.#turn += 1
  }

  #begin(facts: string): void {
    if (this.#state !== 'new') this.#engine = this.#newEngine()
    this.#become('starting')
    this.#work = this.#start(this.#engine, facts)
  }

  async #start(engine: FlowEngine, facts: string): Promise<void> {
    try {
      const started = await engine.startIfWished()
      if ('run' in started) {
        this.#run = started.run
        this.#place = 'current'
        this.#become('running')
      }
    } catch (error) {
      return this.#couldNotStart(toErrorRecord(error), facts)
    }
    this.#failures = 0
    void engine.done.then(({ error }) => {
      if (error === undefined) this.#become('resting')
      else this.#failed(error, facts)
    })
  }

  #couldNotStart(error: ErrorRecord, facts: string): void {
    // Redis will be back: nothing is wrong with the workflow
    if (isTransient(error)) this.#become('waiting')
    else {
      if (error.message !== this.#failure?.error.message) this.#warn(error.code, error.message)
      this.#failed(error, facts)
    }
  }

  #failed(error: ErrorRecord, facts: string): void {
    const pauseMs = Math.min(limits.producerPauseMs * 2 ** this.#failures++, limits.producerPauseMsMax)
    const nowMs = this.#options.ports.clock.monotonic()
    this.#failure = { error, facts, againMs: lasting.has(error.code) ? Number.POSITIVE_INFINITY : nowMs + pauseMs }
    this.#become('failed')
  }

  /** Whether it is time to start, by what Redis says. */
  #isDue(told: Told): boolean {
    // a new run begins with the new definition, which others have
    if (this.#place === 'outdated') return false
    const isAskedFor = told.wish.startsWith('run:')
    if (told.run === '' && this.#run !== '' && !isAskedFor) return this.#isDueAfterLoss()
    if (told.wish === 'stop' || told.wish === 'kill') return false
    const failure = this.#state === 'failed' ? this.#failure : undefined
    if (failure?.facts === factsOf(told)) return this.#options.ports.clock.monotonic() >= failure.againMs
    return isAskedFor || told.status === 'running' || (told.status === '' && told.wish !== 'pause')
  }

  /**
   * Redis was emptied, or lost the run, while nothing of it ran here. What rested for a reason goes on resting: the reason
   * may be lost too, so it is put down again.
   */
  #isDueAfterLoss(): boolean {
    const message = `Redis no longer knows run "${this.#run}" of workflow "${this.id}": it lost writes or was emptied`
    const rested = this.#state === 'resting'
    this.#warn('RUN_LOST', `${message}; ${rested ? 'it stays as it is until somebody starts it' : 'it is begun anew'}`)
    this.#run = ''
    if (!rested) return true
    const { redis } = this.#options.ports
    setWish(redis, { workflow: this.id, loop: '' }, 'stop', '').catch(error =>
      this.#warn('RUN_LOST', `Cannot note that workflow "${this.id}" shall not be begun anew: ${messageOf(error)}`),
    )
    return false
  }

  #warn(code: string, message: string): void {
    const time = this.#options.ports.clock.now()
    this.#options.onEvent({ type: 'warning', time, workflow_id: this.id, run: this.#run, code, message })
  }
}

/** What a failure to start may depend on. */
function factsOf(told: Told): string {
  return [told.status, told.run, told.hash, told.wish].join('\n')
}
