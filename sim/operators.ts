/**
 * People who look after the daemons: they stop, pause and go on with the workflow through Redis, on a connection of their
 * own that tries until it gets through, and take back later what they asked for. They also have failed items tried again.
 */

import { codeOf, EngineError } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import type { Keyspace } from '../engine/memory-redis/keyspace.ts'
import type { Redis, Reply } from '../engine/ports.ts'
import { requeueDeadLetter } from '../engine/store/inspect.ts'
import { keysOf, workflowPrefix } from '../engine/store/keys.ts'
import { desire } from '../engine/store/scripts/operator.ts'
import type { SimTime } from './clock.ts'
import type { SimServer } from './server.ts'

export type OperatorsHost = { time: SimTime; server: SimServer; graph: FlowGraph; tell(line: JsonObject): void }

export const operatorKinds = ['wish', 'requeue'] as const

/** How long one waits before asking again where Redis refused, in milliseconds. */
const againMs = 500
const backMs = 5
/** How long an operator takes to look after a loop that was given up, in milliseconds. */
const operatorMs = 20_000
/** How often one looks for an item that failed, before one gives up finding any, and how long apart, in milliseconds. */
const looksMax = 20
const lookMs = 700

export class Operators {
  readonly #host: OperatorsHost
  #tokens = 0
  #asked = false

  constructor(host: OperatorsHost) {
    this.#host = host
  }

  /** Does what a plan says, with these arguments; nothing without. */
  heed(kind: (typeof operatorKinds)[number], args: JsonObject | undefined): void {
    if (args === undefined) return
    if (kind === 'requeue') this.#host.time.after(1, () => this.#requeueOldest(Number(args.times)))
    else {
      const isLoops = args.of === 'loop' && args.loop !== '' && args.wish === 'pause'
      this.#ask(isLoops ? String(args.loop) : '', args.wish as 'stop' | 'kill' | 'pause', Number(args.ms))
    }
  }

  /** A loop was given up: somebody finds that, and has it go on, wherever it is served. */
  mend(loop: string): void {
    this.#asked = true
    this.#host.time.after(operatorMs, () => this.#takeBack(loop))
  }

  /** Asks for it, and takes it back after `ms`. */
  #ask(loop: string, wish: 'stop' | 'kill' | 'pause', ms: number): void {
    const { time } = this.#host
    this.#asked = true
    time.after(1, () => this.#put(loop, wish, () => time.after(ms, () => this.#takeBack(loop))))
  }

  /**
   * Has the oldest item that failed tried again, if one does while the run lasts. With `times` 2 somebody else, or the same
   * connection once more, asks for that at the same time.
   */
  #requeueOldest(times: number, looks = 0): void {
    const { time, server, graph } = this.#host
    const keys = keysOf(graph.workflow.id)
    const { db } = server.memory
    if (db.hget(keys.meta, 'status') === 'completed' || looks === looksMax) return
    const [id] = db.lrange(keys.deadLetterOrder, 0, 0)
    if (id === undefined) time.after(lookMs, () => this.#requeueOldest(times, looks + 1))
    else for (let i = 0; i < times; i++) void this.#requeue(id)
  }

  async #requeue(id: string): Promise<void> {
    const { time, graph, tell } = this.#host
    try {
      await requeueDeadLetter(this.#redis(), graph.workflow.id, id, { now: () => time.wall() })
      tell({ ms: time.ms, operator: 'requeues', id })
    } catch (error) {
      const code = codeOf(error)
      if (code === 'DEAD_LETTER_UNKNOWN') tell({ ms: time.ms, operator: 'finds it requeued', id })
      else time.after(againMs, () => void this.#requeue(id))
    }
  }

  #redis(): Pick<Redis, 'hget' | 'call'> {
    const { server } = this.#host
    return {
      hget: async (key, field) => server.memory.db.hget(key, field),
      call: async (script, keys, args) => {
        const run = (db: Keyspace) => script.run(db, keys, args)
        const outcome = server.execute({ ...server.name(script.name, ''), args, writes: true, run })
        if (outcome === undefined) throw new EngineError('REDIS_UNAVAILABLE', 'The connection to Redis was lost')
        if (!outcome.ok) throw outcome.error
        return outcome.reply as Reply
      },
    }
  }

  /** Nothing that was asked for holds any more. */
  takeAllBack(): void {
    if (!this.#asked) return
    for (const loop of ['', ...this.#host.graph.loops.map(({ id }) => id)]) this.#takeBack(loop)
  }

  /** Has the workflow or a loop go on. A run that is complete is not to be begun anew. */
  #takeBack(loop: string): void {
    const { server, graph } = this.#host
    const isUnfinished = server.memory.db.hget(keysOf(graph.workflow.id).meta, 'status') === 'running'
    this.#tokens += 1
    if (loop !== '') this.#put(loop, `try:operator-${this.#tokens}`)
    else this.#put(loop, isUnfinished ? `run:operator-${this.#tokens}` : '')
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
