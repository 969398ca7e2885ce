/**
 * What runs inside any worker, real or simulated: one replica of a loop, whole, and nothing else. It loads the workflow
 * again from its file, says what version it speaks, obeys orders, and tells what happens in batches.
 *
 * K1 `hello` comes first and `end` last, each once. K2 everything told before the end has arrived before it.
 */
import { EngineError, messageOf, toErrorRecord } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import type { Ports } from '../ports.ts'
import type { EngineEvent } from '../trace/events.ts'
import type { TraceLine } from '../trace/trace.ts'
import { LoopControl } from './loop-control.ts'
import { type FromWorker, type LoopTask, poolProtocol, type ServeEnd, type ToWorker } from './pool-protocol.ts'
import type { Pulse } from './pulse.ts'
import { type OpenReplica, openReplica } from './serve-replica.ts'

export type WorkerHost = {
  ports: Ports
  /** Loads a workflow file with the node classes of this worker. */
  load(source: LoopTask['workflow']): FlowGraph
  pulse: Pulse
  post(message: FromWorker): void
}

export class LoopInWorker {
  readonly #task: LoopTask
  readonly #host: WorkerHost
  readonly #control = new LoopControl()
  readonly #told: Batches
  #replica: OpenReplica | undefined
  /** Settles, and never rejects, when the end was told: whoever hosts the worker may end it then. */
  readonly done: Promise<void>

  constructor(task: LoopTask, host: WorkerHost) {
    this.#task = task
    this.#host = host
    this.#told = new Batches(host)
    host.post({ kind: 'hello', protocol: poolProtocol })
    this.done = this.#serve().then(end => {
      this.#told.flush()
      host.post({ kind: 'end', end })
    })
  }

  receive(message: ToWorker): void {
    if (message.kind === 'abort') {
      this.#control.abort(new EngineError('ITERATION_ABORTED', message.reason.message))
    } else if (message.kind === 'fence') this.#replica?.store.fence()
    else this.#control[message.kind]()
  }

  async #serve(): Promise<ServeEnd> {
    try {
      const { graph, loop } = this.#load()
      this.#replica = this.#open(graph, loop)
      return { result: await this.#replica.serve() }
    } catch (error) {
      return { result: 'lost', error: toErrorRecord(error) }
    }
  }

  #load(): { graph: FlowGraph; loop: FlowLoop } {
    const { protocol, workflow, loop: id } = this.#task
    const refuse = (why: string): never => {
      throw new EngineError('WORKER_REFUSED', `Cannot run loop "${id}" in this worker: ${why}; restart the daemon`)
    }
    if (protocol !== poolProtocol) refuse(`its daemon speaks version ${protocol}, the worker version ${poolProtocol}`)
    const graph = this.#host.load(workflow)
    if (graph.hash !== workflow.hash) refuse(`it loads workflow "${workflow.name}" as another definition`)
    const loop = graph.loops.find(each => each.id === id) ?? refuse('its workflow has no such loop')
    return { graph, loop }
  }

  #open(graph: FlowGraph, loop: FlowLoop): OpenReplica {
    const { run, replica, lease, lastDeath, records } = this.#task
    const { ports, pulse, post } = this.#host
    return openReplica({
      graph,
      loop,
      run,
      replica,
      lease,
      lastDeath,
      ports,
      pulse,
      control: this.#control,
      // a worker that is killed does not notice
      killed: new AbortController().signal,
      emit: event => this.#told.event(event),
      record: records ? line => this.#told.line(line) : undefined,
      onActivity: activity => this.#told.activity(activity),
      onRetry: error => {
        const { code } = toErrorRecord(error)
        post({ kind: 'waits', code, message: messageOf(error) })
      },
    })
  }
}

/** Events and trace lines on their way, together and in order. */
class Batches {
  readonly #host: WorkerHost
  #events: EngineEvent[] = []
  #lines: TraceLine[] = []
  #isDue = false
  #activity = 'waiting'

  constructor(host: WorkerHost) {
    this.#host = host
  }

  activity(activity: 'busy' | 'waiting'): void {
    if (activity === this.#activity) return
    this.#activity = activity
    this.flush()
    this.#host.post({ kind: 'activity', activity })
  }

  event(event: EngineEvent): void {
    this.#events.push(event)
    this.#schedule()
  }
  line(line: TraceLine): void {
    this.#lines.push(line)
    this.#schedule()
  }
  flush(): void {
    if (this.#events.length + this.#lines.length === 0) return
    this.#host.post({ kind: 'batch', events: this.#events, lines: this.#lines })
    this.#events = []
    this.#lines = []
  }

  #schedule(): void {
    if (this.#events.length + this.#lines.length >= limits.batchEventsMax) this.flush()
    if (this.#isDue) return
    this.#isDue = true
    void this.#host.ports.clock.sleep(limits.batchMs).then(() => {
      this.#isDue = false
      this.flush()
    })
  }
}
