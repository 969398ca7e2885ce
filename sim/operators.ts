/**
 * People who look after the daemons: they stop, pause and go on with the workflow through Redis, on a connection of their
 * own that tries until it gets through, and take back later what they asked for.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import { keysOf, workflowPrefix } from '../engine/store/keys.ts'
import { desire } from '../engine/store/scripts/operator.ts'
import type { SimTime } from './clock.ts'
import type { SimServer } from './server.ts'

export type OperatorsHost = { time: SimTime; server: SimServer; graph: FlowGraph; tell(line: JsonObject): void }

/** How long one waits before asking again where Redis refused, in milliseconds. */
const againMs = 500
const backMs = 5

export class Operators {
  readonly #host: OperatorsHost
  #tokens = 0
  #asked = false

  constructor(host: OperatorsHost) {
    this.#host = host
  }

  /** Asks for it, and takes it back after `ms`. */
  ask(loop: string, wish: 'stop' | 'kill' | 'pause', ms: number): void {
    const { time } = this.#host
    this.#asked = true
    time.after(1, () => this.#put(loop, wish, () => time.after(ms, () => this.#takeBack(loop))))
  }

  /** Nothing that was asked for holds any more. */
  takeAllBack(): void {
    if (!this.#asked) return
    for (const loop of ['', ...this.#host.graph.loops.map(({ id }) => id)]) this.#takeBack(loop)
  }

  /** A run that is complete is not to be begun anew. */
  #takeBack(loop: string): void {
    const { server, graph } = this.#host
    const isUnfinished = server.memory.db.hget(keysOf(graph.workflow.id).meta, 'status') === 'running'
    this.#tokens += 1
    this.#put(loop, loop === '' && isUnfinished ? `run:operator-${this.#tokens}` : '')
  }

  #put(loop: string, wish: string, then = (): unknown => undefined): void {
    const { time, server, graph, tell } = this.#host
    const args = [loop, wish, '*']
    const prefix = workflowPrefix(graph.workflow.id)
    const run = (db: Parameters<typeof desire.run>[0]) => desire.run(db, [prefix], args)
    const outcome = server.execute({ ...server.name('desire', ''), args, writes: true, run })
    if (outcome?.ok === true) {
      tell({ ms: time.ms, operator: wish === '' ? 'no more' : wish, loop })
      then()
    } else time.after(outcome === undefined ? backMs : againMs, () => this.#put(loop, wish, then))
  }
}
