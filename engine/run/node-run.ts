/**
 * A node at work on one item, until it lets go. It is its own deadline: a record less for every hop.
 */
import type { FlowNode } from '../graph/flow-graph.ts'
import type { JsonObject } from '../json.ts'
import type { NodeResult } from '../node/node.ts'
import type { Deadline } from './deadlines.ts'
import type { Iteration } from './iteration.ts'

/** Whether what happens to a node is told as it happens, or later by whoever asked it. */
export type Announce = 'announced' | 'silent'

export class NodeRun implements Deadline {
  readonly node: FlowNode
  /** The node's id, and inside for-each bodies also the elements it runs for. */
  readonly place: string
  /** Monotonic milliseconds, as `atMs`. */
  readonly startedMs: number
  readonly atMs: number
  announce: Announce = 'announced'
  /** As rendered for this item, once it is. */
  form: JsonObject | undefined
  /** What ends it: itself, or whoever watches it. */
  deadline: Deadline = this
  /** From the moment it was asked. */
  work: Promise<NodeResult> | undefined
  readonly #iteration: Iteration

  constructor(node: FlowNode, iteration: Iteration, place: string, startedMs: number) {
    this.node = node
    this.place = place
    this.startedMs = startedMs
    this.atMs = node.timeoutMs === 0 ? Number.POSITIVE_INFINITY : startedMs + node.timeoutMs
    this.#iteration = iteration
  }

  expire(): void {
    this.#iteration.timeUp(this)
  }
}
