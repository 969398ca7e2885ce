/**
 * Decides what runs next from a plan: dead-path elimination (1.3), and nothing else. Pure bookkeeping: no time, no I/O, no
 * node is touched here, so that runners, reference and replay can't disagree about it.
 *
 * W1 a step is decided once, when all its incoming edges are. W2 it runs if at least one is live, else it is skipped and
 * its outgoing edges are dead.
 */
import { assert } from '../errors.ts'
import type { Plan, PlanEdge, PlanStep } from '../graph/flow-graph.ts'

export type Decided = { step: number; live: boolean }

export class Walk {
  readonly #plan: Plan
  readonly #live: (boolean | undefined)[]
  readonly #open: number[]

  constructor(plan: Plan) {
    this.#plan = plan
    this.#live = new Array(plan.edges.length)
    this.#open = plan.steps.map(step => step.incoming.length)
  }

  /** The scope begins: all edges out of the entry are live. What is decided by that, in order. */
  begin(): Decided[] {
    const decided: Decided[] = []
    for (const edge of this.#plan.entry) this.#settle(edge, true, decided)
    return decided
  }

  /** A step completed and chose `route`: its edges of that port live, the others die. What is decided by that, in order. */
  complete(step: number, route: string): Decided[] {
    const decided: Decided[] = []
    for (const edge of this.#outgoing(step)) this.#settle(edge, this.#plan.edges[edge]?.port === route, decided)
    return decided
  }

  /** The live edges into a decided step, in edge order. */
  liveInputs(step: PlanStep): number[] {
    return step.incoming.filter(edge => this.#live[edge] === true)
  }

  /** Whether nothing goes on from a completed step: its output is an end of the scope. */
  isEnd(step: number): boolean {
    return this.#outgoing(step).every(edge => this.#live[edge] === false)
  }

  #outgoing(step: number): readonly number[] {
    return this.#plan.steps[step]?.outgoing ?? []
  }

  /** Settles an edge, and the edges of all that is skipped by it: a worklist, for a dead path may be very long. */
  #settle(first: number, live: boolean, decided: Decided[]): void {
    let dead: number[] | undefined
    for (let edge: number | undefined = first; edge !== undefined; edge = dead?.pop()) {
      assert(this.#live[edge] === undefined, () => `Edge ${edge} is settled once`)
      const isLive = live && edge === first
      this.#live[edge] = isLive
      const to = (this.#plan.edges[edge] as PlanEdge).to
      const open = (this.#open[to] as number) - 1
      this.#open[to] = open
      if (open > 0) continue
      const runs = isLive || this.#plan.steps[to]?.incoming.some(input => this.#live[input] === true) === true
      decided.push({ step: to, live: runs })
      if (runs) continue
      dead ??= []
      dead.push(...this.#outgoing(to).toReversed())
    }
  }
}
