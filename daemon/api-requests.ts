/**
 * The api workflows that this process answers for: one runner for each definition, made when it is first asked. A changed
 * definition gets a runner of its own, and what runs by the old one ends by it.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { Ports } from '../engine/ports.ts'
import { type ApiAnswer, type ApiRequest, ApiRunner } from '../engine/run/api-runner.ts'
import type { EventSink } from '../engine/trace/events.ts'

export class ApiRequests {
  readonly #ports: Ports
  readonly #onEvent: EventSink
  /** By workflow. */
  readonly #runners = new Map<string, { hash: string; runner: ApiRunner }>()
  readonly #busy = new Set<Promise<ApiAnswer>>()

  constructor(ports: Ports, onEvent: EventSink) {
    this.#ports = ports
    this.#onEvent = onEvent
  }

  /** How many requests run now. */
  get running(): number {
    return this.#busy.size
  }

  /** Never rejects; see `ApiRunner.execute`. */
  async execute(graph: FlowGraph, request: ApiRequest): Promise<ApiAnswer> {
    const answer = this.#runnerOf(graph).execute(request)
    this.#busy.add(answer)
    try {
      return await answer
    } finally {
      this.#busy.delete(answer)
    }
  }

  /** Resolves when those that run now have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#busy)
  }

  #runnerOf(graph: FlowGraph): ApiRunner {
    const { id } = graph.workflow
    const known = this.#runners.get(id)
    if (known?.hash === graph.hash) return known.runner
    const runner = new ApiRunner({ graph, ports: this.#ports, onEvent: this.#onEvent })
    this.#runners.set(id, { hash: graph.hash, runner })
    return runner
  }
}
