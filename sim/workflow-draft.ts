/** A workflow file in the making: nodes, edges, and the open ends to which the next node is connected. */
import type { JsonObject } from '../engine/json.ts'

export type End = { node: string; handle?: string }

const stateful = new Set(['dynamic-delay-node'])
/** Those that have no time limit of their own, and must not get one. */
const untimed = /delay|producer|counter|reader|timer|background/
/** Longer than any node here takes, and short enough that a hanging one does not make an hour of idle steps. */
const timeoutSeconds = 20

export class WorkflowDraft {
  readonly #nodes: { id: string; type: string; form: JsonObject }[] = []
  readonly #edges: { source: string; target: string; sourceHandle: string | null }[] = []
  readonly #loops: Record<string, JsonObject> = {}
  #ends: readonly End[] = []
  /** Whether the open ends are behind a cut: what follows is a loop of its own. */
  isInBackground = false

  add(id: string, type: string, form: JsonObject): string {
    this.#nodes.push({ id, type, form })
    return id
  }

  /** The next node is connected to these. */
  from(ends: readonly End[]): void {
    this.#ends = ends
    this.isInBackground = false
  }

  /** Adds a node behind all open ends: a join, if there are several. It is the only end then. */
  next(id: string, type: string, form: JsonObject): string {
    this.add(id, type, form)
    for (const { node, handle } of this.#ends) this.connect(node, id, handle)
    this.#ends = [{ node: id }]
    if (type === 'background') this.isInBackground = true
    return id
  }

  /** Adds nodes side by side behind each a given end; all of them are open ends. */
  fork(branches: readonly { from: End; id: string; form: JsonObject }[]): void {
    this.#ends = branches.map(({ from, id, form }) => {
      this.connect(from.node, this.add(id, 'data-transformer', form), from.handle)
      return { node: id }
    })
  }

  connect(source: string, target: string, handle?: string): void {
    this.#edges.push({ source, target, sourceHandle: handle ?? null })
  }

  /** Whether a queue edge comes or goes here. */
  isConnected(node: string): boolean {
    const isWriter = (id: string): boolean => this.#nodes.find(each => each.id === id)?.type === 'queue-writer'
    return this.#edges.some(edge => isWriter(edge.source) && (edge.source === node || edge.target === node))
  }

  form(node: string): JsonObject {
    return this.#nodes.find(({ id }) => id === node)?.form as JsonObject
  }

  /** Whether a node between this one and its writers keeps state. */
  keepsState(from: string): boolean {
    const type = this.#nodes.find(({ id }) => id === from)?.type ?? ''
    if (stateful.has(type)) return true
    return type !== 'queue-writer' && this.#edges.some(edge => edge.source === from && this.keepsState(edge.target))
  }

  setLoop(loop: string, settings: JsonObject): void {
    this.#loops[loop] = { ...this.#loops[loop], ...settings }
  }

  workflow(queueLength: number): JsonObject {
    return {
      id: 'generated',
      settings: { queues: { max_length: queueLength }, loops: this.#loops },
      nodes: this.#nodes.map(({ id, type, form }) => ({ id, type, data: { form, config: configOf(type) } })),
      edges: this.#edges.map((edge, i) => ({ id: `e${i}`, ...edge })),
    }
  }
}

function configOf(type: string): JsonObject {
  return untimed.test(type) ? {} : { timeout_seconds: timeoutSeconds }
}
