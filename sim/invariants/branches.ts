/**
 * Of a committed iteration exactly the chosen branches ran: a step ran once if something live led to it and was skipped
 * once if not, after all that leads to it was decided. The body of a for-each went round as a whole, one round after the
 * other. Recomputed from the events and the plan, by other means than the engine's walk.
 */

import type { FlowGraph, Plan } from '../../engine/graph/flow-graph.ts'
import { foldPort } from '../../engine/graph/workflow.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

type NodeEvent = { type: 'node_started' | 'node_completed' | 'node_skipped'; node_id: string; route?: string }
/** When a step began and ended, as positions among the events of its iteration. */
type Ran = { from: number; to: number; route: string | undefined; ran: boolean }

class Branches implements Invariant {
  readonly name = 'branches'
  readonly #report: Report
  readonly #plans: ReadonlyMap<string, Plan>
  readonly #events = new Map<string, NodeEvent[]>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#plans = plansOf(graph)
  }

  event(event: EngineEvent): void {
    if (!('loop' in event) || !('iteration' in event)) return
    const at = `${event.loop} ${event.iteration}`
    if (event.type === 'iteration_started') this.#events.set(at, [])
    else if (event.type === 'iteration_failed') this.#events.delete(at)
    else if (event.type === 'iteration_completed') this.#check(event.loop, at)
    else if (event.type === 'node_started' || event.type === 'node_completed' || event.type === 'node_skipped') {
      this.#events.get(at)?.push(event)
    }
  }

  #check(loop: string, at: string): void {
    const events = this.#events.get(at)
    const plan = this.#plans.get(loop)
    this.#events.delete(at)
    if (events === undefined || plan === undefined) return
    const wrong = faultOf(plan, events, 'once')
    if (wrong !== undefined) this.#report(`the chosen branches of iteration ${at} run: ${wrong[0]}`, wrong[1])
  }
}

function plansOf({ loops }: FlowGraph): Map<string, Plan> {
  return new Map(loops.map(({ id, plan }) => [id, plan]))
}

type Fault = readonly [expected: string, seen: string]

/** What is wrong in a scope, or in a body within it. */
function faultOf(plan: Plan, events: readonly NodeEvent[], rounds: 'once' | 'any'): Fault | undefined {
  const ran = plan.steps.map(({ node }) => ranOf(events, node.id))
  const counts = ran.map(each => each.length)
  const wanted = rounds === 'once' ? 1 : (counts[0] ?? 0)
  for (const [i, { node }] of plan.steps.entries()) {
    if (counts[i] !== wanted) return [`step "${node.id}" is decided ${wanted} times`, `it was ${counts[i]} times`]
  }
  for (let round = 0; round < wanted; round++) {
    const fault = roundFault(plan, ran, round)
    if (fault !== undefined) return fault
  }
  for (const { body } of plan.steps) {
    const fault = body === undefined ? undefined : faultOf(body, events, 'any')
    if (fault !== undefined) return fault
  }
  return undefined
}

function ranOf(events: readonly NodeEvent[], id: string): Ran[] {
  const found: Ran[] = []
  for (const [at, { type, node_id, route }] of events.entries()) {
    if (node_id !== id) continue
    if (type === 'node_skipped') found.push({ from: at, to: at, route: undefined, ran: false })
    else if (type === 'node_started')
      found.push({ from: at, to: Number.POSITIVE_INFINITY, route: undefined, ran: true })
    else Object.assign(found.at(-1) ?? {}, { to: at, route })
  }
  return found
}

function roundFault(plan: Plan, ran: readonly Ran[][], round: number): Fault | undefined {
  const of = (step: number): Ran => ran[step]?.[round] as Ran
  const before = round === 0 ? -1 : Math.max(...ran.map(each => each[round - 1]?.to ?? -1))
  for (const [i, { node, incoming }] of plan.steps.entries()) {
    const here = of(i)
    const edges = incoming.map(edge => plan.edges[edge] as Plan['edges'][number])
    const live = edges.filter(
      ({ from, port }) => from === -1 || (of(from).ran && port === chosen(plan, from, of(from))),
    )
    const what = `"${node.id}" ${live.length > 0 ? 'runs' : 'is skipped'}`
    if (here.ran !== live.length > 0) return [what, here.ran ? 'it ran' : 'it was skipped']
    if (here.to === Number.POSITIVE_INFINITY) return [`"${node.id}" completes`, 'it did not']
    const last = Math.max(before, ...edges.map(({ from }) => (from === -1 ? -1 : of(from).to)))
    if (here.ran && here.from < last) return [`"${node.id}" runs after all that leads to it`, 'it ran before']
  }
  return undefined
}

/** The port by which a step was left. */
function chosen(plan: Plan, step: number, { route }: Ran): string {
  return plan.steps[step]?.node.class.kind === 'conditional' ? foldPort(route ?? '') : 'default'
}

export const branches: MakeInvariant = context => new Branches(context)
