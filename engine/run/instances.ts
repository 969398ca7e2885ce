/**
 * The node instances of one replica: constructed and set up before its first iteration, cleaned up exactly once. An
 * instance whose work did not let go after an abort is replaced: what it still does must not meet the next item.
 */
import { assert, EngineError, messageOf } from '../errors.ts'
import type { FlowNode } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import { Node } from '../node/node.ts'
import type { Clock } from '../ports.ts'
import type { Deadlines } from './deadlines.ts'
import { within } from './within.ts'

export type InstancesHost = {
  clock: Clock
  /** Told how long setting up and cleaning up may take, where somebody watches from outside. */
  deadlines?: Deadlines
  /** Setting up is given up when this aborts. */
  aborted: AbortSignal
  onCleanupError: (node: string, error: unknown) => void
}

export class Instances {
  readonly #nodes: ReadonlyMap<string, FlowNode>
  readonly #open = new Map<string, Node>()
  readonly #host: InstancesHost

  constructor(nodes: readonly FlowNode[], host: InstancesHost) {
    this.#nodes = new Map(nodes.map(node => [node.id, node]))
    this.#host = host
  }

  async open(): Promise<void> {
    for (const node of this.#nodes.values()) await this.#openOne(node)
  }

  get(id: string): Node {
    const instance = this.#open.get(id)
    assert(instance !== undefined, () => `Node "${id}" has an instance while its loop runs`)
    return instance
  }

  async replace(id: string): Promise<void> {
    const node = this.#nodes.get(id)
    assert(node !== undefined, () => `Node "${id}" belongs to this loop`)
    await this.#closeOne(id)
    await this.#openOne(node)
  }

  /** All of them, one after the other. */
  async renew(): Promise<void> {
    for (const id of this.#nodes.keys()) await this.replace(id)
  }

  async close(): Promise<void> {
    for (const id of [...this.#open.keys()].reverse()) await this.#closeOne(id)
  }

  async #openOne(node: FlowNode): Promise<void> {
    const instance = new node.class({ id: node.id, type: node.class.identifier, config: node.config })
    this.#open.set(node.id, instance)
    if (instance.setup === Node.prototype.setup) return
    try {
      const { clock, aborted } = this.#host
      const bound = { clock, ms: limits.nodeTimeoutMs, signal: aborted, what: 'its setup' }
      await this.#working(bound.ms, () => within(Promise.resolve(instance.setup()), bound))
    } catch (error) {
      throw new EngineError('NODE_FAILED', `Cannot set up node "${node.id}": ${messageOf(error)}`, { cause: error })
    }
  }

  async #closeOne(id: string): Promise<void> {
    const instance = this.get(id)
    this.#open.delete(id)
    if (instance.cleanup === Node.prototype.cleanup) return
    try {
      const bound = { clock: this.#host.clock, ms: limits.cleanupMs, what: 'its cleanup' }
      await this.#working(bound.ms, () => within(Promise.resolve(instance.cleanup()), bound))
    } catch (error) {
      this.#host.onCleanupError(id, error)
    }
  }

  /** What it does counts as the work of a node for whoever watches from outside; `within` is what ends it. */
  async #working(ms: number, work: () => Promise<void>): Promise<void> {
    const { deadlines, clock } = this.#host
    const deadline = { atMs: clock.monotonic() + ms, expire: () => undefined }
    deadlines?.add(deadline)
    try {
      await work()
    } finally {
      deadlines?.remove(deadline)
    }
  }
}
