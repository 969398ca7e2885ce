/**
 * The bodies of for-each nodes within one loop. A body is everything that hangs on the node's `subdag` port; it may be
 * entered by that port only, since each of its nodes runs exactly once per element. Bodies nest, and every node and edge
 * belongs to one scope: the innermost body around it, or the loop itself.
 */
import { limits } from '../limits.ts'
import { isCutAfter, type LoopDraft } from './background-loops.ts'
import { reachableFrom } from './flow-analyzer.ts'
import type { Draft, GraphEdge, GraphNode } from './flow-builder.ts'
import type { Problems } from './problems.ts'

/** The loop node whose body this is; undefined is the loop's own plan. */
export type Scope = GraphNode | undefined
export type Scopes = { ofNode: ReadonlyMap<GraphNode, Scope>; ofEdge(edge: GraphEdge): Scope }

/** `position` is the place of each node in a topological order. Reports bodies that are entered from outside or cut in the middle. */
export function findScopes(loop: LoopDraft, draft: Draft, position: readonly number[], problems: Problems): Scopes {
  const outOf = new Map<GraphNode, GraphEdge[]>()
  for (const edge of loop.edges) {
    const list = outOf.get(edge.source)
    if (list === undefined) outOf.set(edge.source, [edge])
    else list.push(edge)
  }
  const ofNode = new Map<GraphNode, Scope>()
  const loopNodes = loop.members
    .filter(node => node.flow.class.kind === 'loop')
    .sort((a, b) => (position[a.index] as number) - (position[b.index] as number))
  const depths = new Map<Scope, number>([[undefined, 0]])
  for (const owner of loopNodes) {
    const depth = (depths.get(ofNode.get(owner)) as number) + 1
    depths.set(owner, depth)
    if (depth > limits.bodyDepthMax) {
      const message = `"${owner.flow.id}" is nested in more than ${limits.bodyDepthMax} loop nodes`
      problems.add(owner.parsed.pointer, 'BODY_TOO_DEEP', message)
      break
    }
    const starts = (outOf.get(owner) ?? []).filter(edge => edge.port === 'subdag').map(edge => edge.target.index)
    const body = reachableFrom(starts, index =>
      (outOf.get(draft.nodes[index] as GraphNode) ?? []).map(edge => edge.target.index),
    )
    for (const index of body) ofNode.set(draft.nodes[index] as GraphNode, owner)
  }
  const ofEdge = ({ source, port }: GraphEdge): Scope =>
    source.flow.class.kind === 'loop' && port === 'subdag' ? source : ofNode.get(source)
  const scopes = { ofNode, ofEdge }
  for (const edge of loop.edges) checkEntry(edge, scopes, problems)
  for (const [node, owner] of ofNode) if (isCutAfter(node, draft)) reportCut(node, owner as GraphNode, problems)
  return scopes
}

function checkEntry(edge: GraphEdge, scopes: Scopes, problems: Problems): void {
  const body = scopes.ofNode.get(edge.target)
  if (body === undefined || scopes.ofEdge(edge) === body) return
  const message = `"${edge.target.flow.id}" is in the body of "${body.flow.id}", but "${edge.source.flow.id}" leads to it from outside`
  problems.add(edge.parsed.pointer, 'BODY_ENTERED', message, `reach it only by "${body.flow.id}"'s port "subdag"`)
}

function reportCut(node: GraphNode, owner: GraphNode, problems: Problems): void {
  const message = `the non-blocking node "${node.flow.id}" is in the body of "${owner.flow.id}" and something follows it`
  problems.add(
    node.parsed.pointer,
    'NON_BLOCKING_IN_BODY',
    message,
    'let it end its branch, or move it behind the body',
  )
}
