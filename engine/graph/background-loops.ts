/**
 * Which nodes make up which loop (spec 1.3, 1.4). A loop is a producer and what its items reach; at a non-blocking node
 * that something follows the graph is cut, and what follows is a background loop `after_{loop}_{node}`, fed by a queue
 * of the same name. In `api` workflows nothing is cut.
 *
 * Every node that a producer reaches has one *boundary*: the last non-blocking node on the way to it, or none. Two
 * different ones would be a join of two transactions, which is refused.
 */
import { limits } from '../limits.ts'
import { reachableFrom } from './flow-analyzer.ts'
import type { Draft, GraphEdge, GraphNode } from './flow-builder.ts'
import type { LoopId, QueueName } from './flow-graph.ts'
import type { Problems } from './problems.ts'

export type LoopDraft = {
  id: LoopId
  /** The producer, or the non-blocking node in front of a background loop. */
  source: GraphNode
  background: boolean
  /** Without the source, in file order. */
  members: readonly GraphNode[]
  /** Execution edges inside the loop, from the source on, in file order. */
  edges: readonly GraphEdge[]
  /** The queue that a member feeds because a background loop follows it. */
  pushes: ReadonlyMap<GraphNode, QueueName>
}

/** The graph must have no cycle of execution edges; `order` is a topological order of its nodes. */
export function findLoops(draft: Draft, order: readonly number[], problems: Problems): LoopDraft[] {
  const loops: LoopDraft[] = []
  let steps = 0
  for (const producer of draft.nodes.filter(node => node.flow.class.kind === 'producer')) {
    const boundaries = findBoundaries(producer, draft, order, problems)
    steps += boundaries.size
    if (steps > limits.graphStepsMax) {
      const message = `the loops together have more than ${limits.graphStepsMax} nodes`
      problems.add('/nodes', 'TOO_MANY_NODES', message, 'nodes that several producers feed count for each')
      return []
    }
    loops.push(...loopsOf(producer, boundaries, draft))
  }
  return loops
}

/** Whether the transaction ends at this node because something other than a queue follows it. */
export function isCutAfter(node: GraphNode, draft: Draft): boolean {
  return cuts(node, draft) && (draft.out[node.index] as readonly GraphEdge[]).length > 0
}

function cuts(node: GraphNode, draft: Draft): boolean {
  return draft.workflow.type === 'production' && node.flow.class.kind === 'non-blocking'
}

type Boundary = GraphNode | undefined

/** Each node that the producer reaches, in topological order, with its boundary. */
function findBoundaries(
  producer: GraphNode,
  draft: Draft,
  order: readonly number[],
  problems: Problems,
): Map<GraphNode, Boundary> {
  const outOf = (index: number) => draft.out[index] as readonly GraphEdge[]
  const reached = reachableFrom([producer.index], index => outOf(index).map(edge => edge.target.index))
  const boundaries = new Map<GraphNode, Boundary>()
  const cameBy = new Map<GraphNode, GraphNode>()
  for (const index of order.filter(vertex => reached.has(vertex))) {
    const node = draft.nodes[index] as GraphNode
    if (node === producer) boundaries.set(node, undefined)
    const boundary = cuts(node, draft) ? node : boundaries.get(node)
    for (const { target, parsed } of outOf(index)) {
      const other = cameBy.get(target)
      if (other === undefined) {
        boundaries.set(target, boundary)
        cameBy.set(target, node)
      } else if (boundaries.get(target) !== boundary) {
        const ways = [way(other, boundaries.get(target)), way(node, boundary)]
        const message = `"${target.flow.id}" joins ${ways[0]} with ${ways[1]}, which are different transactions`
        problems.add(parsed.pointer, 'FORBIDDEN_JOIN', message, 'join before the non-blocking node, or join by a queue')
      }
    }
  }
  boundaries.delete(producer)
  return boundaries
}

function way(node: GraphNode, boundary: Boundary): string {
  if (boundary === undefined) return `"${node.flow.id}" (not behind a non-blocking node)`
  return boundary === node
    ? `non-blocking "${node.flow.id}"`
    : `"${node.flow.id}" (behind non-blocking "${boundary.flow.id}")`
}

/** The producer's loop, then the background loops behind it, each after the one that feeds it. */
function loopsOf(producer: GraphNode, boundaries: ReadonlyMap<GraphNode, Boundary>, draft: Draft): LoopDraft[] {
  const membersOf = new Map<Boundary, GraphNode[]>()
  for (const [node, boundary] of boundaries) {
    const members = membersOf.get(boundary)
    if (members === undefined) membersOf.set(boundary, [node])
    else members.push(node)
  }
  const loops: LoopDraft[] = []
  const waiting = [{ id: producer.flow.id, source: producer, boundary: undefined as Boundary }]
  for (const { id, source, boundary } of waiting) {
    const members = (membersOf.get(boundary) ?? []).sort((a, b) => a.index - b.index)
    const pushes = new Map<GraphNode, QueueName>()
    for (const node of members.filter(member => isCutAfter(member, draft))) {
      const after = `after_${id}_${node.flow.id}`
      pushes.set(node, after)
      waiting.push({ id: after, source: node, boundary: node })
    }
    const edges = [source, ...members.filter(member => !cuts(member, draft))]
      .flatMap(node => draft.out[node.index] as readonly GraphEdge[])
      .sort((a, b) => a.index - b.index)
    loops.push({ id, source, background: boundary !== undefined, members, edges, pushes })
  }
  return loops
}
