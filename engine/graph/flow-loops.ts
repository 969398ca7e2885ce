/**
 * Loops made whole: pool and replicas, the queues they take from, and how they hang together. Loops joined to a ring by
 * queues end together and may not stop each other, so their queues have no limit.
 */
import { limits } from '../limits.ts'
import type { Pool } from '../node/node.ts'
import type { LoopDraft } from './background-loops.ts'
import type { Scopes } from './bodies.ts'
import type { UnhashedLoop } from './definition-hash.ts'
import { cyclicComponents } from './flow-analyzer.ts'
import type { GraphNode } from './flow-builder.ts'
import type { FlowNode, LoopSettings, Queue, QueueName, Settings } from './flow-graph.ts'
import { buildPlan, nodesOf } from './plan.ts'
import { type Problems, pointerKey, quoted } from './problems.ts'
import type { QueueMap } from './queue-mapper.ts'

export type Wiring = { queueMap: QueueMap; settings: Settings; settingsPointer: string; problems: Problems }
type Unwired = Omit<UnhashedLoop, 'upstream' | 'cycle' | 'downstream'>

/** Every loop has node objects of its own: what a node in front of a background loop pushes to differs by loop. */
export function buildLoop(draft: LoopDraft, scopes: Scopes, wiring: Wiring): Unwired {
  const { queueMap, problems } = wiring
  const own = new Map<GraphNode, FlowNode>()
  const flowOf = (node: GraphNode): FlowNode => {
    const made = own.get(node) ?? withTargets(node, queueMap, draft.pushes.get(node))
    own.set(node, made)
    return made
  }
  const producer = draft.background ? undefined : flowOf(draft.source)
  const plan = buildPlan(draft, scopes, flowOf)
  const nodes = [...(producer === undefined ? [] : [producer]), ...nodesOf(plan)]
  const { loops } = wiring.settings
  const settings: LoopSettings = (Object.hasOwn(loops, draft.id) ? loops[draft.id] : undefined) ?? {}
  const replicas = settings.replicas ?? 1
  const stateful = nodes.filter(node => node.class.stateful).map(node => node.id)
  if (replicas > 1 && stateful.length > 0) {
    const message = `the loop "${draft.id}" cannot have ${replicas} replicas: ${quoted(stateful)} ${stateful.length > 1 ? 'keep' : 'keeps'} state`
    problems.add(`${wiring.settingsPointer}/loops${pointerKey(draft.id)}/replicas`, 'REPLICAS', message, 'set it to 1')
  }
  return {
    id: draft.id,
    producer,
    producerType: producer?.class.identifier ?? 'queue-reader',
    background: draft.background,
    pool: settings.pool ?? strongest(nodes.map(node => node.class.pool)),
    replicas,
    endless: producer?.class.endless ?? false,
    sources: draft.background ? [draft.id] : (queueMap.sources.get(draft.source.index) ?? []),
    nodes,
    plan,
  }
}

function withTargets(node: GraphNode, queueMap: QueueMap, after: QueueName | undefined): FlowNode {
  const mapped = queueMap.targets.get(node.index) ?? []
  return { ...node.flow, targets: after === undefined ? mapped : [...mapped, after] }
}

function strongest(pools: readonly Pool[]): Pool {
  const order: readonly Pool[] = ['process', 'thread']
  return order.find(pool => pools.includes(pool)) ?? 'async'
}

/** Completes the loops with what they are to each other, and lists all queues. */
export function wireLoops(unwired: readonly Unwired[], wiring: Wiring): { loops: UnhashedLoop[]; queues: Queue[] } {
  const readersOf = new Map<QueueName, number[]>()
  for (const [index, loop] of unwired.entries()) {
    for (const name of loop.sources) readersOf.set(name, [...(readersOf.get(name) ?? []), index])
  }
  const feeds = unwired.map(loop => {
    const targets = loop.nodes.flatMap(node => node.targets)
    return [...new Set(targets.flatMap(name => readersOf.get(name) ?? []))].sort((a, b) => a - b)
  })
  const fedBy: number[][] = unwired.map(() => [])
  for (const [index, fed] of feeds.entries()) for (const loop of fed) fedBy[loop]?.push(index)
  const rings = cyclicComponents(feeds)
  const ringOf = new Map(rings.flatMap(ring => ring.map(index => [index, ring] as const)))
  const idsOf = (indices: readonly number[]) => indices.map(index => (unwired[index] as Unwired).id)
  const loops = unwired.map((loop, index): UnhashedLoop => {
    const ring = ringOf.get(index) ?? [index]
    const outside = (fedBy[index] as number[]).filter(other => !ring.includes(other))
    return { ...loop, upstream: idsOf(outside), cycle: idsOf(ring), downstream: idsOf(feeds[index] as number[]) }
  })
  checkLoopIds(loops, wiring.problems)
  const queues = listQueues(loops, wiring)
  const endless = new Set(rings.flatMap(ring => queuesInside(ring.map(index => loops[index] as UnhashedLoop))))
  if (wiring.settings.queues.max_length > 0) {
    for (const ring of rings)
      warnOfRing(
        ring.map(index => loops[index] as UnhashedLoop),
        wiring.problems,
      )
  }
  return { loops, queues: queues.map(queue => (endless.has(queue.name) ? { ...queue, maxLength: 0 } : queue)) }
}

function queuesInside(ring: readonly UnhashedLoop[]): QueueName[] {
  const written = new Set(ring.flatMap(loop => loop.nodes.flatMap(node => node.targets)))
  return ring.flatMap(loop => loop.sources).filter(name => written.has(name))
}

function warnOfRing(ring: readonly UnhashedLoop[], problems: Problems): void {
  const names = [...new Set(queuesInside(ring))]
  const what = ring.length === 1 ? 'feeds itself' : 'feed each other in a cycle'
  const queues = `${names.length > 1 ? 'the queues' : 'the queue'} ${quoted(names)} between them`
  const message = `the ${ring.length > 1 ? 'loops' : 'loop'} ${quoted(ring.map(loop => loop.id))} ${what}: ${queues} ignore settings.queues.max_length`
  problems.warn('', 'CYCLE_OF_LOOPS', message, 'see that the cycle lets go of every item in the end')
}

function listQueues(loops: readonly UnhashedLoop[], { queueMap, settings, problems }: Wiring): Queue[] {
  const queues = new Map<QueueName, { writers: Set<string>; readers: Set<string>; background: boolean }>()
  for (const name of queueMap.names) queues.set(name, { writers: new Set(), readers: new Set(), background: false })
  for (const loop of loops.filter(each => each.background)) {
    if (queues.has(loop.id)) {
      const message = `the background loop "${loop.id}" needs a queue of its name, which another queue has`
      problems.add('', 'QUEUE_NAME_TAKEN', message, 'set another queue_name')
    }
    queues.set(loop.id, { writers: new Set(), readers: new Set([loop.id]), background: true })
  }
  for (const node of loops.flatMap(loop => loop.nodes)) {
    for (const name of node.targets) queues.get(name)?.writers.add(node.id)
  }
  for (const { producer, sources } of loops) {
    if (producer !== undefined) for (const name of sources) queues.get(name)?.readers.add(producer.id)
  }
  for (const { id } of loops.filter(loop => queues.has(`requeue_${loop.id}`))) {
    const message = `the queue name "requeue_${id}" is that of requeued items of the loop "${id}"`
    problems.add('', 'QUEUE_NAME_TAKEN', message, 'set another queue_name')
  }
  return [...queues].map(([name, { writers, readers, background }]) => {
    if (readers.size > 1) {
      const message = `the queue "${name}" has several readers, ${quoted([...readers])}: each item goes to one of them`
      problems.warn('', 'SHARED_QUEUE', message, 'without queue_name each would get every item')
    }
    return { name, writers: [...writers], readers: [...readers], maxLength: settings.queues.max_length, background }
  })
}

function checkLoopIds(loops: readonly UnhashedLoop[], problems: Problems): void {
  const seen = new Set<string>()
  for (const { id } of loops) {
    if (seen.has(id))
      problems.add('', 'LOOP_ID_TAKEN', `two loops would have the id "${id}"`, 'rename one of their nodes')
    seen.add(id)
    if (id.length <= limits.nameLengthMax) continue
    const message = `the id of the background loop "${id.slice(0, 60)}…" is longer than ${limits.nameLengthMax} characters`
    problems.add('', 'INVALID_NAME', message, 'give the nodes shorter ids')
  }
}
