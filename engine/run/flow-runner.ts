/**
 * One replica of a loop, iteration after iteration, for as long as it holds its lease.
 *
 * R1 one iteration at a time; commits follow behind in order, and one that touched the outside is committed before the
 * next begins. R2 an iteration that fails commits its dead letter and nothing else of itself; the loop goes on. R3 an
 * iteration that was aborted from outside commits nothing: its claim stays, and whoever holds the replica next processes
 * it again. R4 instances are cleaned up exactly once, however `serve` ends.
 */
import { codeOf, EngineError } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { hashText } from '../hash.ts'
import { inLeases, limits } from '../limits.ts'
import type { Ports } from '../ports.ts'
import { keysOf, replicaName } from '../store/keys.ts'
import type { CommitAnswer, CompletionTest, IterationCommit, ReplicaStore } from '../store/replica-store.ts'
import { isTransient, retryTransient } from '../store/retry.ts'
import { readRuntime, readState } from '../store/run-store.ts'
import type { EventSink } from '../trace/events.ts'
import { LoopRecorder } from '../trace/recorder.ts'
import type { TraceSink } from '../trace/trace.ts'
import { errorNote } from '../trace/witness.ts'
import { abortedByAny } from './aborted-by-any.ts'
import { Committer } from './committer.ts'
import { deadLetterOf, type FailedItem, poisonOf } from './dead-letter.ts'
import { Deadlines } from './deadlines.ts'
import { Instances } from './instances.ts'
import { type Arrival, ItemSource } from './item-source.ts'
import { Iteration, NodeFailure } from './iteration.ts'
import type { LoopControl } from './loop-control.ts'
import { LoopEvents } from './loop-events.ts'
import type { LoopScope } from './loop-scope.ts'
import type { Pulse } from './pulse.ts'
import { RuntimeCache } from './runtime-cache.ts'

export type RunnerOptions = {
  graph: FlowGraph
  loop: FlowLoop
  run: { id: string; seed: string }
  replica: number
  ports: Ports
  control: LoopControl
  completion: CompletionTest
  /** Seen from outside. */
  pulse: Pulse
  /** How the worker before this one died; '' when it did not. */
  lastDeath: string
  emit: EventSink
  /** Takes what is recorded; nothing is when it is missing. */
  record?: TraceSink | undefined
  /** Called when the replica starts and stops having something to do. */
  onActivity: (activity: 'busy' | 'waiting') => void
}

/** How serving a replica ended: its loop is complete, or it was told to stop. */
export type ServeResult = 'ended' | 'drained'

export class FlowRunner {
  readonly #options: RunnerOptions
  readonly #store: ReplicaStore
  readonly #scope: LoopScope
  readonly #source: ItemSource
  readonly #events: LoopEvents
  /** Finished iterations of this replica in this run, over all holders; the last ones may not be committed yet. */
  #count: number
  readonly #committer: Committer
  readonly #runtime: RuntimeCache
  readonly #saidFull = new Set<string>()
  readonly #bell: string
  readonly #room: string
  readonly #recorder: LoopRecorder | undefined
  /** The latest iteration: an abort of the loop ends it. */
  #current: Iteration | undefined

  constructor(options: RunnerOptions, lease: { store: ReplicaStore; iterations: number }) {
    this.#options = options
    this.#store = lease.store
    const keys = keysOf(options.graph.workflow.id)
    this.#bell = keys.bell(options.loop.id)
    this.#room = keys.room(replicaName(options.loop.id, options.replica))
    this.#count = lease.iterations
    const { graph, loop, run, ports } = options
    const where = { workflow: graph.workflow.id, run: run.id, loop: loop.id }
    this.#events = new LoopEvents(where, ports.clock, options.emit)
    const queues = new Map(graph.queues.map(queue => [queue.name, queue]))
    const deadlines = new Deadlines(ports.clock, options.pulse)
    this.#scope = {
      graph,
      loop,
      queues,
      run,
      ports,
      instances: instancesOf(options, deadlines, this.#events),
      deadlines,
      events: this.#events,
      state: new Map(),
      runtime: new Map(),
      delayUntil: (field, wakeAt) => this.#store.delayUntil(field, wakeAt),
      ...(options.record === undefined ? {} : { witness: () => this.#recorder?.witness() }),
    }
    this.#recorder = recorderOf(options, this.#store.holder)
    this.#runtime = new RuntimeCache(() => this.#read(() => readRuntime(ports.redis, graph.workflow.id)))
    this.#committer = new Committer({
      nowMs: () => ports.clock.monotonic(),
      send: group => this.#store.commit(group, graph.workflow.settings.dead_letters.max, () => this.#source.wish()),
      noteAnswer: answer => this.#noteAnswer(answer),
      waitForRoom: queue => this.#waitForRoom(queue),
    })
    this.#source = new ItemSource({
      scope: this.#scope,
      store: this.#store,
      newIteration: key => this.#iteration(key),
      commitState: iteration => this.#commitState(iteration),
      noItem: (iteration, outcome) => this.#recorder?.ended(iteration, undefined, outcome),
      settled: () => this.#committer.settled(),
      noteRuntime: version => this.#refreshRuntime(version),
      mayClaim: () => !options.control.paused && !options.control.draining.aborted,
    })
  }

  /** Serves until the loop ended or was told to stop. Rejects with FENCED, DIVERGED, or whatever broke it. */
  async serve(): Promise<ServeResult> {
    const { instances, deadlines } = this.#scope
    const leave = this.#options.control.onAbort(reason => this.#current?.abort(reason))
    try {
      await instances.open()
      return await this.#loop()
    } finally {
      leave()
      this.#recorder?.end()
      deadlines.close()
      await instances.close()
      deadlines.close()
    }
  }

  async #loop(): Promise<ServeResult> {
    try {
      await this.#readCommitted()
      this.#events.loopStarted()
      return await this.#iterations()
    } catch (error) {
      const refused = codeOf(error) === 'FENCED' || codeOf(error) === 'DIVERGED'
      if (refused) await this.#store.passOn()
      if (refused || !this.#options.control.aborted.aborted) throw error
      return await this.#abandon()
    }
  }

  async #iterations(): Promise<ServeResult> {
    const { control, onActivity } = this.#options
    for (;;) {
      if (control.paused) {
        if (!(await this.#committer.settled())) return await this.#abandon()
        await control.permission()
      }
      if (control.draining.aborted) return await this.#drained()
      if (this.#recorder?.isChapterOver && !(await this.#recorder.nextChapter(this.#committer, this.#scope.instances)))
        return await this.#abandon()
      onActivity('busy')
      const next = await this.#source.next()
      if (next.kind !== 'wait' && next.kind !== 'end') {
        if (!(await this.#process(next))) return await this.#abandon()
        continue
      }
      // what waits and what ends looks at Redis, where everything finished must have arrived
      if (!(await this.#committer.settled())) return await this.#abandon()
      if (next.kind === 'end' && (await this.#complete())) return await this.#release('ended')
      await this.#wait(next.kind === 'wait' ? next.untilMs : Number.POSITIVE_INFINITY)
    }
  }

  // --- one iteration

  /** Walks, and hands over to be committed. False when it was aborted from outside: nothing of it is committed. */
  async #process(next: Arrival): Promise<boolean> {
    const { clock } = this.#options.ports
    const startedMs = clock.monotonic()
    const failure = await this.#outcome(next)
    await this.#letGo(next.iteration, failure)
    if (failure === 'aborted') return false
    const durationMs = clock.monotonic() - startedMs
    this.#source.noteDuration(durationMs)
    return await this.#finish(next, failure, durationMs / 1000)
  }

  /** False when it can't be committed any more, because the loop was aborted while a target was full. */
  async #finish({ iteration, entry }: Arrival, failure: FailedItem | undefined, seconds: number): Promise<boolean> {
    if (failure === undefined) {
      const { runtime } = iteration.effects
      this.#runtime.finished(runtime)
      this.#recorder?.ended(iteration, entry, { as: 'ok' })
      this.#hand(iteration.effects.toCommit(entry?.key), () => {
        this.#runtime.committed(runtime)
        this.#recorder?.committed(iteration)
        this.#events.iterationCompleted(iteration.number, seconds)
      })
    } else {
      const { letter, record } = deadLetterOf(this.#scope, failure)
      const kept = { id: letter.id, record }
      this.#recorder?.ended(iteration, entry, { as: 'failed', node: letter.node, error: errorNote(failure.error) })
      this.#hand(iteration.effects.toFailure(entry?.key, this.#options.loop.producer?.id, kept), () => {
        this.#recorder?.committed(iteration)
        this.#events.iterationFailed(iteration.number, letter.error, seconds)
        this.#events.deadLetter(letter)
      })
    }
    this.#scope.runtime = this.#runtime.variables
    this.#count += 1
    const mustSettle = iteration.touchedOutside || this.#committer.isLate
    return mustSettle ? await this.#committer.settled() : true
  }

  /** Hands a finished iteration to the committer; the next one sees its state as if it were committed. */
  #hand(commit: IterationCommit, committed: () => void): void {
    for (const [node, text] of commit.state) this.#scope.state.set(node, text)
    this.#committer.add({ commit, committed })
  }

  async #outcome(next: Arrival): Promise<FailedItem | 'aborted' | undefined> {
    const { iteration, entry } = next
    const { loop, control } = this.#options
    const failed = (node: FailedItem['node'], error: unknown): FailedItem => {
      return { iteration, entry, node, error, item: next.item }
    }
    if (control.aborted.aborted) return 'aborted'
    if (next.kind === 'poison') return failed(loop.producer, poisonOf(next, this.#options.lastDeath))
    if (next.kind === 'failed') return failed(next.failure.node, next.failure.cause)
    try {
      await iteration.walk(next.item)
      return undefined
    } catch (error) {
      if (control.aborted.aborted) return 'aborted'
      if (error instanceof NodeFailure) return failed(error.node, error.cause)
      throw error
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

  async #commitState(iteration: Iteration): Promise<void> {
    const commit = { ...iteration.effects.toCommit(undefined), outcome: 'state' as const }
    this.#hand(commit, () => this.#recorder?.committed(iteration))
    await this.#committer.settled()
  }

  async #noteAnswer(answer: CommitAnswer): Promise<void> {
    this.#source.noteCommit(answer)
    if (answer.dropped > 0) {
      const why = 'there were more than settings.dead_letters.max'
      this.#events.warning('DEAD_LETTERS_DROPPED', `${answer.dropped} of the oldest dead letters were dropped: ${why}`)
    }
    await this.#refreshRuntime(answer.runtimeVersion)
  }

  async #waitForRoom(queue: string): Promise<boolean> {
    const { aborted } = this.#options.control
    this.#sayFull(queue)
    await this.#waitFor(this.#room, aborted)
    return !aborted.aborted
  }

  /** Waiting for a reader is back-pressure; waiting for nobody is something to be told, once. */
  #sayFull(name: string): void {
    const queue = this.#scope.queues.get(name)
    if (queue === undefined || queue.readers.length > 0 || this.#saidFull.has(queue.name)) return
    this.#saidFull.add(queue.name)
    this.#events.warning(
      'QUEUE_FULL',
      `Queue "${queue.name}" is full (${queue.maxLength} items) and no loop reads it; the loop waits`,
    )
  }

  // --- waiting, ending

  async #wait(untilMs: number): Promise<void> {
    const { ports, control, onActivity } = this.#options
    if (!this.#source.isFailing) onActivity('waiting')
    if (untilMs === Number.POSITIVE_INFINITY) await this.#waitFor(this.#bell, control.draining)
    else if (untilMs > ports.clock.now()) await this.#waitForBellUntil(untilMs)
    this.#source.afterWait()
  }

  /** The wall clock may be set meanwhile. */
  async #waitForBellUntil(epochMs: number): Promise<void> {
    const { ports, control } = this.#options
    await abortedByAny([control.draining], async (signal, abort) => {
      ports.clock.until(epochMs, signal).then(abort, () => undefined)
      await this.#waitFor(this.#bell, signal)
      abort()
    })
  }

  /** Until there is a wake-up at `key`, or it is time to look all the same. */
  async #waitFor(key: string, signal: AbortSignal): Promise<void> {
    const { ports, graph } = this.#options
    const lookMs = inLeases(limits.idleLookMs, graph.workflow.settings.lease_seconds)
    try {
      await ports.redis.wait(key, lookMs, signal)
    } catch (error) {
      if (signal.aborted) return
      if (!isTransient(error)) throw error
      // a wake-up key that can't be watched costs latency, never an item
      await ports.clock.sleep(limits.producerPauseMs, signal).catch(() => undefined)
    }
  }

  /** Ends the loop if nothing can come any more. True when it has ended, by whomever. */
  async #complete(): Promise<boolean> {
    const { completion } = this.#options
    const answer = await this.#store.complete(completion)
    if (answer === 'waiting') return false
    if (answer === 'ended') return true
    // the replica that ends a cycle speaks for all its loops
    for (const loop of completion.cycle) this.#events.loopCompleted(loop)
    return true
  }

  /** Told to stop: what is finished is committed, what was claimed ahead goes back. */
  async #drained(): Promise<ServeResult> {
    return (await this.#committer.settled()) ? await this.#release('drained') : await this.#abandon()
  }

  /** Gives the lease back, so that nobody has to wait for it to run out. */
  async #release(result: ServeResult): Promise<ServeResult> {
    await this.#store.release('return')
    return result
  }

  /**
   * An iteration was aborted: what finished before it is committed if it still can be; its claim is kept for whoever comes
   * next, and nobody is charged for it.
   */
  async #abandon(): Promise<ServeResult> {
    await this.#committer.settled().catch(() => undefined)
    await this.#store.release('keep').catch(() => undefined)
    return 'drained'
  }

  // --- state

  async #readCommitted(): Promise<void> {
    const { ports, graph, loop } = this.#options
    const stateful = loop.nodes.filter(node => node.class.stateful).map(node => node.id)
    this.#scope.state = await this.#read(() => readState(ports.redis, graph.workflow.id, loop.id, stateful))
    await this.#refreshRuntime('')
  }

  async #refreshRuntime(version: string): Promise<void> {
    await this.#runtime.refresh(version)
    this.#scope.runtime = this.#runtime.variables
  }

  /** Reads through an outage: nobody is to blame for one. */
  #read<T>(call: () => Promise<T>): Promise<T> {
    const { ports, control } = this.#options
    return retryTransient({ clock: ports.clock, signal: control.aborted, pauseMsMax: limits.wakeWaitMs }, call)
  }

  /**
   * What an iteration pushes is named after the item it claimed, or after its own count when its producer makes the item.
   * Never after the count of a claimed one: when Redis goes back in time, another item may be the how-manieth.
   */
  #iteration(claimed?: string): Iteration {
    const { run, loop, replica } = this.#options
    const number = this.#count * loop.replicas + replica + 1
    const key = claimed ?? `${run.seed.slice(0, 8)}.${loop.id}.${replica}.${this.#count}`
    const pushPrefix = claimed === undefined ? key : hashText(`${loop.id}|${claimed}`)
    const iteration = new Iteration(this.#scope, { key, pushPrefix, number })
    const { aborted } = this.#options.control
    if (aborted.aborted) iteration.abort(aborted.reason)
    this.#current = iteration
    return iteration
  }
}

function instancesOf({ loop, ports, control }: RunnerOptions, deadlines: Deadlines, events: LoopEvents): Instances {
  const onCleanupError = (node: string, error: unknown): void => events.cleanupFailed(node, error)
  return new Instances(loop.nodes, { clock: ports.clock, deadlines, aborted: control.aborted, onCleanupError })
}

function recorderOf({ record, run, loop, replica, ports }: RunnerOptions, instance: string): LoopRecorder | undefined {
  const where = { run: run.id, loop: loop.id, replica, instance }
  return record && new LoopRecorder(record, where, () => ports.clock.now())
}
