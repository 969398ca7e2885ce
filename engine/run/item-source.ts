/**
 * Where a loop's next item comes from: its queues, its own producer, or dead letters that came back to it. Items made by
 * a producer have no claim; what protects them is the producer's state, which commits with the iteration.
 */
import { messageOf } from '../errors.ts'
import type { FlowNode } from '../graph/flow-graph.ts'
import { hashText } from '../hash.ts'
import { limits } from '../limits.ts'
import { freezeJson, type NodeOutput, type NodeResult } from '../node/node.ts'
import type { ClaimedEntry } from '../store/entry.ts'
import type { ClaimWish, CommitAnswer, ReplicaStore } from '../store/replica-store.ts'
import type { OutcomeNote } from '../trace/trace.ts'
import { errorNote } from '../trace/witness.ts'
import { type Iteration, NodeFailure } from './iteration.ts'
import type { LoopScope } from './loop-scope.ts'
import { isWithoutItem } from './node-answer.ts'
import { Prefetch } from './prefetch.ts'

/** An item on its way into the plan, or one that failed before it got there; `entry` is its claim. */
export type Arrival = { iteration: Iteration; entry: ClaimedEntry | undefined } & (
  | { kind: 'item'; item: NodeOutput }
  | { kind: 'failed'; failure: NodeFailure; item: NodeOutput }
  | { kind: 'poison'; item: NodeOutput }
)

/** What to do next: process an item, wait, or see whether the loop can end. */
export type Next = Arrival | { kind: 'wait'; untilMs: number } | { kind: 'end' }

/** What the runner does for its source. */
export type SourceHost = {
  scope: LoopScope
  store: ReplicaStore
  /** Without a key: for an item that the producer is about to make. */
  newIteration: (key?: string) => Iteration
  commitState: (iteration: Iteration) => Promise<void>
  /** The producer was asked and made no item. */
  noItem: (iteration: Iteration, outcome: OutcomeNote) => void
  /** Waits for the commits under way, which may bring claims along. */
  settled: () => Promise<unknown>
  noteRuntime: (version: string) => Promise<void>
  /** False when the loop pauses or drains: nothing is to be claimed ahead. */
  mayClaim: () => boolean
}

export class ItemSource {
  readonly #host: SourceHost
  readonly #queues: readonly { queue: string; lengthMax: number }[]
  readonly #readsQueues: boolean
  readonly #prefetch = new Prefetch()
  /** Claimed and not begun. */
  readonly #buffer: ClaimedEntry[] = []
  #turn = 0
  /** What the commit under way asked for. */
  #wished = 0
  /** The last commit asked for items and there were none: asking again before something rings would be in vain. */
  #isDry = false
  /** False only when the last commit said that nothing was requeued to this loop. */
  #maybeRequeued = true
  #pauseMs = 0
  /** Wall clock: the producer is not asked before. */
  #askAtMs = 0

  constructor(host: SourceHost) {
    const { loop, queues } = host.scope
    this.#host = host
    this.#queues = loop.sources.map(name => ({ queue: name, lengthMax: queues.get(name)?.maxLength ?? 0 }))
    this.#readsQueues = loop.producer === undefined || loop.producer.class.source === 'claimed'
  }

  /** What a commit should claim along: enough to be half full again, or nothing. */
  wish(): ClaimWish {
    const room = this.#prefetch.target - this.#buffer.length
    const wanted = this.#readsQueues && this.#host.mayClaim() && room * 2 >= this.#prefetch.target
    this.#wished = wanted ? room : 0
    return this.#wish(this.#wished)
  }

  noteCommit({ entries, requeued, full }: Pick<CommitAnswer, 'entries' | 'requeued' | 'full'>): void {
    this.#buffer.push(...entries)
    this.#turn += entries.length
    this.#maybeRequeued = requeued > 0
    this.#isDry = this.#wished > 0 && full === undefined && entries.length === 0 && requeued === 0
  }

  /** The producer failed and is asked again soon: that is not the same as having nothing to do. */
  get isFailing(): boolean {
    return this.#pauseMs > 0
  }

  noteDuration(ms: number): void {
    this.#prefetch.note(ms)
  }

  async next(): Promise<Next> {
    if (this.#buffer.length === 0 && (this.#readsQueues || this.#maybeRequeued)) await this.#fill()
    const entry = this.#buffer.shift()
    if (entry !== undefined) return await this.#begin(entry)
    const { loop, ports } = this.#host.scope
    if (loop.endless) return { kind: 'wait', untilMs: Number.POSITIVE_INFINITY }
    if (this.#readsQueues || loop.producer === undefined) return { kind: 'end' }
    if (ports.clock.now() < this.#askAtMs) return { kind: 'wait', untilMs: this.#askAtMs }
    const next = await this.#produce(loop.producer)
    if (next.kind === 'wait') this.#askAtMs = next.untilMs
    return next
  }

  /** After a wait anything may have come. */
  afterWait(): void {
    this.#maybeRequeued = true
    this.#isDry = false
  }

  async #fill(): Promise<void> {
    await this.#host.settled()
    if (this.#buffer.length > 0 || this.#isDry || !this.#host.mayClaim()) return
    const { entries, runtimeVersion } = await this.#host.store.claim(() =>
      this.#wish(this.#host.mayClaim() ? this.#prefetch.target : 0),
    )
    this.#maybeRequeued = entries.length > 0
    this.#buffer.push(...entries)
    this.#turn += entries.length
    await this.#host.noteRuntime(runtimeVersion)
  }

  #wish(most: number): ClaimWish {
    const chain = this.#host.scope.loop.replicas > 1 ? 'chain' : 'alone'
    return { most, first: this.#turn % Math.max(1, this.#queues.length), sources: this.#queues, chain }
  }

  async #begin(entry: ClaimedEntry): Promise<Next> {
    const { scope, newIteration } = this.#host
    const { loop, graph } = scope
    const iteration = newIteration(entry.key)
    const arrival = { iteration, entry, item: entry.item }
    freezeJson(entry.item.data, () => `item "${entry.item.id}"`)
    freezeJson(entry.item.metadata, () => `item "${entry.item.id}"`)
    scope.events.iterationStarted(iteration.number)
    if (entry.charges >= graph.workflow.settings.max_deliveries) return { kind: 'poison', ...arrival }
    // a producer with a source of its own did its part when it made this item, before it was dead-lettered and requeued
    if (loop.producer === undefined || !this.#readsQueues) return { kind: 'item', ...arrival }
    try {
      const item = (await iteration.produce(loop.producer, entry.item, 'announced')) as NodeOutput
      return { kind: 'item', iteration, entry, item }
    } catch (error) {
      return { kind: 'failed', ...arrival, failure: asFailure(error) }
    }
  }

  async #produce(producer: FlowNode): Promise<Next> {
    const { scope, newIteration } = this.#host
    const iteration = newIteration()
    const input = { id: hashText(iteration.key), data: {}, metadata: {} }
    let result: NodeResult
    try {
      result = await iteration.produce(producer, input, 'silent')
    } catch (error) {
      return await this.#producerFailed(iteration, asFailure(error), input)
    }
    this.#pauseMs = 0
    if (isWithoutItem(result)) {
      const next: Next = result.kind === 'not-before' ? { kind: 'wait', untilMs: result.untilMs } : { kind: 'end' }
      return await this.#withoutItem(iteration, next)
    }
    scope.events.iterationStarted(iteration.number)
    iteration.started(producer)
    iteration.completed(producer, 0, { output: result as NodeOutput, route: 'default' })
    return { kind: 'item', iteration, entry: undefined, item: result as NodeOutput }
  }

  /** The producer made no item, but what it noted about its schedule must survive: it commits, and counts as nothing. */
  async #withoutItem(iteration: Iteration, next: Next): Promise<Next> {
    await iteration.end()
    this.#host.noItem(iteration, { as: 'none', until: next.kind === 'wait' ? next.untilMs : null })
    if (iteration.effects.state.size > 0) await this.#host.commitState(iteration)
    return next
  }

  /** A producer that moved on before it threw gives up that item as a dead letter; one that did not is asked again later. */
  async #producerFailed(iteration: Iteration, failure: NodeFailure, item: NodeOutput): Promise<Next> {
    const { scope } = this.#host
    if (iteration.effects.state.size > 0) {
      scope.events.iterationStarted(iteration.number)
      iteration.started(failure.node)
      iteration.failed(failure, 0)
      return { kind: 'failed', iteration, entry: undefined, failure, item }
    }
    await iteration.end()
    this.#host.noItem(iteration, { as: 'failed', node: failure.node.id, error: errorNote(failure.cause) })
    const pauseMs = this.#pauseMs === 0 ? limits.producerPauseMs : this.#pauseMs * 2
    this.#pauseMs = Math.min(pauseMs, limits.producerPauseMsMax)
    const again = `asking it again in ${this.#pauseMs / 1000} s`
    scope.events.warning(
      'PRODUCER_FAILED',
      `Producer "${failure.node.id}" failed: ${messageOf(failure.cause)}; ${again}`,
    )
    return { kind: 'wait', untilMs: scope.ports.clock.now() + this.#pauseMs }
  }
}

function asFailure(error: unknown): NodeFailure {
  if (error instanceof NodeFailure) return error
  throw error
}
