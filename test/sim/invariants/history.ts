/** What an invariant reports of a history that a test makes up. */
import type { FlowGraph } from '../../../engine/graph/flow-graph.ts'
import type { EngineEvent } from '../../../engine/trace/events.ts'
import type { Invariant, MakeInvariant } from '../../../sim/invariants/invariant.ts'

export function reports(make: MakeInvariant, graph: FlowGraph, history: (invariant: Invariant) => void): string[] {
  const seen: string[] = []
  const invariant = make({ graph, report: (_expected, what) => seen.push(what) })
  history(invariant)
  return seen
}

/** An event of iteration 1 of loop `loop`, with what matters to the test. */
export function eventOf(type: EngineEvent['type'], more: Record<string, unknown> = {}, loop = 'count'): EngineEvent {
  return { type, time: 0, workflow_id: 'w', run: 'run-1', loop, iteration: 1, ...more } as unknown as EngineEvent
}
