/**
 * Which queue joins which nodes (spec 1.5): an edge writer → reader is a queue of its own, `queue_{writer}_{reader}`,
 * unless one of the two sets `queue_name`; nodes that set the same name share that queue, with or without an edge.
 */
import { hasTemplate } from '../node/template.ts'
import type { Draft, GraphEdge, GraphNode } from './flow-builder.ts'
import type { QueueName } from './flow-graph.ts'
import type { Problems } from './problems.ts'
import { nameFault } from './workflow.ts'
import { shown } from './workflow-settings.ts'

export type QueueMap = {
  /** By node index: where writers push, where readers take from, each in edge order. */
  targets: ReadonlyMap<number, readonly QueueName[]>
  sources: ReadonlyMap<number, readonly QueueName[]>
  /** All names, in the order in which the file mentions them. */
  names: readonly QueueName[]
}

export function mapQueues(draft: Draft, problems: Problems): QueueMap {
  const set = new Map<GraphNode, QueueName>()
  const own = draft.nodes.filter(node => node.flow.class.queueRole !== undefined)
  for (const node of own) {
    const name = ownName(node, problems)
    if (name !== undefined) set.set(node, name)
  }
  const queues = new Map<GraphNode, Set<QueueName>>(
    own.map(node => [node, new Set(set.has(node) ? [set.get(node) as QueueName] : [])]),
  )
  const derived = new Map<QueueName, GraphEdge>()
  for (const edge of draft.queueEdges) {
    const name = nameOfEdge(edge, set, derived, problems)
    if (name === undefined) continue
    queues.get(edge.source)?.add(name)
    queues.get(edge.target)?.add(name)
  }
  reportUnjoined(draft, queues, problems)
  return toMap(queues)
}

function toMap(queues: ReadonlyMap<GraphNode, ReadonlySet<QueueName>>): QueueMap {
  const side = (role: 'writer' | 'reader') =>
    new Map(
      [...queues]
        .filter(([node]) => node.flow.class.queueRole === role)
        .map(([node, names]) => [node.index, [...names]]),
    )
  const names = [...new Set([...queues.values()].flatMap(set => [...set]))]
  return { targets: side('writer'), sources: side('reader'), names }
}

/** `queue_name` of form, then config; `default` (any case) and empty count as unset. */
function ownName(node: GraphNode, problems: Problems): QueueName | undefined {
  const places = [
    { value: node.flow.class.queueName(node.flow.form.values), pointer: `${node.parsed.at.form}/queue_name` },
    { value: node.flow.config.queue_name, pointer: `${node.parsed.at.config}/queue_name` },
  ]
  for (const { value, pointer } of places) {
    if (value === undefined || value === null) continue
    if (typeof value !== 'string') {
      problems.add(pointer, 'QUEUE_NAME', `must be a text, is ${shown(value)}`)
      continue
    }
    const name = value.trim()
    if (name === '' || name.toLowerCase() === 'default') continue
    const fault = hasTemplate(name) ? 'holds a template; queues are joined at load' : nameFault(name)
    if (fault !== undefined) problems.add(pointer, 'QUEUE_NAME', `the queue name ${shown(name)} ${fault}`)
    return name
  }
  return undefined
}

function nameOfEdge(
  edge: GraphEdge,
  set: ReadonlyMap<GraphNode, QueueName>,
  derived: Map<QueueName, GraphEdge>,
  problems: Problems,
): QueueName | undefined {
  const { source, target, parsed } = edge
  const [written, read] = [set.get(source), set.get(target)]
  if (written !== undefined && read !== undefined && written !== read) {
    const message = `"${parsed.source}" writes to queue "${written}", but "${parsed.target}" reads queue "${read}"`
    problems.add(parsed.pointer, 'QUEUE_NAMES_DIFFER', message, 'set the same queue_name on both, or on none')
    return undefined
  }
  if (written !== undefined || read !== undefined) return written ?? read
  const name = `queue_${parsed.source}_${parsed.target}`
  const other = derived.get(name)
  const hint = 'set queue_name on both ends of one of them'
  const fault = nameFault(name)
  if (fault !== undefined) problems.add(parsed.pointer, 'QUEUE_NAME', `its queue name ${shown(name)} ${fault}`, hint)
  if (other !== undefined && (other.source !== source || other.target !== target)) {
    problems.add(parsed.pointer, 'QUEUE_NAME_TAKEN', `${other.parsed.pointer} has the same queue name "${name}"`, hint)
  }
  derived.set(name, other ?? edge)
  return name
}

function reportUnjoined(
  draft: Draft,
  queues: ReadonlyMap<GraphNode, ReadonlySet<QueueName>>,
  problems: Problems,
): void {
  if (!draft.complete) return
  const joined = new Set(draft.queueEdges.flatMap(edge => [edge.source, edge.target]))
  for (const [node, names] of queues) {
    if (names.size > 0 || joined.has(node)) continue
    const role = node.flow.class.queueRole
    const other = role === 'writer' ? 'reader' : 'writer'
    const message = `the queue ${role} "${node.flow.id}" has no queue`
    problems.add(node.parsed.pointer, 'NO_QUEUE', message, `join it to a queue ${other} by an edge, or set queue_name`)
  }
}
