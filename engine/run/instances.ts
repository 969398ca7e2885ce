/**
 * The node instances of one replica: constructed and set up before its first iteration, cleaned up exactly once. An
 * instance whose work did not let go after an abort is replaced: what it still does must not meet the next item.
 */
import { assert, EngineError, messageOf } from '../errors.ts'
import type { FlowNode } from '../graph/flow-graph.ts'
import type { Node } from '../node/node.ts'

export class Instances {
  readonly #nodes: ReadonlyMap<string, FlowNode>
  readonly #open = new Map<string, Node>()
  readonly #onCleanupError: (node: string, error: unknown) => void

  constructor(nodes: readonly FlowNode[], onCleanupError: (node: string, error: unknown) => void) {
    this.#nodes = new Map(nodes.map(node => [node.id, node]))
    this.#onCleanupError = onCleanupError
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

  async close(): Promise<void> {
    for (const id of [...this.#open.keys()].reverse()) await this.#closeOne(id)
  }

  async #openOne(node: FlowNode): Promise<void> {
    const instance = new node.class({ id: node.id, type: node.class.identifier, config: node.config })
    this.#open.set(node.id, instance)
    try {
      await instance.setup()
    } catch (error) {
      throw new EngineError('NODE_FAILED', `Cannot set up node "${node.id}": ${messageOf(error)}`, { cause: error })
    }
  }

  async #closeOne(id: string): Promise<void> {
    const instance = this.get(id)
    this.#open.delete(id)
    try {
      await instance.cleanup()
    } catch (error) {
      this.#onCleanupError(id, error)
    }
  }
}
