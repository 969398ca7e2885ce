/**
 * The requests of api workflows that a process answers: one runner for each definition, made when it is first asked. A
 * changed definition gets a runner of its own, and what runs by the old one ends by it.
 *
 * R1 every request gets one answer, or is refused before anything of it began. R2 once it drains nothing begins; what
 * runs is waited for so long, and then aborted.
 */
import { EngineError } from '../errors.ts'
import type { FlowGraph } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import type { Ports } from '../ports.ts'
import type { EventSink } from '../trace/events.ts'
import type { RecordOf } from '../trace/trace.ts'
import { type ApiAnswer, type ApiRequest, ApiRunner } from './api-runner.ts'

export type ApiRequestsOptions = {
  ports: Ports
  onEvent: EventSink
  recordOf?: RecordOf | undefined
  /** How many may run at once. */
  runningMax?: number
}

export class ApiRequests {
  readonly #options: ApiRequestsOptions
  /** By workflow. */
  readonly #runners = new Map<string, { hash: string; runner: ApiRunner }>()
  readonly #busy = new Map<Promise<ApiAnswer>, ApiRunner>()
  #isDraining = false

  constructor(options: ApiRequestsOptions) {
    this.#options = options
  }

  /** How many requests run now. */
  get running(): number {
    return this.#busy.size
  }

  /** See `ApiRunner.execute`. Rejects with `DRAINING` or `OVERLOADED`; nothing of the request began then. */
  async execute(graph: FlowGraph, request: ApiRequest): Promise<ApiAnswer> {
    this.#refuse()
    const runner = this.#runnerOf(graph)
    const answer = runner.execute(request)
    this.#busy.set(answer, runner)
    try {
      return await answer
    } finally {
      this.#busy.delete(answer)
    }
  }

  /** Begins nothing new; resolves when what runs has ended, which is aborted after `drainMs`. */
  async drain(drainMs: number): Promise<void> {
    this.#isDraining = true
    const drained = new AbortController()
    this.#options.ports.clock.sleep(drainMs, drained.signal).then(
      () => this.abort(),
      () => undefined,
    )
    await Promise.all(this.#busy.keys())
    drained.abort()
  }

  /** Aborts what runs: each of them answers so. */
  abort(): void {
    this.#isDraining = true
    for (const runner of new Set(this.#busy.values())) runner.close()
  }

  #refuse(): void {
    if (this.#isDraining) throw new EngineError('DRAINING', 'Cannot begin: the daemon stops; ask again later')
    const { runningMax = limits.requestsMax } = this.#options
    if (this.#busy.size < runningMax) return
    const many = `${runningMax} requests run already`
    throw new EngineError('OVERLOADED', `Cannot begin: ${many}; ask again later`)
  }

  #runnerOf(graph: FlowGraph): ApiRunner {
    const { id } = graph.workflow
    const known = this.#runners.get(id)
    if (known?.hash === graph.hash) return known.runner
    const { ports, onEvent, recordOf } = this.#options
    const runner = new ApiRunner({ graph, ports, onEvent, record: recordOf?.(graph) })
    this.#runners.set(id, { hash: graph.hash, runner })
    return runner
  }
}
