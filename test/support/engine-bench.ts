/**
 * The engine on a bench: real graph, runner and scripts over keys in memory and a clock that jumps. No faults and no
 * latency, so that a story reads as one; the simulator (sim/) is where the engine is broken.
 */
import { EngineError } from '../../engine/errors.ts'
import { FlowDaemon } from '../../engine/flow-daemon.ts'
import { FlowEngine, type RunEnd } from '../../engine/flow-engine.ts'
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../engine/json.ts'
import { MemoryServer, type Outcome } from '../../engine/memory-redis/server.ts'
import type { NodeClass } from '../../engine/node/node.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { Clock, HolderIdentity, Ports, Redis } from '../../engine/ports.ts'
import { listDeadLetters, peekQueue } from '../../engine/store/inspect.ts'
import type { StartMode } from '../../engine/store/run-store.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { SimTime, settled } from '../../sim/clock.ts'

/** `n:type {form}` as an object: `{ n: ['type', { form }] }`; edges as `a>b c:yes>d`. */
export type Sketch = {
  id?: string
  settings?: JsonObject
  nodes: Record<string, string | [string, JsonObject]>
  edges: string
}

export function sketch({ id = 'story', settings = {}, nodes, edges }: Sketch): JsonObject {
  return {
    id,
    settings,
    nodes: Object.entries(nodes).map(([name, node]) => {
      const [type, form] = typeof node === 'string' ? [node, {}] : node
      return { id: name, type, data: { form } }
    }),
    edges: edges
      .split(/\s+/)
      .filter(Boolean)
      .map((text, i) => {
        const [from = '', target = ''] = text.split('>')
        const [source = '', sourceHandle = null] = from.split(':')
        return { id: `e${i}`, source, target, sourceHandle }
      }),
  }
}

export class Bench {
  readonly time = new SimTime()
  readonly server = new MemoryServer()
  /** Scripts that were called. */
  calls = 0
  readonly events: EngineEvent[] = []
  readonly files: Record<string, string> = {}
  /** Processes that have died. */
  readonly gone = new Set<number>()
  readonly #classes: readonly NodeClass[]
  #nonces = 0
  #processes = 0

  constructor(classes: readonly NodeClass[] = []) {
    this.#classes = classes
  }

  load(workflow: Sketch): FlowGraph {
    return requireWorkflow(sketch(workflow), { registry: defaultRegistry([...this.#classes]) })
  }

  /** A new process with an engine that is not started; its identity is `pid`. */
  engine(graph: FlowGraph): { engine: FlowEngine; pid: number } {
    const pid = ++this.#processes
    return { engine: new FlowEngine({ graph, ports: this.ports(pid), onEvent: event => this.events.push(event) }), pid }
  }

  /** A new process with a daemon that is not open. */
  daemon(): { daemon: FlowDaemon; pid: number } {
    const pid = ++this.#processes
    const onEvent = (event: EngineEvent) => this.events.push(event)
    return {
      daemon: new FlowDaemon({ ports: this.ports(pid), onEvent, about: { host: 'bench', version: '0' } }),
      pid,
    }
  }

  /** Runs a workflow to its end. */
  async run(workflow: Sketch | FlowGraph, mode: StartMode = 'resume'): Promise<RunEnd> {
    const graph = 'loops' in workflow ? workflow : this.load(workflow)
    const { engine } = this.engine(graph)
    return await this.finish(engine.start({ mode }).then(() => engine.done))
  }

  /** Lets time pass until `promise` settles. Rejects when nothing is left that could settle it. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let open = true
    const end = promise.finally(() => {
      open = false
    })
    end.catch(() => undefined)
    await settled()
    while (open) {
      const moved = this.time.next()
      await settled()
      if (!moved && open)
        throw new Error(`Nothing is left to wait for at ${this.time.ms} ms: ${this.story().slice(-300)}`)
    }
    return await end
  }

  /** Lets `ms` of simulated time pass. */
  async pass(ms: number): Promise<void> {
    await this.finish(this.#clock().sleep(ms))
  }

  /** The events of nodes, one word each: `a` ran, `-a` was skipped, `!a` failed, `|` ends an iteration, `x` a failed one. */
  story(loop?: string): string {
    const words = this.events.flatMap(event => {
      if (loop !== undefined && 'loop' in event && event.loop !== loop) return []
      if (event.type === 'node_completed')
        return [event.route === undefined ? event.node_id : `${event.node_id}:${event.route}`]
      if (event.type === 'node_skipped') return [`-${event.node_id}`]
      if (event.type === 'node_failed') return [`!${event.node_id}`]
      if (event.type === 'iteration_completed') return ['|']
      return event.type === 'iteration_failed' ? ['x'] : []
    })
    return words.join(' ')
  }

  of<T extends EngineEvent['type']>(type: T): Extract<EngineEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<EngineEvent, { type: T }> => event.type === type)
  }

  async queue(name: string, workflow = 'story'): Promise<JsonObject[]> {
    return (await peekQueue(this.redis, workflow, name, 0)).map(item => item.data)
  }

  async deadLetters(workflow = 'story') {
    return await listDeadLetters(this.redis, workflow)
  }

  get redis(): Redis {
    return this.ports(0).redis
  }

  ports(pid: number): Ports {
    const clock = this.#clock()
    const isGone = (identity: HolderIdentity): boolean => identity.boot === 'bench' && this.gone.has(identity.pid)
    return {
      clock,
      random: { draw: () => 0.5, nonce: stream => `${stream}-${++this.#nonces}-0123456789abcdef` },
      redis: this.#redis(),
      host: {
        identity: (): HolderIdentity => ({ boot: 'bench', pid, start: String(pid) }),
        isGone,
        gone: async (identity, signal) => {
          while (!isGone(identity)) await clock.sleep(100, signal)
        },
      },
      http: { request: async () => ({ status: 200, headers: {}, body: '' }) },
      files: {
        read: async (path, offset, bytesMax) =>
          new TextEncoder().encode(this.files[path] ?? '').slice(offset, offset + bytesMax),
        write: async (path, content, mode) => {
          this.files[path] = (mode === 'a' ? (this.files[path] ?? '') : '') + content
        },
      },
      log: { write: () => undefined },
    }
  }

  #clock(): Clock {
    return {
      now: () => this.time.wall(),
      monotonic: () => this.time.ms,
      sleep: (ms, signal) => sleep(this.time, ms, signal),
      until: (epochMs, signal) => sleep(this.time, epochMs - this.time.wall(), signal),
    }
  }

  #redis(): Redis {
    const { server, time } = this
    const read = async <T>(operation: (db: MemoryServer['db']) => T): Promise<T> =>
      answer(server.run(time.wall(), operation))
    return {
      call: async (script, keys, args) => {
        this.calls += 1
        const outcome = server.runScript(time.wall(), script, keys, args)
        server.deliver(time.wall(), () => undefined)
        return answer(outcome)
      },
      hget: (key, field) => read(db => db.hget(key, field)),
      hgetall: key => read(db => db.hgetall(key)),
      lrange: (key, start, stop) => read(db => db.lrange(key, start, stop)),
      llen: key => read(db => db.llen(key)),
      smembers: key => read(db => db.smembers(key)),
      wait: (key, timeoutMs, signal) => wait(server, time, { key, timeoutMs, signal }),
      close: async () => undefined,
    }
  }
}

function answer<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.reply
  throw outcome.error
}

function sleep(time: SimTime, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const abort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = time.after(ms, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort)
  })
}

type Wait = { key: string; timeoutMs: number; signal: AbortSignal | undefined }

async function wait(server: MemoryServer, time: SimTime, { key, timeoutMs, signal }: Wait): Promise<boolean> {
  if (signal?.aborted) throw new EngineError('ITERATION_ABORTED', 'The wait was aborted')
  if (answer(server.run(time.wall(), db => db.lpop(key))) !== null) return true
  return await new Promise((resolve, reject) => {
    const abort = () => end(() => reject(signal?.reason))
    const end = (settle: () => void) => {
      stop()
      cancel()
      signal?.removeEventListener('abort', abort)
      settle()
    }
    const stop = server.park(key, () => end(() => resolve(true)))
    const cancel = time.after(timeoutMs, () => end(() => resolve(false)))
    signal?.addEventListener('abort', abort)
  })
}
