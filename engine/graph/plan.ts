/**
 * The plan of a loop: its nodes in topological order, its edges, and for each join the base of its merge, computed once
 * at load. In an acyclic graph a node's nearest common dominator of its inputs is also its immediate dominator, so the
 * `base` of all steps together is the dominator tree; `commonBase` reads the tree for the inputs that are live.
 */
import type { LoopDraft } from './background-loops.ts'
import type { Scope, Scopes } from './bodies.ts'
import { commonDominator, topologicalOrder } from './flow-analyzer.ts'
import type { GraphEdge, GraphNode } from './flow-builder.ts'
import type { FlowNode, Plan, PlanEdge, PlanStep } from './flow-graph.ts'

/** @param flowOf the loop's own node for a node of the file */
export function buildPlan(loop: LoopDraft, scopes: Scopes, flowOf: (node: GraphNode) => FlowNode): Plan {
  const nodes = groupBy(loop.members, node => scopes.ofNode.get(node))
  const edges = groupBy(loop.edges, edge => scopes.ofEdge(edge))
  const planOf = (scope: Scope): Plan => {
    const members = nodes.get(scope) ?? []
    const inside = edges.get(scope) ?? []
    const entry = scope ?? loop.source
    const sorted = inOrder(members, inside)
    const place = new Map(sorted.map((node, index) => [node, index]))
    const planEdges = inside.map(
      ({ source, target, port }): PlanEdge => ({
        from: source === entry ? -1 : (place.get(source) as number),
        to: place.get(target) as number,
        /** The entry completes like any node: its edges are `default`, that of a body too. */
        port: source === scope ? 'default' : port,
      }),
    )
    const steps: PlanStep[] = []
    const incident = incidence(sorted.length, planEdges)
    for (const [index, node] of sorted.entries()) {
      const { incoming, outgoing } = incident[index] as Incidence
      const sources = incoming.map(edge => (planEdges[edge] as PlanEdge).from)
      const base = commonDominator(sources, step => (steps[step] as PlanStep).base)
      const body = node.flow.class.kind === 'loop' ? { body: planOf(node) } : {}
      steps.push({ node: flowOf(node), incoming, outgoing, base, ...body })
    }
    const indices = [...planEdges.keys()]
    return {
      steps,
      edges: planEdges,
      entry: indices.filter(index => planEdges[index]?.from === -1),
      sinks: [...steps.keys()].filter(index => steps[index]?.outgoing.length === 0),
    }
  }
  return planOf(undefined)
}

/** The nearest step (or -1, the entry) that every one of `sources` is or comes after: the base when only these are live. */
export function commonBase(plan: Plan, sources: Iterable<number>): number {
  return commonDominator(sources, step => (plan.steps[step] as PlanStep).base)
}

/** All nodes of a plan in its order, each loop node followed by its body. */
export function nodesOf(plan: Plan): FlowNode[] {
  return plan.steps.flatMap(step => (step.body === undefined ? [step.node] : [step.node, ...nodesOf(step.body)]))
}

/** Members come in file order, and keep it wherever the edges allow. */
function inOrder(members: readonly GraphNode[], edges: readonly GraphEdge[]): GraphNode[] {
  const place = new Map(members.map((node, index) => [node, index]))
  const successors: number[][] = members.map(() => [])
  for (const { source, target } of edges) {
    const from = place.get(source)
    if (from !== undefined) successors[from]?.push(place.get(target) as number)
  }
  return topologicalOrder(successors).map(index => members[index] as GraphNode)
}

type Incidence = { incoming: number[]; outgoing: number[] }

function incidence(steps: number, edges: readonly PlanEdge[]): Incidence[] {
  const incident = Array.from({ length: steps }, (): Incidence => ({ incoming: [], outgoing: [] }))
  for (const [index, { from, to }] of edges.entries()) {
    incident[from]?.outgoing.push(index)
    incident[to]?.incoming.push(index)
  }
  return incident
}

function groupBy<T>(items: readonly T[], scopeOf: (item: T) => Scope): Map<Scope, T[]> {
  const groups = new Map<Scope, T[]>()
  for (const item of items) {
    const scope = scopeOf(item)
    const group = groups.get(scope)
    if (group === undefined) groups.set(scope, [item])
    else group.push(item)
  }
  return groups
}
