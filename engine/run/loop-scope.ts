/** What all iterations of one replica share; made by the runner, read by iterations and contexts. */
import type { FlowGraph, FlowLoop, Queue } from '../graph/flow-graph.ts'
import type { Json } from '../json.ts'
import type { Ports } from '../ports.ts'
import type { EngineEvent } from '../trace/events.ts'
import type { Deadlines } from './deadlines.ts'
import type { Instances } from './instances.ts'

type Stamp = 'time' | 'workflow_id' | 'run' | 'loop'
type Unstamped<E> = E extends { loop: string } ? Omit<E, Stamp> : never

/** An event of this loop, before it gets its time, workflow, run and loop. */
export type LoopEvent = Unstamped<EngineEvent>

export type LoopScope = {
  graph: FlowGraph
  loop: FlowLoop
  queues: ReadonlyMap<string, Queue>
  run: { id: string; seed: string }
  ports: Ports
  instances: Instances
  deadlines: Deadlines
  emit: (event: LoopEvent) => void
  /** Committed state of this replica's nodes; replaced entry by entry as commits succeed. */
  state: Map<string, Json>
  runtime: ReadonlyMap<string, Json>
  /** Stores when a delay ends, once (epoch milliseconds); answers the stored time. */
  delayUntil: (field: string, wakeAt: number) => Promise<number>
}
