/** Ours: items wait in one queue, a loop passes them on to a second, whose loop ends them. */
import { connectRedis } from '../../daemon/redis.ts'
import { pinoLog, systemClock, systemFiles, systemHost, systemHttp, systemRandom } from '../../daemon/system-ports.ts'
import { FlowEngine } from '../../engine/flow-engine.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { encodeEntry, encodeItem } from '../../engine/store/entry.ts'
import { workflowPrefix } from '../../engine/store/keys.ts'
import { push } from '../../engine/store/scripts/operator.ts'
import { listArg } from '../../engine/store/scripts/prelude.ts'

const chunk = 1000
let run = 0

/** Items per second, from the start of the loops until both have completed. */
export async function ourTwoHops(url: string, items: number): Promise<number> {
  const graph = requireWorkflow(workflow(`bench-${++run}`), { registry: defaultRegistry() })
  const redis = await connectRedis(url)
  const clock = systemClock()
  try {
    for (let from = 0; from < items; from += chunk) {
      const numbers = Array.from({ length: Math.min(chunk, items - from) }, (_, i) => from + i + 1)
      const entries = numbers.map(n => {
        return encodeEntry(`k${n}`, clock.now(), encodeItem({ id: `i${n}`, data: { n }, metadata: {} }))
      })
      await redis.call(push, [workflowPrefix(graph.workflow.id)], [`fill-${from}`, 'first', '0', ...listArg(entries)])
    }
    const engine = new FlowEngine({
      graph,
      ports: {
        clock,
        redis,
        random: systemRandom(),
        host: systemHost(),
        http: systemHttp(),
        files: systemFiles('.'),
        log: pinoLog({ level: 'error' }),
      },
    })
    const startedMs = performance.now()
    await engine.start()
    const { status } = await engine.done
    const rate = (items * 1000) / (performance.now() - startedMs)
    const ended = (await engine.summary()).loops.end?.iterations
    if (status !== 'completed' || ended !== items) throw new Error(`${status}: ${ended} of ${items} items arrived`)
    return rate
  } finally {
    await redis.close()
  }
}

function workflow(id: string): string {
  const reader = (node: string, queue: string) => ({
    id: node,
    type: 'queue-reader',
    data: { form: { queue_name: queue } },
  })
  return JSON.stringify({
    id,
    settings: { queues: { max_length: 0 } },
    nodes: [
      reader('pass', 'first'),
      { id: 'on', type: 'queue-writer', data: { form: { queue_name: 'second' } } },
      reader('end', 'second'),
    ],
    edges: [
      { id: 'e1', source: 'pass', target: 'on' },
      { id: 'e2', source: 'on', target: 'end' },
    ],
  })
}
