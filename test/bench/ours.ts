/** Our side of a comparison: the engine as a library, loops over a real Redis, through the adapters of the daemon. */
import { connectRedis } from '../../daemon/redis.ts'
import { pinoLog, systemClock, systemFiles, systemHost, systemHttp, systemRandom } from '../../daemon/system-ports.ts'
import { FlowEngine } from '../../engine/flow-engine.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../engine/json.ts'
import { defineForm } from '../../engine/node/form.ts'
import { BlockingNode, type NodeClass, type NodeOutput } from '../../engine/node/node.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { Ports, Redis } from '../../engine/ports.ts'
import { encodeEntry, encodeItem } from '../../engine/store/entry.ts'
import { workflowPrefix } from '../../engine/store/keys.ts'
import { push } from '../../engine/store/scripts/operator.ts'
import { listArg } from '../../engine/store/scripts/prelude.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { RecordOf } from '../../engine/trace/trace.ts'
import { type Hops, itemData, type OpenPeer, type Peer, type PeerOptions } from './peer.ts'

const pushMost = 1000
const prefix = 'bench'
let opened = 0

export const ours: Peer = peer('theoneeye')

/** `recordOf`: what the loops do is recorded. */
export function peer(name: string, recordOf?: RecordOf): Peer {
  return { name, open: (url, options) => open(url, options, recordOf) }
}

async function open(
  url: string,
  { hops, onFinished, onFailed }: PeerOptions,
  recordOf: RecordOf | undefined,
): Promise<OpenPeer> {
  const id = `${prefix}-${++opened}`
  const [redis, client] = await Promise.all([connectRedis(url), connectRedis(url)])
  // commits come in groups, later than the work and in the same order
  const worked: number[] = []
  const registry = defaultRegistry([sink(n => worked.push(n))])
  const graph = requireWorkflow(workflow(id, hops), { registry })
  const engine = new FlowEngine({ graph, ports: portsOver(redis), onEvent: event => heed(event), recordOf })
  const heed = (event: EngineEvent): void => {
    if (event.type === 'iteration_completed' && event.loop === 'end') onFinished(worked.shift() as number)
    if (event.type === 'warning' || event.type.endsWith('_failed')) onFailed(new Error(JSON.stringify(event)))
  }
  return {
    async fill(numbers) {
      for (let from = 0; from < numbers.length; from += pushMost) {
        await append(client, id, numbers.slice(from, from + pushMost))
      }
    },
    start: async () => void (await engine.start()),
    add: n => append(client, id, [n]),
    close: async () => {
      await engine.stop()
      await Promise.all([redis.close(), client.close()])
    },
  }
}

async function append(redis: Redis, workflowId: string, numbers: readonly number[]): Promise<void> {
  const entries = numbers.map(n => {
    return encodeEntry(`k${n}`, Date.now(), encodeItem({ id: `i${n}`, data: itemData(n), metadata: {} }))
  })
  const args = [`push-${numbers[0]}`, 'first', ...listArg(entries)]
  const answer = await redis.call(push, [workflowPrefix(workflowId)], args)
  if (answer !== `pushed\n${numbers.length}`) throw new Error(`Cannot push ${numbers.length} items: ${answer}`)
}

export function portsOver(redis: Redis): Ports {
  return {
    clock: systemClock(),
    redis,
    random: systemRandom(),
    host: systemHost(),
    http: systemHttp(),
    files: systemFiles('.'),
    log: pinoLog({ level: 'error' }),
  }
}

/** A node that does nothing but tell the number of its item. */
function sink(tell: (n: number) => unknown): NodeClass {
  return class Sink extends BlockingNode {
    static override identifier = 'bench-sink'
    static override form = defineForm({})
    async execute(input: NodeOutput): Promise<NodeOutput> {
      tell(input.data.n as number)
      return input
    }
  }
}

/** The timer never ticks: as a writer that has not ended it keeps the loops open while their queues are empty. */
function workflow(id: string, hops: Hops): JsonObject {
  const node = (name: string, type: string, form: JsonObject = {}) => ({ id: name, type, data: { form } })
  const edge = (source: string, target: string) => ({ id: `${source}-${target}`, source, target })
  const last = hops === 2 ? 'second' : 'first'
  const nodes = [
    node('never', 'timer', { interval: 1, unit: 'days' }),
    node('in', 'queue-writer', { queue_name: 'first' }),
    node('end', 'queue-reader', { queue_name: last }),
    node('sink', 'bench-sink'),
  ]
  const edges = [edge('never', 'in'), edge('end', 'sink')]
  if (hops === 2) {
    nodes.push(node('pass', 'queue-reader', { queue_name: 'first' }), node('on', 'queue-writer', { queue_name: last }))
    edges.push(edge('pass', 'on'))
  }
  return { id, settings: { queues: { max_length: 0 } }, nodes, edges }
}
