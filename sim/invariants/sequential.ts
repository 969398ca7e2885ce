/**
 * Iterations of a loop with one replica come strictly one after the other: none starts while another runs, nodes run
 * only inside one, and a commit is always that of the iteration after the last committed one.
 */
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

class Sequential implements Invariant {
  readonly name = 'sequential'
  readonly #report: Report
  readonly #loops: ReadonlySet<string>
  /** The iteration that each loop is in. */
  readonly #open = new Map<string, number>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#loops = new Set(graph.loops.filter(loop => loop.replicas === 1).map(loop => loop.id))
  }

  reborn(): void {
    this.#open.clear()
  }

  event(event: EngineEvent): void {
    if (!('loop' in event) || event.loop === undefined || !this.#loops.has(event.loop)) return
    const open = this.#open.get(event.loop)
    if (event.type === 'loop_started') this.#open.delete(event.loop)
    else if (event.type === 'iteration_started') {
      if (open !== undefined)
        this.#report(`iteration ${open} of "${event.loop}" ends first`, `iteration ${event.iteration} started`)
      this.#open.set(event.loop, event.iteration)
    } else if ('iteration' in event && event.type !== 'dead_letter') this.#inside(event, open)
  }

  #inside(event: EngineEvent & { loop: string; iteration: number }, open: number | undefined): void {
    if (open !== event.iteration) {
      const now = open === undefined ? 'no iteration runs' : `iteration ${open} runs`
      this.#report(
        `${event.type} of "${event.loop}" belongs to the iteration that runs`,
        `it says ${event.iteration}, and ${now}`,
      )
    }
    if (event.type === 'iteration_completed' || event.type === 'iteration_failed') this.#open.delete(event.loop)
  }

  /** A commit while no iteration runs, or more claims than iterations, would have gone past the runner. */
  applied({ op, loop, moves, outcome }: Applied): void {
    if (op !== 'commit' || !this.#loops.has(loop) || !outcome.ok) return
    const released = moves.filter(move => move.kind === 'out' && move.key.includes(':c:')).length
    if (released > 1)
      this.#report(`a commit of "${loop}" releases the claim of its one iteration`, `it released ${released}`)
  }
}

export const sequential: MakeInvariant = context => new Sequential(context)
