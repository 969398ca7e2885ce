/** What all iterations of one replica share; made by the runner, read by iterations and contexts. */
import type { FlowGraph, FlowLoop, Queue } from '../graph/flow-graph.ts'
import type { Ports } from '../ports.ts'
import type { Witness } from '../trace/witness.ts'
import type { Deadlines } from './deadlines.ts'
import type { Instances } from './instances.ts'
import type { LoopEvents } from './loop-events.ts'

export type LoopScope = {
  graph: FlowGraph
  loop: FlowLoop
  queues: ReadonlyMap<string, Queue>
  run: { id: string; seed: string }
  ports: Ports
  instances: Instances
  deadlines: Deadlines
  events: LoopEvents
  /** State of this replica's nodes after the last finished iteration, by node id, as JSON text. */
  state: Map<string, string>
  /** Variables of the run by name, as JSON text. */
  runtime: ReadonlyMap<string, string>
  /** Stores when a delay ends, once (epoch milliseconds); answers the stored time. */
  delayUntil: (field: string, wakeAt: number) => Promise<number>
  /** Makes the one that watches an iteration, when it is recorded or replayed. */
  witness?: () => Witness | undefined
}
