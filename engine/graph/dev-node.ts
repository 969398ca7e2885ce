/**
 * One node of a workflow that may still be unfinished: what of it a single run needs. Problems elsewhere in the file do
 * not matter; those of the node's own form are told as its own.
 */
import { EngineError } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { NodeRegistry } from '../node/node-registry.ts'
import { reachableFrom } from './flow-analyzer.ts'
import { buildGraph, type Draft, type GraphNode } from './flow-builder.ts'
import type { FlowGraph, FlowNode, Plan, Queue, Workflow } from './flow-graph.ts'
import { loadWorkflow } from './load-workflow.ts'
import { formatProblem, Problems } from './problems.ts'
import { mapQueues } from './queue-mapper.ts'
import { parseWorkflow } from './workflow.ts'

export type DevNode = {
  workflow: Workflow
  flow: FlowNode
  /** As stored, with what this call sets on top. */
  form: JsonObject
  /** The queues a reader takes from. */
  sources: readonly string[]
  queues: readonly Queue[]
  /** Ids of the nodes whose edges lead here, in edge order, and of those whose queues do. */
  upstream: readonly string[]
  /** The last nodes of a loop node's body. */
  bodyEnds: readonly string[]
  problems: readonly { field: string; message: string }[]
}

/** `form` goes over the stored values, key by key. Throws WORKFLOW_INVALID, or NODE_UNKNOWN with the nodes there are. */
export function resolveDevNode(
  source: JsonObject,
  nodeId: string,
  { registry, form = {} }: { registry: NodeRegistry; form?: JsonObject },
): DevNode {
  const problems = new Problems()
  const parsed = parseWorkflow(source, 'workflow', problems)
  if (parsed === undefined) throw invalid(problems)
  const { workflow } = parsed
  const own = workflow.nodes.find(node => node.id === nodeId)
  if (own === undefined) throw unknown(nodeId, workflow)
  const changed = { ...own, form: { ...own.form, ...form } }
  const nodes = workflow.nodes.map(node => (node === own ? changed : node))
  const context = { registry, type: workflow.type, strict: workflow.settings.strict_templates, problems }
  const draft = buildGraph({ ...workflow, nodes }, parsed.complete, context)
  const queueMap = mapQueues(draft, problems)
  const node = draft.nodes.find(each => each.parsed === changed)
  const ofNode = problems.list.filter(({ pointer }) => pointer.startsWith(own.pointer))
  if (node === undefined) throw new EngineError('WORKFLOW_INVALID', ofNode.map(formatProblem).join('; '))
  const at = `${own.at.form}/`
  return {
    workflow,
    flow: { ...node.flow, targets: queueMap.targets.get(node.index) ?? [] },
    form: changed.form,
    sources: queueMap.sources.get(node.index) ?? [],
    queues: queueMap.names.map(name => ({ name, writers: [], readers: [], maxLength: 0, background: false })),
    upstream: upstreamOf(draft, node),
    bodyEnds: bodyEndsOf(draft, node),
    problems: ofNode
      .filter(({ pointer }) => pointer.startsWith(at))
      .map(({ pointer, message }) => ({ field: pointer.slice(at.length), message })),
  }
}

/** The body of a loop node; only a workflow without problems has one. */
export function bodyOf(source: JsonObject, nodeId: string, registry: NodeRegistry): Plan {
  const { graph, problems } = loadWorkflow(source, { registry, name: 'workflow' })
  if (graph === undefined) {
    const first = problems.slice(0, 5).map(formatProblem).join('; ')
    throw new EngineError('WORKFLOW_INVALID', `Cannot run the body of node "${nodeId}": ${first}`)
  }
  return findBody(graph, nodeId) ?? { steps: [], edges: [], entry: [], sinks: [] }
}

function findBody({ loops }: FlowGraph, nodeId: string): Plan | undefined {
  const plans = loops.map(loop => loop.plan)
  for (const plan of plans) {
    for (const { node, body } of plan.steps) {
      if (node.id === nodeId) return body
      if (body !== undefined) plans.push(body)
    }
  }
  return undefined
}

function upstreamOf(draft: Draft, node: GraphNode): string[] {
  const edges = [...draft.out.flat(), ...draft.queueEdges].filter(edge => edge.target === node)
  edges.sort((a, b) => a.index - b.index)
  return [...new Set(edges.map(edge => edge.source.flow.id))]
}

function bodyEndsOf(draft: Draft, node: GraphNode): string[] {
  const outOf = (index: number) => (draft.out[index] ?? []).map(edge => edge.target.index)
  const starts = (draft.out[node.index] ?? []).filter(edge => edge.port === 'subdag').map(edge => edge.target.index)
  const ends = [...reachableFrom(starts, outOf)].filter(index => outOf(index).length === 0)
  return ends.sort((a, b) => a - b).map(index => (draft.nodes[index] as GraphNode).flow.id)
}

function invalid({ list }: Problems): EngineError {
  return new EngineError('WORKFLOW_INVALID', `Cannot read the workflow: ${list.map(formatProblem).join('; ')}`)
}

function unknown(nodeId: string, { id, nodes }: Workflow): EngineError {
  const known = nodes.slice(0, 20).map(node => node.id)
  const there = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}${nodes.length > 20 ? ' …' : ''}`
  return new EngineError('NODE_UNKNOWN', `Cannot find node "${nodeId}" in workflow "${id}": ${there}`)
}
