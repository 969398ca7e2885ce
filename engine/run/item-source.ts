/**
 * Where a loop's next item comes from: its queues, its own producer, or dead letters that came back to it. Items made by
 * a producer have no claim; what protects them is the producer's state, which commits with the iteration.
 */
import type { FlowLoop, Queue } from '../graph/flow-graph.ts'
import type { ClaimedEntry } from '../store/entry.ts'
import type { ClaimAnswer, ReplicaStore } from '../store/replica-store.ts'

export class ItemSource {
  readonly #loop: FlowLoop
  readonly #sources: readonly { queue: string; lengthMax: number }[]
  #turn = 0
  /** False only when the last commit said that nothing was requeued to this loop. */
  #maybeRequeued = true

  constructor(loop: FlowLoop, queues: ReadonlyMap<string, Queue>) {
    this.#loop = loop
    this.#sources = loop.sources.map(name => ({ queue: name, lengthMax: queues.get(name)?.maxLength ?? 0 }))
  }

  get readsQueues(): boolean {
    return this.#loop.sources.length > 0 || this.#loop.producer === undefined
  }

  noteRequeued(count: number): void {
    this.#maybeRequeued = count > 0
  }

  /** Something may have been requeued meanwhile: look again. */
  lookAgain(): void {
    this.#maybeRequeued = true
  }

  /** The next claimed item, if there is one. A loop with a producer of its own asks only when something may be there. */
  async claim(store: ReplicaStore): Promise<{ entry: ClaimedEntry; answer: ClaimAnswer } | undefined> {
    if (!this.readsQueues && !this.#maybeRequeued) return undefined
    const chain = this.#loop.replicas > 1 ? 'chain' : 'alone'
    const answer = await store.claim(1, { first: this.#turn, sources: this.#sources, chain })
    const [entry] = answer.entries
    if (entry === undefined) {
      this.#maybeRequeued = false
      return undefined
    }
    this.#turn = (this.#turn + 1) % Math.max(1, this.#sources.length)
    return { entry, answer }
  }
}
