/**
 * One replica of a loop, iteration after iteration, for as long as it holds its lease.
 *
 * R1 one iteration at a time: the next begins after the commit of the one before was acknowledged. R2 an iteration that
 * fails commits its dead letter and nothing else of itself; the loop goes on. R3 an iteration that was aborted from
 * outside commits nothing: its claim stays, and whoever holds the replica next processes it again. R4 instances are
 * cleaned up exactly once, however `serve` ends.
 */
import { codeOf, EngineError, messageOf } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import type { Json } from '../json.ts'
import { limits } from '../limits.ts'
import type { Ports } from '../ports.ts'
import { keysOf } from '../store/keys.ts'
import type { CommitAnswer, CompletionTest, IterationCommit, ReplicaStore } from '../store/replica-store.ts'
import { isTransient, retryTransient } from '../store/retry.ts'
import { readRuntime, readState } from '../store/run-store.ts'
import type { EngineEvent } from '../trace/events.ts'
import { deadLetterOf, type FailedItem } from './dead-letter.ts'
import { Deadlines } from './deadlines.ts'
import { Instances } from './instances.ts'
import { type Arrival, ItemSource } from './item-source.ts'
import { Iteration, NodeFailure } from './iteration.ts'
import type { LoopControl } from './loop-control.ts'
import { LoopEvents } from './loop-events.ts'
import type { LoopScope } from './loop-scope.ts'

export type RunnerOptions = {
  graph: FlowGraph
  loop: FlowLoop
  run: { id: string; seed: string }
  replica: number
  ports: Ports
  control: LoopControl
  completion: CompletionTest
  emit: (event: EngineEvent) => void
  /** Called when the replica starts and stops having something to do. */
  onActivity: (activity: 'busy' | 'waiting') => void
}

/** How serving a replica ended: its loop is complete, with it the whole run, or it was told to stop. */
export type ServeResult = 'ended' | 'run-ended' | 'drained'

export class FlowRunner {
  readonly #options: RunnerOptions
  readonly #store: ReplicaStore
  readonly #scope: LoopScope
  readonly #source: ItemSource
  readonly #events: LoopEvents
  /** Finished iterations of this replica in this run, over all holders. */
  #count: number
  #runtimeVersion = '0'
  readonly #saidFull = new Set<string>()

  constructor(options: RunnerOptions, lease: { store: ReplicaStore; iterations: number }) {
    this.#options = options
    this.#store = lease.store
    this.#count = lease.iterations
    const { graph, loop, run, ports } = options
    this.#events = new LoopEvents(
      { workflow: graph.workflow.id, run: run.id, loop: loop.id },
      ports.clock,
      options.emit,
    )
    const queues = new Map(graph.queues.map(queue => [queue.name, queue]))
    this.#scope = {
      graph,
      loop,
      queues,
      run,
      ports,
      instances: new Instances(loop.nodes, (node, error) =>
        this.#events.warning('CLEANUP_FAILED', `Cleanup of node "${node}" failed: ${messageOf(error)}`),
      ),
      deadlines: new Deadlines(ports.clock),
      events: this.#events,
      state: new Map(),
      runtime: new Map(),
      delayUntil: (field, wakeAt) => this.#store.delayUntil(field, wakeAt),
    }
    this.#source = new ItemSource({
      scope: this.#scope,
      store: this.#store,
      newIteration: key => this.#iteration(key),
      abortable: (iteration, work) => this.#abortable(iteration, work),
      commitState: iteration => this.#commitState(iteration),
      noteRuntime: version => this.#refreshRuntime(version),
    })
  }

  /** Serves until the loop ended or was told to stop. Rejects with FENCED, DIVERGED, or whatever broke it. */
  async serve(): Promise<ServeResult> {
    const { instances, deadlines } = this.#scope
    try {
      await instances.open()
      await this.#readCommitted()
      this.#events.loopStarted()
      return await this.#loop()
    } finally {
      deadlines.close()
      await instances.close()
    }
  }

  async #loop(): Promise<ServeResult> {
    try {
      return await this.#iterations()
    } catch (error) {
      const refused = codeOf(error) === 'FENCED' || codeOf(error) === 'DIVERGED'
      if (refused || !this.#options.control.aborted.aborted) throw error
      return await this.#abandon()
    }
  }

  async #iterations(): Promise<ServeResult> {
    const { control, onActivity } = this.#options
    for (;;) {
      await control.permission()
      if (control.draining.aborted) return await this.#release('drained')
      onActivity('busy')
      const next = await this.#source.next()
      if (next.kind === 'wait') await this.#wait(next.untilMs)
      else if (next.kind === 'end') {
        const end = await this.#complete()
        if (end !== undefined) return await this.#release(end)
        await this.#wait(Number.POSITIVE_INFINITY)
      } else if (!(await this.#process(next))) return await this.#abandon()
    }
  }

  // --- one iteration

  /** Walks and commits. False when it was aborted from outside: nothing of it was committed. */
  async #process(next: Arrival): Promise<boolean> {
    const { clock } = this.#options.ports
    const startedMs = clock.monotonic()
    const { iteration, entry } = next
    const failure = await this.#outcome(next)
    await this.#letGo(iteration, failure)
    if (failure === 'aborted') return false
    const seconds = () => (clock.monotonic() - startedMs) / 1000
    if (failure === undefined) {
      if (!(await this.#commit(iteration, iteration.effects.toCommit(entry?.key)))) return false
      this.#events.iterationCompleted(iteration.number, seconds())
      return true
    }
    const { letter, record } = deadLetterOf(this.#scope, failure)
    const commit = iteration.effects.toFailure(entry?.key, this.#options.loop.producer?.id, { id: letter.id, record })
    if (!(await this.#commit(iteration, commit))) return false
    this.#events.iterationFailed(iteration.number, letter.error, seconds())
    this.#events.deadLetter(letter)
    return true
  }

  async #outcome(next: Arrival): Promise<FailedItem | 'aborted' | undefined> {
    const { iteration, entry } = next
    const { loop, control } = this.#options
    const failed = (node: FailedItem['node'], error: unknown): FailedItem => {
      return { iteration, entry, node, error, item: next.item }
    }
    if (control.aborted.aborted) return 'aborted'
    if (next.kind === 'poison') return failed(loop.producer, poison(next))
    if (next.kind === 'failed') return failed(next.failure.node, next.failure.cause)
    try {
      await this.#abortable(iteration, iteration.walk(next.item))
      return undefined
    } catch (error) {
      if (control.aborted.aborted) return 'aborted'
      if (error instanceof NodeFailure) return failed(error.node, error.cause)
      throw error
    }
  }

  /** Runs work of an iteration under the loop's abort signal. */
  async #abortable<T>(iteration: Iteration, work: Promise<T>): Promise<T> {
    const { aborted } = this.#options.control
    const abort = () => iteration.abort(aborted.reason)
    if (aborted.aborted) abort()
    aborted.addEventListener('abort', abort)
    try {
      return await work
    } finally {
      aborted.removeEventListener('abort', abort)
    }
  }

  /** Ends the iteration; after a failure its other nodes are aborted, and those that hold on are replaced. */
  async #letGo(iteration: Iteration, failure: unknown): Promise<void> {
    if (failure !== undefined) {
      iteration.abort(
        new EngineError('ITERATION_ABORTED', 'The iteration was aborted: another node failed or the loop stops'),
      )
    }
    for (const node of await iteration.end()) {
      this.#events.warning(
        'NODE_HOLDS_ON',
        `Node "${node.id}" did not stop within ${limits.abortGraceMs} ms of its abort; its instance is replaced`,
      )
      await this.#scope.instances.replace(node.id)
    }
  }

  /** Commits, waiting while a target queue is full. False when the loop was aborted before there was room. */
  async #commit(iteration: Iteration, commit: IterationCommit): Promise<boolean> {
    const { graph, control } = this.#options
    for (;;) {
      const answer = await this.#store.commit([commit], graph.workflow.settings.dead_letters.max)
      if (answer.applied === 1) {
        await this.#committed(iteration, commit, answer)
        return true
      }
      this.#sayFull(answer.full)
      await this.#waitForBell(limits.wakeWaitMs, control.aborted)
      if (control.aborted.aborted) return false
    }
  }

  /** Waiting for a reader is back-pressure; waiting for nobody is something to be told, once. */
  #sayFull(name: string | undefined): void {
    const queue = this.#scope.queues.get(name ?? '')
    if (queue === undefined || queue.readers.length > 0 || this.#saidFull.has(queue.name)) return
    this.#saidFull.add(queue.name)
    this.#events.warning(
      'QUEUE_FULL',
      `Queue "${queue.name}" is full (${queue.maxLength} items) and no loop reads it; the loop waits`,
    )
  }

  async #commitState(iteration: Iteration): Promise<void> {
    await this.#commit(iteration, { ...iteration.effects.toCommit(undefined), outcome: 'state' })
  }

  async #committed(iteration: Iteration, commit: IterationCommit, answer: CommitAnswer): Promise<void> {
    if (commit.outcome !== 'state') this.#count += 1
    for (const node of commit.state.keys()) this.#scope.state.set(node, iteration.effects.getState(node) as Json)
    this.#source.noteRequeued(answer.requeued)
    if (answer.dropped > 0)
      this.#events.warning(
        'DEAD_LETTERS_DROPPED',
        `${answer.dropped} of the oldest dead letters were dropped: there were more than settings.dead_letters.max`,
      )
    await this.#refreshRuntime(answer.runtimeVersion)
  }

  // --- waiting, ending

  async #wait(untilMs: number): Promise<void> {
    const { ports, control, onActivity } = this.#options
    const ms = Math.min(untilMs - ports.clock.now(), limits.wakeWaitMs)
    onActivity('waiting')
    if (ms > 0) await this.#waitForBell(ms, control.draining)
    await this.#source.afterWait()
  }

  async #waitForBell(ms: number, signal: AbortSignal): Promise<void> {
    const { ports, graph, loop } = this.#options
    try {
      await ports.redis.wait(keysOf(graph.workflow.id).bell(loop.id), ms, signal)
    } catch (error) {
      if (signal.aborted) return
      if (!isTransient(error)) throw error
      // a wake-up key that can't be watched costs latency, never an item
      await ports.clock.sleep(Math.min(ms, limits.producerPauseMs), signal).catch(() => undefined)
    }
  }

  /** Ends the loop if nothing can come any more; undefined when something can. */
  async #complete(): Promise<'ended' | 'run-ended' | undefined> {
    const { completion } = this.#options
    const answer = await this.#store.complete(completion)
    if (answer === 'waiting') return undefined
    if (answer === 'ended') return 'ended'
    // the replica that ends a cycle speaks for all its loops
    for (const loop of completion.cycle) this.#events.loopCompleted(loop)
    return answer === 'workflow' ? 'run-ended' : 'ended'
  }

  /** Gives the lease back, so that nobody has to wait for it to run out. */
  async #release(result: ServeResult): Promise<ServeResult> {
    await this.#store.release('return')
    return result
  }

  /** The iteration was aborted: its claim is kept for whoever comes next, and nobody is charged for it. */
  async #abandon(): Promise<ServeResult> {
    await this.#store.release('keep').catch(() => undefined)
    return 'drained'
  }

  // --- state

  async #readCommitted(): Promise<void> {
    const { ports, graph, loop } = this.#options
    const stateful = loop.nodes.filter(node => node.class.stateful).map(node => node.id)
    this.#scope.state = await this.#read(() => readState(ports.redis, graph.workflow.id, stateful))
    await this.#refreshRuntime('')
  }

  /** Reads the variables again unless `version` is the one known; '' for an unknown one. */
  async #refreshRuntime(version: string): Promise<void> {
    if (version === this.#runtimeVersion) return
    const { ports, graph } = this.#options
    const snapshot = await this.#read(() => readRuntime(ports.redis, graph.workflow.id))
    this.#runtimeVersion = snapshot.version
    this.#scope.runtime = snapshot.variables
  }

  /** Reads through an outage: nobody is to blame for one. */
  #read<T>(call: () => Promise<T>): Promise<T> {
    const { ports, control } = this.#options
    return retryTransient({ clock: ports.clock, signal: control.aborted, pauseMsMax: limits.wakeWaitMs }, call)
  }

  #iteration(key = this.#pushPrefix()): Iteration {
    const { loop, replica } = this.#options
    const number = this.#count * loop.replicas + replica + 1
    return new Iteration(this.#scope, { key, pushPrefix: this.#pushPrefix(), number })
  }

  #pushPrefix(): string {
    const { run, loop, replica } = this.#options
    return `${run.seed.slice(0, 8)}.${loop.id}.${replica}.${this.#count}`
  }
}

function poison({ item, entry }: Arrival): EngineError {
  const deaths = `the worker died ${entry?.charges} times while it was processing it alone`
  return new EngineError('POISON', `Cannot process item "${item.id}": ${deaths}`)
}
