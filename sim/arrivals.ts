/**
 * Items that come from outside, as part of the workflow itself: a loop per queue, which reads them from a file, waits
 * until it is their time, and queues them. So engine, reference, traces and shrinking need to know nothing of arrivals.
 */
import { EngineError } from '../engine/errors.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import { inputsHash, saidOutside } from './outside.ts'
import type { Plan, PlanEvent } from './plan.ts'

/** `at` is in milliseconds since the beginning. */
export type Arrival = { at: number; queue: string; data: JsonObject }

/** The file from which the items of a queue come, one JSON object a line: `{ wait, data }`. */
export function arrivalsFile(queue: string): string {
  return `arrivals-${queue}.jsonl`
}

/** The queues into which items come, by the files of a plan. */
export function queuesOf(files: Readonly<Record<string, string>>): string[] {
  return Object.keys(files).flatMap(path => /^arrivals-(.*)\.jsonl$/.exec(path)?.[1] ?? [])
}

/** The workflow with a loop before each queue that gets items, and the files with their items. */
export function withArrivals(
  workflow: JsonObject,
  arrivals: readonly Arrival[],
): { workflow: JsonObject; files: Record<string, string> } {
  if (arrivals.length === 0) return { workflow, files: {} }
  const queues = [...new Set(arrivals.map(({ queue }) => queue))]
  const files: Record<string, string> = {}
  for (const queue of queues) {
    const items = arrivals.filter(each => each.queue === queue).sort((a, b) => a.at - b.at)
    const waits = items.map(({ at }, i) => (at - (items[i - 1]?.at ?? 0)) / 1_000)
    files[arrivalsFile(queue)] = items.map(({ data }, i) => JSON.stringify({ wait: waits[i], data })).join('\n')
  }
  const isTimed = new Set(arrivals.filter(({ at }) => at > 0).map(({ queue }) => queue))
  const whole = queues.reduce(
    (so, queue) => withLoop(so, loopBefore(queue, isTimed.has(queue) ? 'timed' : 'at once')),
    workflow,
  )
  return { workflow: whole, files }
}

function withLoop(workflow: JsonObject, loop: { nodes: Json[]; edges: Json[] }): JsonObject {
  const { nodes, edges = [] } = workflow
  if (!Array.isArray(nodes) || !Array.isArray(edges)) {
    throw new EngineError(
      'USAGE',
      'Cannot add arrivals to this workflow: it has no lists "nodes" and "edges"; write it so',
    )
  }
  return { ...workflow, nodes: [...nodes, ...loop.nodes], edges: [...edges, ...loop.edges] }
}

function loopBefore(queue: string, when: 'timed' | 'at once'): { nodes: Json[]; edges: Json[] } {
  const form = (id: string, type: string, values: JsonObject): JsonObject => ({ id, type, data: { form: values } })
  const id = `arrivals-${queue}`
  const wait = form(`${id}-wait`, 'static-delay-node', {
    interval: '{{ data.file_reader.item.wait }}',
    unit: 'seconds',
  })
  const nodes = [
    form(id, 'file-reader', { file_path: arrivalsFile(queue), format: 'jsonl' }),
    ...(when === 'timed' ? [wait] : []),
    form(`${id}-data`, 'data-transformer', { output_template: '{{ data.file_reader.item.data }}', overwrite: true }),
    form(`${id}-out`, 'queue-writer', { queue_name: queue }),
  ]
  const edges = nodes.slice(1).map((node, i) => {
    return { id: `${id}-e${i}`, source: nodes[i]?.id as Json, target: node.id as Json }
  })
  return { nodes, edges }
}

/** Of what a plan says of arrivals, that which has something to happen to. */
export type Arrived = { files: Plan['files']; applied: PlanEvent[] }

/**
 * The files of a plan in which items come twice, or before the one that was sent before them, as its events say. They are
 * inputs like any other: engine and reference get the same.
 */
export function disarranged({ events, files }: Plan, workflowHash: string): Arrived {
  const lists = new Map<string, string[][]>()
  const applied = events.filter(({ kind, args }) => {
    const path = arrivalsFile(String(args.loop))
    const lines = lists.get(path) ?? linesOf(files[path])
    const isDone = lines !== undefined && kind.startsWith('arrival-') && disarrange(lines, kind, Number(args.n) - 1)
    if (isDone) lists.set(path, lines)
    return isDone
  })
  if (applied.length === 0) return { files, applied }
  const changed = { ...files }
  for (const [path, lines] of lists) changed[path] = lines.flat().join('\n')
  const [inputs, said] = files[saidOutside.must]?.split('\n') ?? []
  if (inputs === inputsHash(workflowHash, files))
    changed[saidOutside.must] = `${inputsHash(workflowHash, changed)}\n${said}`
  return { files: changed, applied }
}

/** Each line a list, for what may come of it. */
function linesOf(text: string | undefined): string[][] | undefined {
  return text === undefined || text === '' ? undefined : text.split('\n').map(line => [line])
}

function disarrange(lines: string[][], kind: PlanEvent['kind'], at: number): boolean {
  const [line, next] = [lines[at], lines[at + 1]]
  if (line === undefined || (kind === 'arrival-reordered' && next === undefined)) return false
  const parsed = (each: string[]) => JSON.parse(each[0] as string) as JsonObject
  if (kind === 'arrival-duplicate') line.push(JSON.stringify({ ...parsed(line), wait: 0 }))
  else {
    // the times stay; what comes at them does not
    const [one, other] = [parsed(line), parsed(next as string[])]
    lines[at] = [JSON.stringify({ ...one, data: other.data ?? null })]
    lines[at + 1] = [JSON.stringify({ ...other, data: one.data ?? null })]
  }
  return true
}
