/**
 * A loop is given up only after so many crashes in a row that its daemon saw nothing processed in between. (That no
 * worker is ended that is well, and none begins anything that drains, is seen where the workers are: `pools.ts`.)
 */
import { limits } from '../../engine/limits.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

const crashes: ReadonlySet<string> = new Set(['LOOP_CRASHED', 'LOOP_STALLED', 'WORKER_REFUSED'])

class Supervision implements Invariant {
  readonly name = 'supervision'
  readonly #report: Report
  readonly #alone: ReadonlySet<string>
  /** By life of a daemon, and loop. */
  readonly #inARow = new Map<string, number>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#alone = new Set(graph.loops.filter(({ replicas }) => replicas === 1).map(({ id }) => id))
  }

  event(event: EngineEvent, teller: string): void {
    const isProgress = event.type === 'iteration_completed' || event.type === 'iteration_failed'
    if (event.type !== 'warning' && (!isProgress || this.#inARow.size === 0)) return
    const { loop } = event
    if (loop === undefined || !this.#alone.has(loop)) return
    const key = `${teller.split('/', 1)[0]} ${loop}`
    const before = this.#inARow.get(key) ?? 0
    if (isProgress) this.#inARow.delete(key)
    if (event.type !== 'warning') return
    if (crashes.has(event.code)) this.#inARow.set(key, before + 1)
    if (event.code !== 'LOOP_FAILED') return
    this.#inARow.delete(key)
    if (before > limits.crashesMax) return
    this.#report(
      `loop "${loop}" is given up after more than ${limits.crashesMax} crashes in a row`,
      `it was after ${before}`,
    )
  }
}

export const supervision: MakeInvariant = context => new Supervision(context)
