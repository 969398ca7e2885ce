/**
 * What makes two definitions the same: of a whole workflow, and of each of its loops. Over what matters for running, under
 * canonical names: positions, labels, an alias of a type, `body` for `subdag` change nothing. A loop's hash covers all
 * that its runners read, also of its neighbours, so that a loop whose hash stays may go on untouched through a reload.
 */
import { hashText } from '../hash.ts'
import { canonicalJson, type Json } from '../json.ts'
import type { Draft } from './flow-builder.ts'
import type { FlowLoop, Plan, Queue, QueueName } from './flow-graph.ts'

export function definitionHash({ workflow, nodes, queueEdges, out }: Draft): string {
  const edges = [...queueEdges, ...out.flat()].sort((a, b) => a.index - b.index)
  const { id, type, env, settings } = workflow
  return hashText(
    canonicalJson({
      id,
      type,
      env,
      settings,
      nodes: nodes.map(({ flow, parsed }) => [flow.id, flow.class.identifier, parsed.form, parsed.config]),
      edges: edges.map(edge => [edge.source.flow.id, edge.port, edge.target.flow.id]),
    }),
  )
}

export type UnhashedLoop = Omit<FlowLoop, 'hash'>

/** Time-outs of draining and leases are left out: the supervisor takes them up at once. */
export function withHashes(loops: readonly UnhashedLoop[], queues: readonly Queue[], draft: Draft): FlowLoop[] {
  const { id, type, env, settings } = draft.workflow
  const { strict_templates, max_deliveries, dead_letters } = settings
  const common = { id, type, env, strict_templates, max_deliveries, dead_letters }
  const limitOf = new Map(queues.map(queue => [queue.name, queue.maxLength]))
  const given = new Map(draft.nodes.map(({ flow, parsed }) => [flow.id, parsed]))
  return loops.map(loop => {
    const ring = loops.filter(other => loop.cycle.includes(other.id))
    const touched = [...new Set([...loop.sources, ...loop.nodes.flatMap(node => node.targets)])]
    const limits = touched.map((name: QueueName) => [name, limitOf.get(name) ?? 0])
    const nodes = loop.nodes.map(node => {
      const parsed = given.get(node.id)
      return [node.id, node.class.identifier, parsed?.form ?? {}, parsed?.config ?? {}, [...node.targets]]
    })
    const own = { loop: loop.id, ...ownSettings(loop, settings.loops[loop.id]?.memory_mb), limits, nodes }
    const wiring = ring.map(({ id: member, sources, replicas, upstream, downstream }) => {
      return [member, [...sources], replicas, [...upstream], [...downstream]]
    })
    return { ...loop, hash: hashText(canonicalJson({ common, own, wiring, plan: shapeOf(loop.plan) })) }
  })
}

function ownSettings({ background, pool, replicas }: UnhashedLoop, memoryMb: number | undefined) {
  return { background, pool, replicas, memory_mb: memoryMb ?? null }
}

function shapeOf({ steps, edges, entry }: Plan): Json {
  return [
    steps.map(({ node, incoming, outgoing, base, body }) => {
      return [node.id, [...incoming], [...outgoing], base, body === undefined ? null : shapeOf(body)]
    }),
    edges.map(({ from, to, port }) => [from, to, port]),
    [...entry],
  ]
}
