/**
 * What of a daemon answers calls, as far as it is the engine's: webhook intake, the runner of api requests, development
 * mode. Around it the daemon has routes, which say the same over HTTP. It lives and dies with its process.
 */
import { EngineError, toErrorRecord } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import type { Keyspace } from '../engine/memory-redis/keyspace.ts'
import { NodeRegistry } from '../engine/node/node-registry.ts'
import type { Ports, Redis } from '../engine/ports.ts'
import { ApiRequests } from '../engine/run/api-requests.ts'
import type { ApiAnswer } from '../engine/run/api-runner.ts'
import { type DevAnswer, DevRunner } from '../engine/run/dev-runner.ts'
import { type WebhookAnswer, WebhookIntake } from '../engine/run/webhook-intake.ts'
import type { EventSink } from '../engine/trace/events.ts'
import type { RecordOf } from '../engine/trace/trace.ts'
import { bodyOf, type CallOf, inputOf, type PlanCall } from './calls.ts'

/** `refused`: it threw, with this code. */
export type CallAnswer =
  | { kind: 'post'; status: WebhookAnswer['status'] }
  | { kind: 'ask'; answer: ApiAnswer }
  | { kind: 'develop'; answer: DevAnswer }
  | { kind: 'refused'; code: string }

export type FrontOptions = {
  /** As it serves api requests. */
  graph: FlowGraph
  /** As it stands in its file, with the classes that its nodes have. */
  workflow: JsonObject
  classes: FlowGraph
  ports: Ports
  /** Of development: a connection of its own, and an outside of its own. */
  devPorts: Ports
  onEvent: EventSink
  recordOf: RecordOf | undefined
  /** Development changed these keys by this operation. */
  onDevWrite(op: string, keys: readonly string[]): void
}

/** So few, that some lives come to it. */
const runningMax = 12
/** How long webhooks wait for Redis: less than it is away now and then. */
const patienceMs = 1_000

export class Front {
  readonly #options: FrontOptions
  readonly #intake: WebhookIntake
  readonly #requests: ApiRequests
  readonly #dev: DevRunner
  readonly #busy = new Set<Promise<CallAnswer>>()
  #isDraining = false

  constructor(options: FrontOptions) {
    const { ports, devPorts, classes, onEvent, recordOf, onDevWrite } = options
    const { redis, clock, random } = ports
    this.#options = options
    this.#intake = new WebhookIntake({ redis, clock, random, patienceMs })
    this.#requests = new ApiRequests({ ports, onEvent, recordOf, runningMax })
    const registry = new NodeRegistry([...new Set([...classes.nodes.values()].map(node => node.class))])
    this.#dev = new DevRunner({ registry, ports: { ...devPorts, redis: watched(devPorts.redis, onDevWrite) } })
  }

  /** Never rejects. */
  async take(call: PlanCall, signal: AbortSignal): Promise<CallAnswer> {
    const answer = this.#take(call, signal)
    this.#busy.add(answer)
    try {
      return await answer
    } finally {
      this.#busy.delete(answer)
    }
  }

  async #take(call: PlanCall, signal: AbortSignal): Promise<CallAnswer> {
    try {
      if (this.#isDraining) throw new EngineError('DRAINING', 'Cannot begin: the daemon stops')
      if (call.kind === 'post') return { kind: 'post', status: (await this.#post(call)).status }
      if (call.kind === 'ask') return { kind: 'ask', answer: await this.#ask(call, signal) }
      return { kind: 'develop', answer: await this.#develop(call, signal) }
    } catch (error) {
      return { kind: 'refused', code: toErrorRecord(error).code }
    }
  }

  async drain(drainMs: number): Promise<void> {
    this.#isDraining = true
    await Promise.all([this.#requests.drain(drainMs), this.#dev.close()])
    await Promise.all(this.#busy)
  }

  #post(call: CallOf<'post'>): Promise<WebhookAnswer> {
    const { webhook, key, n } = call
    const request = { body: bodyOf(call), headers: { 'x-call': String(n) }, method: 'POST', query: {} }
    return this.#intake.accept([this.#options.classes], webhook, { ...request, ...(key === undefined ? {} : { key }) })
  }

  async #ask({ n, timeoutMs }: CallOf<'ask'>, signal: AbortSignal): Promise<ApiAnswer> {
    const { type } = this.#options.graph.workflow
    if (type !== 'api') throw new EngineError('NOT_SUPPORTED', `Cannot ask a workflow of type "${type}"`)
    return this.#requests.execute(this.#options.graph, { input: inputOf({ n }), timeoutMs, signal })
  }

  #develop({ node, session, each, hasInput, n }: CallOf<'develop'>, signal: AbortSignal): Promise<DevAnswer> {
    return this.#dev.execute({
      ...{ workflow: this.#options.workflow, nodeId: node, signal },
      ...(session === undefined ? {} : { sessionId: session }),
      ...(each === undefined ? {} : { each }),
      ...(hasInput === true ? { input: inputOf({ n }) } : {}),
    })
  }
}

/** Tells, at the server, which keys an operation leaves otherwise than it found them. */
function watched(redis: Redis, tell: (op: string, keys: readonly string[]) => void): Redis {
  return {
    call: (script, keys, args) => {
      const run = (...at: Parameters<typeof script.run>) => {
        const before = textOf(at[0])
        const reply = script.run(...at)
        const after = textOf(at[0])
        const all = new Set([...before.keys(), ...after.keys()])
        const changed = [...all].filter(key => before.get(key) !== after.get(key))
        tell(script.name, changed)
        return reply
      }
      return redis.call({ ...script, run }, keys, args)
    },
    hget: (key, field) => redis.hget(key, field),
    hgetall: key => redis.hgetall(key),
    lrange: (key, start, stop) => redis.lrange(key, start, stop),
    llen: key => redis.llen(key),
    smembers: key => redis.smembers(key),
    wait: (key, timeoutMs, signal) => {
      tell('wait', [key])
      return redis.wait(key, timeoutMs, signal)
    },
    close: () => redis.close(),
  }
}

function textOf(db: Keyspace): Map<string, string> {
  return new Map(db.dump().map(each => [each.key, JSON.stringify(each)]))
}
