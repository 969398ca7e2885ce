/**
 * A producer and three plain nodes, and what it takes to run them in this process: the host's clock, a Redis that is
 * nothing but keys in memory. It counts the events that come out, so that a bench knows that all of it ran.
 */
import { pinoLog, systemClock, systemFiles, systemHost, systemHttp, systemRandom } from '../../daemon/system-ports.ts'
import type { FlowGraph, FlowLoop } from '../../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import { MemoryServer, type Outcome } from '../../engine/memory-redis/server.ts'
import { defineForm } from '../../engine/node/form.ts'
import {
  BlockingNode,
  ExecutionCompleted,
  type NodeOutput,
  type Produced,
  ProducerNode,
} from '../../engine/node/node.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { Clock, Ports, Redis } from '../../engine/ports.ts'
import { Deadlines } from '../../engine/run/deadlines.ts'
import { Instances } from '../../engine/run/instances.ts'
import { LoopEvents } from '../../engine/run/loop-events.ts'
import type { LoopScope } from '../../engine/run/loop-scope.ts'

/** Items that the source has yet to yield, and events that came out. */
export const counts = { left: 0, events: 0 }
export const countEvent = (): void => {
  counts.events += 1
}

export class Source extends ProducerNode {
  static override identifier = 'bench-source'
  static override form = defineForm({})
  async execute(input: NodeOutput): Promise<Produced> {
    return counts.left-- > 0 ? { ...input, data: { n: counts.left } } : new ExecutionCompleted()
  }
}

export class Plain extends BlockingNode {
  static override identifier = 'bench-plain'
  static override form = defineForm({})
  async execute(input: NodeOutput): Promise<NodeOutput> {
    return { ...input, data: { ...input.data, n: (input.data.n as number) + 1 } }
  }
}

export function loadPlan(): FlowGraph {
  const ids = ['a', 'b', 'c']
  const workflow = {
    id: 'bench',
    nodes: [{ id: 'source', type: 'bench-source' }, ...ids.map(id => ({ id, type: 'bench-plain' }))],
    edges: ids.map((target, i) => ({ id: `e${i}`, source: i === 0 ? 'source' : (ids[i - 1] as string), target })),
  }
  return requireWorkflow(workflow, { registry: defaultRegistry([Source, Plain]) })
}

export function portsInMemory(): Ports {
  const clock = systemClock()
  return {
    clock,
    redis: redisInMemory(clock),
    random: systemRandom(),
    host: systemHost(),
    http: systemHttp(),
    files: systemFiles('.'),
    log: pinoLog({ level: 'error' }),
  }
}

export function openScope(graph: FlowGraph): LoopScope {
  const [loop] = graph.loops as [FlowLoop]
  const ports = portsInMemory()
  const run = { id: 'run-1', seed: '0123456789abcdef' }
  return {
    graph,
    loop,
    queues: new Map(),
    run,
    ports,
    instances: new Instances(loop.nodes, {
      clock: ports.clock,
      aborted: new AbortController().signal,
      onCleanupError: (_node, error) => {
        throw error
      },
    }),
    deadlines: new Deadlines(ports.clock),
    events: new LoopEvents({ workflow: graph.workflow.id, run: run.id, loop: loop.id }, ports.clock, countEvent),
    state: new Map(),
    runtime: new Map(),
    delayUntil: async (_field, wakeAt) => wakeAt,
  }
}

/** Nobody is ever woken: a loop with a producer of its own has nothing to wait for. */
function redisInMemory(clock: Clock): Redis {
  const server = new MemoryServer()
  const read = async <T>(operation: (db: MemoryServer['db']) => T) => answer(server.run(clock.now(), operation))
  return {
    call: async (script, keys, args) => answer(server.runScript(clock.now(), script, keys, args)),
    hget: (key, field) => read(db => db.hget(key, field)),
    hgetall: key => read(db => db.hgetall(key)),
    lrange: (key, start, stop) => read(db => db.lrange(key, start, stop)),
    llen: key => read(db => db.llen(key)),
    smembers: key => read(db => db.smembers(key)),
    wait: (_key, timeoutMs, signal) =>
      clock.sleep(timeoutMs, signal).then(
        () => false,
        () => false,
      ),
    close: async () => undefined,
  }
}

function answer<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.reply
  throw outcome.error
}
