/**
 * From a workflow file to a graph that can run, in one pass that collects every problem. The order matters: parse the
 * shape, resolve nodes and edges, map queues, refuse cycles, cut into loops, scope the bodies; only when that much holds
 * can plans be made, and only when nothing at all is wrong is there a graph.
 */
import { EngineError } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { NodeRegistry } from '../node/node-registry.ts'
import { findLoops, type LoopDraft } from './background-loops.ts'
import { findScopes } from './bodies.ts'
import { definitionHash, withHashes } from './definition-hash.ts'
import { type Adjacency, cyclicComponents, shortestCycle, topologicalOrder } from './flow-analyzer.ts'
import { buildGraph, type Draft } from './flow-builder.ts'
import type { FlowGraph, FlowLoop, FlowNode, NodeId, Problem, Settings } from './flow-graph.ts'
import { buildLoop, type Wiring, wireLoops } from './flow-loops.ts'
import { formatProblem, Problems, pointerKey } from './problems.ts'
import { mapQueues } from './queue-mapper.ts'
import { type Parsed, parseWorkflow } from './workflow.ts'

/** What a host sets for workflows that do not say themselves. No part of the definition: its hash stays the same. */
export type HostSettings = Partial<Pick<Settings, 'lease_seconds' | 'drain_timeout_seconds'>>
/** `name` is the file's name without extension: it serves as id when the file has none. */
export type LoadOptions = { registry: NodeRegistry; name?: string; host?: HostSettings }
export type Loaded = { graph: FlowGraph | undefined; problems: Problem[]; warnings: Problem[] }

/**
 * Loads a workflow from its text or its parsed JSON, which is not changed. Never throws for what is in the file.
 * @example loadWorkflow('{"nodes": 1}', { registry, name: 'x' }).problems[0].pointer // '/nodes'
 */
export function loadWorkflow(source: string | JsonObject, options: LoadOptions): Loaded {
  const problems = new Problems()
  const parsed = parseWorkflow(source, options.name, problems)
  const graph = parsed === undefined ? undefined : assemble(parsed, options.registry, problems)
  if (parsed === undefined || graph === undefined || problems.list.length > 0) {
    return { graph: undefined, problems: problems.list, warnings: problems.warnings }
  }
  return { graph: withHostSettings(graph, parsed.given, options.host), problems: [], warnings: problems.warnings }
}

function withHostSettings(graph: FlowGraph, given: JsonObject, host: HostSettings = {}): FlowGraph {
  const unsaid = Object.entries(host).filter(([key]) => (given[key] ?? null) === null)
  if (unsaid.length === 0) return graph
  const settings = { ...graph.workflow.settings, ...Object.fromEntries(unsaid) }
  const fromHost = unsaid.map(([key]) => key as keyof HostSettings)
  return { ...graph, workflow: { ...graph.workflow, settings, fromHost } }
}

/** The graph, or `WORKFLOW_INVALID` with every problem on a line of its own (`details` has them as data). */
export function requireWorkflow(source: string | JsonObject, options: LoadOptions): FlowGraph {
  const { graph, problems } = loadWorkflow(source, options)
  if (graph !== undefined) return graph
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  const lines = problems.map(problem => `\n  ${formatProblem(problem)}`)
  const message = `Cannot load workflow "${options.name ?? ''}": ${count}:${lines.join('')}`
  throw new EngineError('WORKFLOW_INVALID', message, { details: problems })
}

function assemble(parsed: Parsed, registry: NodeRegistry, problems: Problems): FlowGraph | undefined {
  const { workflow, settingsPointer } = parsed
  const { type, settings } = workflow
  const context = { registry, type, strict: settings.strict_templates, problems }
  const draft = buildGraph(workflow, parsed.complete, context)
  checkProducers(draft, problems)
  const wiring: Wiring = { queueMap: mapQueues(draft, problems), settings, settingsPointer, problems }
  const before = problems.list.length
  const successors = draft.out.map(edges => edges.map(edge => edge.target.index))
  if (reportCycles(draft, successors, problems)) return undefined
  const order = topologicalOrder(successors)
  const position = inverse(order)
  const drafts = findLoops(draft, order, problems)
  const scoped = drafts.map(loop => ({ loop, scopes: findScopes(loop, draft, position, problems) }))
  if (draft.complete) warnOfStrays(draft, drafts, wiring)
  if (problems.list.length > before) return undefined
  const built = scoped.map(({ loop, scopes }) => buildLoop(loop, scopes, wiring))
  const wired = wireLoops(built, wiring)
  const { queues } = wired
  const loops = withHashes(wired.loops, queues, draft)
  const nodes = nodesById(draft, loops, wiring)
  return { workflow, hash: definitionHash(draft), nodes, loops, queues, warnings: problems.warnings }
}

function checkProducers(draft: Draft, problems: Problems): void {
  const producers = draft.nodes.filter(node => node.flow.class.kind === 'producer')
  if (producers.length === 0 && draft.complete) {
    problems.add(
      '/nodes',
      'NO_PRODUCER',
      'no node starts a loop',
      'add a producer, such as "counter" or "queue-reader"',
    )
  }
  if (draft.workflow.type !== 'api') return
  for (const extra of producers.slice(1)) {
    const message = `a workflow of type "api" has one producer, and "${producers[0]?.flow.id}" is one already`
    problems.add(extra.parsed.pointer, 'TOO_MANY_PRODUCERS', message, 'remove it, or use type "production"')
  }
}

/** Names one shortest cycle per knot of nodes, at the edge that closes it. */
function reportCycles(draft: Draft, successors: Adjacency, problems: Problems): boolean {
  const knots = cyclicComponents(successors)
  for (const knot of knots) {
    const cycle = shortestCycle(successors, knot)
    const ids = cycle.map(index => draft.nodes[index]?.flow.id as NodeId)
    const closing = draft.out[cycle.at(-1) as number]?.find(edge => edge.target.index === cycle[0])
    const shown = ids.length > 12 ? [...ids.slice(0, 6), '…', ...ids.slice(-5)] : ids
    const path = [...shown, ids[0]].map(id => (id === '…' ? id : `"${id}"`)).join(' → ')
    const pointer = closing?.parsed.pointer ?? ''
    problems.add(
      pointer,
      'CYCLE',
      `execution edges form a cycle: ${path}`,
      'go back by a queue-writer and a queue-reader',
    )
  }
  return knots.length > 0
}

function inverse(order: readonly number[]): number[] {
  const position: number[] = []
  for (const [place, vertex] of order.entries()) position[vertex] = place
  return position
}

function warnOfStrays(draft: Draft, loops: readonly LoopDraft[], { settingsPointer, problems }: Wiring): void {
  const reached = new Set(loops.flatMap(loop => [loop.source, ...loop.members]))
  for (const node of draft.nodes) {
    if (reached.has(node)) continue
    const message = `no producer reaches "${node.flow.id}": it never runs`
    problems.warn(node.parsed.pointer, 'UNREACHABLE', message, 'join it to a loop, or remove it')
  }
  const ids = new Set(loops.map(loop => loop.id))
  for (const id of Object.keys(draft.workflow.settings.loops)) {
    if (ids.has(id)) continue
    problems.warn(`${settingsPointer}/loops${pointerKey(id)}`, 'UNKNOWN_LOOP', `there is no loop "${id}"`)
  }
}

function nodesById(draft: Draft, loops: readonly FlowLoop[], { queueMap }: Wiring): Map<NodeId, FlowNode> {
  const inLoops = new Map<NodeId, FlowNode>()
  for (const node of loops.flatMap(loop => loop.nodes)) if (!inLoops.has(node.id)) inLoops.set(node.id, node)
  return new Map(
    draft.nodes.map(({ flow, index }) => {
      const stray = { ...flow, targets: queueMap.targets.get(index) ?? [] }
      return [flow.id, inLoops.get(flow.id) ?? stray]
    }),
  )
}
