/**
 * The shapes a loaded workflow has: the parsed file, the graph, its loops, queues and plans. Data only; after loading
 * nothing here ever changes. `load-workflow.ts` makes it, `run/` walks it.
 */
import type { JsonObject } from '../json.ts'
import type { CompiledForm } from '../node/form.ts'
import type { NodeClass, Pool, WorkflowType } from '../node/node.ts'

export type NodeId = string
export type LoopId = string
export type QueueName = string

/** Something wrong (or, as a warning, odd) in a workflow file. `pointer` is a JSON pointer into the file as given. */
export type Problem = { pointer: string; code: string; message: string; hint?: string }

export type LoopSettings = { pool?: Pool; replicas?: number; memory_mb?: number }
export type Settings = {
  queues: { max_length: number }
  dead_letters: { max: number }
  loops: Record<LoopId, LoopSettings>
  strict_templates: boolean
  max_deliveries: number
  drain_timeout_seconds: number
  lease_seconds: number
}

/** A workflow file of any of the three shapes, normalised. `port` is the folded branch key. */
export type WorkflowNode = { id: NodeId; type: string; form: JsonObject; config: JsonObject; pointer: string }
export type WorkflowEdge = { id: string; source: NodeId; target: NodeId; port: string; pointer: string }
export type Workflow = {
  id: string
  name: string
  type: WorkflowType
  env: JsonObject
  settings: Settings
  /** The settings of these that the file does not have: its host set them. They are no part of the definition. */
  fromHost?: readonly (keyof Settings)[]
  nodes: WorkflowNode[]
  edges: WorkflowEdge[]
}

/** A node of the graph: its class and its form, compiled once. */
export type FlowNode = {
  id: NodeId
  class: NodeClass
  config: JsonObject
  form: CompiledForm
  ports: readonly string[]
  /** Milliseconds; 0 = no limit. */
  timeoutMs: number
  /** What this node puts out is pushed to these when the iteration commits (writers; non-blocking nodes before a background loop). */
  targets: readonly QueueName[]
}

export type Queue = {
  name: QueueName
  writers: readonly NodeId[]
  /** Node ids of readers; the loop's id for an implicit queue. */
  readers: readonly NodeId[]
  /** Items; 0 = no limit (also for queues inside a cycle of loops). */
  maxLength: number
  background: boolean
}

/** An edge inside a plan. `from` -1 is the entry: the producer's item, or the element of a for-each. */
export type PlanEdge = { from: number; to: number; port: string }

/** One node of a plan. Indices point into `steps` and `edges` of the same plan. */
export type PlanStep = {
  node: FlowNode
  /** In the order of the file: the order of a merge. */
  incoming: readonly number[]
  outgoing: readonly number[]
  /** The nearest common dominator of the incoming edges' sources: the base of the merge; -1 is the entry. */
  base: number
  /** The body of a loop node. */
  body?: Plan
}

/** One scope (a loop, or the body of a for-each), steps in topological order. */
export type Plan = {
  steps: readonly PlanStep[]
  edges: readonly PlanEdge[]
  /** Edges that leave the entry. */
  entry: readonly number[]
  /** Steps without outgoing edges, in plan order. */
  sinks: readonly number[]
}

export type FlowLoop = {
  id: LoopId
  /** Undefined for a background loop: its producer is an implicit queue reader. */
  producer: FlowNode | undefined
  producerType: string
  background: boolean
  pool: Pool
  replicas: number
  /** Its items come from outside (a webhook): it never completes. */
  endless: boolean
  /** The queues it reads, in turn; empty for producers with a source of their own. */
  sources: readonly QueueName[]
  /** Loops outside its own cycle that write to its sources: all must have ended before it can. */
  upstream: readonly LoopId[]
  /** The loops of its cycle, itself included; they end together. Just itself when it is in no cycle. */
  cycle: readonly LoopId[]
  /** The loops that read what it writes. */
  downstream: readonly LoopId[]
  /** All its nodes, bodies included, producer first. */
  nodes: readonly FlowNode[]
  plan: Plan
  /** Changes when anything changes that its runners read. */
  hash: string
}

export type FlowGraph = {
  workflow: Workflow
  /** Changes when anything that matters for running changes; not with positions and labels. */
  hash: string
  nodes: ReadonlyMap<NodeId, FlowNode>
  loops: readonly FlowLoop[]
  queues: readonly Queue[]
  warnings: readonly Problem[]
}
