/**
 * One loop of a workflow on its own, for a scenario about a single item: its nodes as they stand in the file, its producer
 * replaced by a reader of the queue `items`, and whatever it writes to left in queues that nobody reads.
 */
import { EngineError } from '../engine/errors.ts'
import type { FlowGraph, FlowLoop, PlanEdge, PlanStep } from '../engine/graph/flow-graph.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import { toSource } from '../engine/trace/trace.ts'

export const itemsQueue = 'items'

/** Throws `LOOP_UNKNOWN`. */
export function requireLoop(graph: FlowGraph, id: string): FlowLoop {
  const loop = graph.loops.find(each => each.id === id)
  if (loop !== undefined) return loop
  const known = graph.loops.map(each => each.id).join(', ')
  throw new EngineError('LOOP_UNKNOWN', `Cannot find loop "${id}" of workflow "${graph.workflow.id}": it has ${known}`)
}

export function cutLoop(graph: FlowGraph, loop: FlowLoop): JsonObject {
  const source = toSource(graph.workflow) as { nodes: JsonObject[]; edges: JsonObject[] } & JsonObject
  const inside = new Set(loop.nodes.map(node => node.id))
  const reader = { id: readerOf(loop), type: 'queue-reader', data: { form: { queue_name: itemsQueue } } }
  const others = source.nodes.filter(node => inside.has(node.id as string) && node.id !== reader.id)
  const edges = source.edges.filter(edge => inside.has(edge.source as string) && inside.has(edge.target as string))
  return {
    ...source,
    settings: withoutLoops(source.settings),
    nodes: [reader, ...others.map(node => withQueue(node, graph))],
    edges: [...edges, ...edgesIn(loop, reader.id)],
  }
}

/** The node that yields its items. */
export function readerOf({ producer }: FlowLoop): string {
  return producer?.id ?? 'items-reader'
}

/** A background loop begins behind a node of another one. */
function edgesIn({ producer, plan }: FlowLoop, reader: string): JsonObject[] {
  if (producer !== undefined) return []
  return plan.entry.map((edge, i) => {
    const { to } = plan.edges[edge] as PlanEdge
    return { id: `items-e${i}`, source: reader, target: (plan.steps[to] as PlanStep).node.id }
  })
}

/** A writer that is named after whoever reads it gets a name of its own: nobody does here. */
function withQueue(node: JsonObject, graph: FlowGraph): JsonObject {
  const known = graph.nodes.get(node.id as string)
  const data = node.data as { form: JsonObject }
  if (known?.class.queueRole !== 'writer' || data.form.queue_name) return node
  return { ...node, data: { ...data, form: { ...data.form, queue_name: `from-${node.id}` } } }
}

/** Pools, replicas and queues of loops that are not there. */
function withoutLoops(settings: Json | undefined): JsonObject {
  const { loops: _, queues: __, ...kept } = settings as JsonObject
  return kept
}
