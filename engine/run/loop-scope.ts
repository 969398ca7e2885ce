/** What all iterations of one replica share; made by the runner, read by iterations and contexts. */
import type { FlowGraph, FlowLoop, Queue } from '../graph/flow-graph.ts'
import type { Json } from '../json.ts'
import type { Ports } from '../ports.ts'
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
  /** Committed state of this replica's nodes; replaced entry by entry as commits succeed. */
  state: Map<string, Json>
  runtime: ReadonlyMap<string, Json>
  /** Stores when a delay ends, once (epoch milliseconds); answers the stored time. */
  delayUntil: (field: string, wakeAt: number) => Promise<number>
}
