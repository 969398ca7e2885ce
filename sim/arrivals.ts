/**
 * Items that come from outside, as part of the workflow itself: a loop per queue, which reads them from a file, waits
 * until it is their time, and queues them. So engine, reference, traces and shrinking need to know nothing of arrivals.
 */
import { EngineError } from '../engine/errors.ts'
import type { Json, JsonObject } from '../engine/json.ts'

/** `at` is in milliseconds since the beginning. */
export type Arrival = { at: number; queue: string; data: JsonObject }

/** The file from which the items of a queue come, one JSON object a line: `{ wait, data }`. */
export function arrivalsFile(queue: string): string {
  return `arrivals-${queue}.jsonl`
}

/** The workflow with a loop before each queue that gets items, and the files with their items. */
export function withArrivals(
  workflow: JsonObject,
  arrivals: readonly Arrival[],
): { workflow: JsonObject; files: Record<string, string> } {
  if (arrivals.length === 0) return { workflow, files: {} }
  const { nodes, edges = [] } = workflow
  if (!Array.isArray(nodes) || !Array.isArray(edges)) {
    throw new EngineError(
      'USAGE',
      'Cannot add arrivals to this workflow: it has no lists "nodes" and "edges"; write it so',
    )
  }
  const queues = [...new Set(arrivals.map(({ queue }) => queue))]
  const files: Record<string, string> = {}
  const added = queues.map(queue => {
    const items = arrivals.filter(each => each.queue === queue).sort((a, b) => a.at - b.at)
    const waits = items.map(({ at }, i) => (at - (items[i - 1]?.at ?? 0)) / 1_000)
    files[arrivalsFile(queue)] = items.map(({ data }, i) => JSON.stringify({ wait: waits[i], data })).join('\n')
    return loopBefore(queue, waits.some(wait => wait > 0) ? 'timed' : 'at once')
  })
  return {
    workflow: {
      ...workflow,
      nodes: [...nodes, ...added.flatMap(loop => loop.nodes)],
      edges: [...edges, ...added.flatMap(loop => loop.edges)],
    },
    files,
  }
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
