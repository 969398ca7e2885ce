/**
 * Nodes and edges of the file, resolved: every node with its class, every edge between two nodes that exist, through a
 * port that its source offers, and known to be either a queue edge (writer → reader) or an execution edge. What does
 * not resolve is reported and left out, and the rest goes on, so that one load finds all problems.
 */
import type { FlowNode } from './flow-graph.ts'
import { type ValidationContext, validateNode } from './node-validator.ts'
import { type Problems, quoted } from './problems.ts'
import type { ParsedEdge, ParsedNode, ParsedWorkflow } from './workflow.ts'

export type GraphNode = { index: number; flow: FlowNode; parsed: ParsedNode; hasPorts: boolean }
/** `index` is the place in the file; `port` is folded, and `subdag` where the file says `body`. */
export type GraphEdge = { index: number; source: GraphNode; target: GraphNode; port: string; parsed: ParsedEdge }

export type Draft = {
  workflow: ParsedWorkflow
  nodes: readonly GraphNode[]
  queueEdges: readonly GraphEdge[]
  /** Execution edges by the index of their source, in file order. */
  out: readonly (readonly GraphEdge[])[]
  /** False when something was left out: then what seems missing may only be broken. */
  complete: boolean
}

/** `complete` says whether the parser kept everything. */
export function buildGraph(workflow: ParsedWorkflow, complete: boolean, context: ValidationContext): Draft {
  const nodes: GraphNode[] = []
  const byId = new Map<string, GraphNode | undefined>()
  for (const parsed of workflow.nodes) {
    const valid = validateNode(parsed, context)
    const node = valid === undefined ? undefined : { ...valid, parsed, index: nodes.length }
    byId.set(parsed.id, node)
    if (node !== undefined) nodes.push(node)
  }
  const edges = resolveEdges(workflow.edges, byId, context.problems)
  const out: GraphEdge[][] = nodes.map(() => [])
  for (const edge of edges) if (!isQueueEdge(edge)) out[edge.source.index]?.push(edge)
  const all = nodes.length === workflow.nodes.length && edges.length === workflow.edges.length
  return { workflow, nodes, queueEdges: edges.filter(isQueueEdge), out, complete: complete && all }
}

function isQueueEdge({ source, target }: Pick<GraphEdge, 'source' | 'target'>): boolean {
  return source.flow.class.queueRole === 'writer' && target.flow.class.queueRole === 'reader'
}

function resolveEdges(
  edges: readonly ParsedEdge[],
  byId: ReadonlyMap<string, GraphNode | undefined>,
  problems: Problems,
): GraphEdge[] {
  const first = new Map<string, ParsedEdge>()
  const resolved: GraphEdge[] = []
  for (const [index, parsed] of edges.entries()) {
    for (const end of ['source', 'target'] as const) {
      if (byId.has(parsed[end])) continue
      problems.add(parsed.at[end], 'MISSING_NODE', `no node has the id "${parsed[end]}"`)
    }
    const source = byId.get(parsed.source)
    const target = byId.get(parsed.target)
    if (source === undefined || target === undefined) continue
    const edge = { index, source, target, port: portName(parsed.port, source), parsed }
    const key = JSON.stringify([parsed.source, edge.port, parsed.target])
    const earlier = first.get(key)
    if (earlier !== undefined) {
      const message = `repeats ${earlier.pointer}: "${parsed.source}" to "${parsed.target}" by "${edge.port}"`
      problems.add(parsed.pointer, 'DUPLICATE_EDGE', message, 'remove one of them')
    } else if (hasLegalEnds(edge, problems)) resolved.push(edge)
    first.set(key, earlier ?? parsed)
  }
  return resolved
}

/** `body` and `subdag` both name the body port of a loop node. */
function portName(port: string, source: GraphNode): string {
  return port === 'body' && source.flow.class.kind === 'loop' ? 'subdag' : port
}

function hasLegalEnds(edge: GraphEdge, problems: Problems): boolean {
  const portIsKnown = offersPort(edge, problems)
  const { source, target, parsed } = edge
  if (isQueueEdge(edge)) return portIsKnown
  if (target.flow.class.queueRole === 'reader') {
    const message = `the queue reader "${parsed.target}" takes its items from queue writers, and "${parsed.source}" is none`
    problems.add(parsed.pointer, 'QUEUE_EDGE', message, 'put a queue-writer between them')
    return false
  }
  if (target.flow.class.kind === 'producer') {
    const message = `"${parsed.target}" is a producer and has no input, but "${source.flow.id}" leads into it`
    problems.add(parsed.pointer, 'EDGE_INTO_PRODUCER', message, 'remove the edge, or join loops by a queue')
    return false
  }
  return portIsKnown
}

function offersPort({ source, port, parsed }: GraphEdge, problems: Problems): boolean {
  if (!source.hasPorts || source.flow.ports.includes(port)) return true
  const message = `"${parsed.source}" (${source.flow.class.identifier}) has no branch "${port}"`
  problems.add(parsed.at.port, 'UNKNOWN_PORT', message, `it offers ${quoted(source.flow.ports, 'and')}`)
  return false
}
