/**
 * A developer's session: node instances that live from call to call, with their state, so that a stateful producer steps
 * through its items. It lives in this process only and ends when it is idle, reset, or one too many.
 *
 * D1 an instance is cleaned up exactly once. D2 calls of one session run one after another: they share instances.
 */
import type { FlowNode } from '../graph/flow-graph.ts'
import { type Json, jsonEqual } from '../json.ts'
import { limits } from '../limits.ts'
import type { Clock } from '../ports.ts'
import { Instances } from './instances.ts'

export class DevSession {
  readonly id: string
  /** By node id, as JSON text. */
  readonly state = new Map<string, string>()
  readonly runtime = new Map<string, string>()
  /** How far a for-each is, by node id. */
  readonly elements = new Map<string, { index: number; results: Json[] }>()
  /** How often each node ran. */
  readonly calls = new Map<string, number>()
  usedMs: number
  readonly #clock: Clock
  readonly #instances = new Map<string, { nodes: readonly FlowNode[]; instances: Instances }>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(id: string, clock: Clock) {
    this.id = id
    this.#clock = clock
    this.usedMs = clock.monotonic()
  }

  /** Runs `work` after what was asked of this session before. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** The instances of a node and of the body that runs with it, kept while classes and configurations stay. */
  async open(node: FlowNode, nodes: readonly FlowNode[], aborted: AbortSignal): Promise<Instances> {
    const known = this.#instances.get(node.id)
    const isSame = known !== undefined && sameNodes(known.nodes, nodes)
    if (isSame) return known.instances
    await this.#close(node.id)
    const instances = new Instances(nodes, { clock: this.#clock, aborted, onCleanupError: () => undefined })
    this.#instances.set(node.id, { nodes, instances })
    await instances.open()
    return instances
  }

  /** Forgets a node's instance and state; without a node, all of them. */
  async reset(nodeId?: string): Promise<void> {
    for (const id of nodeId === undefined ? [...this.#instances.keys()] : [nodeId]) await this.#close(id)
    const maps: Map<string, unknown>[] = [this.state, this.elements, this.calls]
    for (const map of maps) {
      if (nodeId === undefined) map.clear()
      else map.delete(nodeId)
    }
    if (nodeId === undefined) this.runtime.clear()
  }

  async #close(nodeId: string): Promise<void> {
    const known = this.#instances.get(nodeId)
    this.#instances.delete(nodeId)
    await known?.instances.close()
  }
}

function sameNodes(a: readonly FlowNode[], b: readonly FlowNode[]): boolean {
  const same = (one: FlowNode, other: FlowNode | undefined) =>
    one.id === other?.id && one.class === other.class && jsonEqual(one.config, other.config)
  return a.length === b.length && a.every((node, i) => same(node, b[i]))
}

/** The sessions of one process. Nothing ticks: what is idle goes when the next one is asked for. */
export class DevSessions {
  readonly #clock: Clock
  readonly #sessions = new Map<string, DevSession>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The session of this id, begun when there is none. */
  async get(id: string): Promise<DevSession> {
    const now = this.#clock.monotonic()
    const session = this.#sessions.get(id) ?? new DevSession(id, this.#clock)
    session.usedMs = now
    // the one used last stands last
    this.#sessions.delete(id)
    this.#sessions.set(id, session)
    await this.#tidy(now)
    return session
  }

  async end(id: string): Promise<void> {
    const session = this.#sessions.get(id)
    this.#sessions.delete(id)
    await session?.inTurn(() => session.reset())
  }

  async close(): Promise<void> {
    for (const id of [...this.#sessions.keys()]) await this.end(id)
  }

  async #tidy(now: number): Promise<void> {
    for (const [id, { usedMs }] of [...this.#sessions]) {
      const isIdle = now - usedMs > limits.devSessionIdleMs
      if (isIdle || this.#sessions.size > limits.devSessionsMax) await this.end(id)
    }
  }
}
