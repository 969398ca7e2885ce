/** The daemon's engine behind the face that a simulated process drives: one workflow, served until somebody stops it. */
import { FlowDaemon, type ReloadReport } from '../engine/flow-daemon.ts'
import type { RunEnd } from '../engine/flow-engine.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { EngineEvent } from '../engine/trace/events.ts'
import type { Engine, StartOptions } from './instance.ts'

export class DaemonEngine implements Engine {
  readonly done: Promise<RunEnd>
  readonly #daemon: FlowDaemon
  readonly #graph: FlowGraph
  #end: (end: RunEnd) => void = () => undefined

  constructor({ graph, ports, pools, onEvent, recordOf }: Omit<StartOptions, 'serving'>) {
    this.#graph = graph
    this.done = new Promise(resolve => {
      this.#end = resolve
    })
    this.#daemon = new FlowDaemon({
      ports,
      pools,
      about: { host: 'sim', version: '0' },
      onEvent: event => {
        onEvent(event)
        this.#see(event)
      },
      recordOf,
    })
  }

  start(): Promise<void> {
    return this.#daemon.open([this.#graph])
  }
  async stop(): Promise<void> {
    await this.#daemon.stop()
    this.#end({ status: 'stopped' })
  }
  async reloadDaemon(graph: FlowGraph): Promise<ReloadReport> {
    const [report] = await this.#daemon.reload([graph])
    return report as ReloadReport
  }
  get isAtRest(): boolean {
    return !this.#daemon.isAtWork
  }

  /** A daemon goes on whatever happens to a workflow; a bug of the engine is nothing to go on after. */
  #see(event: EngineEvent): void {
    if (event.type === 'workflow_failed' && !/^(REDIS_|WORKFLOW_CHANGED$)/.test(event.error.code)) {
      this.#end({ status: 'failed', error: event.error })
    } else if (event.type === 'warning' && event.code === 'BUG') {
      this.#end({ status: 'failed', error: { name: 'AssertionError', code: 'BUG', message: event.message } })
    }
  }
}
