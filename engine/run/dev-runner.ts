/**
 * Development mode (1.9): runs one node, without a loop, and remembers what it put out for the nodes downstream. It
 * commits nothing: a writer says what it would have pushed, a reader looks at its queue and leaves it as it is.
 *
 * E1 no key of production is ever written. E2 a session's calls run one after another. E3 whatever goes wrong is in the
 * answer, with the form's problems by field.
 */
import { EngineError, toErrorRecord } from '../errors.ts'
import { bodyOf, type DevNode, resolveDevNode } from '../graph/dev-node.ts'
import type { FlowGraph, FlowLoop, FlowNode, Plan } from '../graph/flow-graph.ts'
import { hashText } from '../hash.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { describeForm, type FieldDescription } from '../node/form.ts'
import { freezeJson, type NodeOutput } from '../node/node.ts'
import type { NodeRegistry } from '../node/node-registry.ts'
import type { Ports } from '../ports.ts'
import { keepDevOutput, readDevOutputs } from '../store/dev-cache.ts'
import { decodeEntry } from '../store/entry.ts'
import { firstEntry } from '../store/inspect.ts'
import type { EngineEvent, EventSink } from '../trace/events.ts'
import { Deadlines } from './deadlines.ts'
import { nextElement } from './dev-element.ts'
import { type DevSession, DevSessions } from './dev-session.ts'
import { Iteration, NodeFailure } from './iteration.ts'
import { LoopEvents } from './loop-events.ts'
import type { LoopScope } from './loop-scope.ts'
import { isWithoutItem } from './node-answer.ts'

export type DevRequest = {
  /** A workflow file as it stands, of any shape; only what this node needs of it must be right. */
  workflow: JsonObject
  nodeId: string
  /** Goes over the stored form, key by key. */
  formValues?: JsonObject
  /** Completed by what the nodes before this one put out. */
  input?: JsonObject
  /** Without one, a session of this one call. */
  sessionId?: string
  /** Of a for-each: one element further per call, or its whole body. */
  each?: 'element' | 'all'
  signal?: AbortSignal
}

export type DevPush = { queue: string; data: JsonObject }

/** `output` is null when a producer has no item; `message` then says why. Secrets are left out of `form_values`. */
export type DevAnswer = {
  node_id: string
  node_type: string
  input_data: JsonObject
  form_values: JsonObject
  session_id: string
  duration_ms: number
} & (
  | { success: true; output: JsonObject | null; route?: string; message?: string; would_push?: DevPush[] }
  | { success: false; error: string; error_type: string; message: string; form?: FieldDescription[] }
)

export type DevRunnerOptions = { registry: NodeRegistry; ports: Ports; onEvent?: EventSink }

/** What a call has found out so far. */
type Call = { request: DevRequest; node: DevNode; session: DevSession; input: JsonObject; startedMs: number }
type Outcome = { output: JsonObject | null; route?: string; message?: string; would_push?: DevPush[] }

export class DevRunner {
  readonly #options: DevRunnerOptions
  readonly #sessions: DevSessions

  constructor(options: DevRunnerOptions) {
    this.#options = options
    this.#sessions = new DevSessions(options.ports.clock)
  }

  /** Runs a node once. Rejects only when there is no such node: WORKFLOW_INVALID, NODE_UNKNOWN. */
  async execute(request: DevRequest): Promise<DevAnswer> {
    const { registry, ports } = this.#options
    const form = request.formValues === undefined ? {} : { form: request.formValues }
    const node = resolveDevNode(request.workflow, request.nodeId, { registry, ...form })
    const passing = request.sessionId === undefined
    const sessionId = request.sessionId ?? ports.random.nonce('session')
    const session = await this.#sessions.get(sessionId)
    try {
      return await session.inTurn(() =>
        this.#call({ request, node, session, input: {}, startedMs: ports.clock.monotonic() }),
      )
    } finally {
      if (passing) await this.#sessions.end(sessionId)
    }
  }

  /** What a node would run on in a session; undefined when there is nothing. Rejects as `execute` does. */
  async input(request: DevRequest & { sessionId: string }): Promise<JsonObject | undefined> {
    const node = resolveDevNode(request.workflow, request.nodeId, { registry: this.#options.registry })
    try {
      return await this.#inputOf(node, request.input, request.sessionId)
    } catch (error) {
      if (error instanceof EngineError && error.code === 'NO_INPUT') return undefined
      throw error
    }
  }

  /** What a node put out last in a session; undefined when it did not run, or too long ago. */
  async output(workflow: string, nodeId: string, session: string): Promise<JsonObject | undefined> {
    const { redis, clock } = this.#options.ports
    return (await readDevOutputs(redis, { workflow, session }, clock.now())).get(nodeId)
  }

  /** Forgets what a node put out, its instance and its state. */
  async clear(workflow: string, nodeId: string, session: string): Promise<void> {
    const { redis, clock } = this.#options.ports
    await keepDevOutput(redis, { workflow, session, node: nodeId }, undefined, clock.now())
    const own = await this.#sessions.get(session)
    await own.inTurn(() => own.reset(nodeId))
  }

  /** Ends a session: its instances are cleaned up, its state is gone. */
  endSession(session: string): Promise<void> {
    return this.#sessions.end(session)
  }

  close(): Promise<void> {
    return this.#sessions.close()
  }

  async #call(call: Call): Promise<DevAnswer> {
    const { node, session } = call
    try {
      if (node.problems.length > 0) throw invalidForm(node)
      call.input = await this.#inputOf(node, call.request.input, session.id)
      const outcome = await this.#run(call)
      if (outcome.output !== null) await this.#keep(call, outcome.output)
      return { success: true, ...this.#answered(call), ...outcome }
    } catch (error) {
      const cause = error instanceof NodeFailure ? error.cause : error
      const { code, message } = toErrorRecord(cause)
      const isForm = code === 'FORM_INVALID' || node.problems.length > 0
      const form = isForm ? { form: formWith(node, cause) } : {}
      return { success: false, ...this.#answered(call), error: message, error_type: code, message, ...form }
    } finally {
      session.calls.set(node.flow.id, (session.calls.get(node.flow.id) ?? 0) + 1)
    }
  }

  #answered({ node, session, input, startedMs }: Call) {
    return {
      node_id: node.flow.id,
      node_type: node.flow.class.identifier,
      input_data: input,
      form_values: shownForm(node),
      session_id: session.id,
      duration_ms: Math.round(this.#options.ports.clock.monotonic() - startedMs),
    }
  }

  async #keep({ node, session }: Call, output: JsonObject): Promise<void> {
    const { redis, clock } = this.#options.ports
    const place = { workflow: node.workflow.id, session: session.id, node: node.flow.id }
    await keepDevOutput(redis, place, output, clock.now())
  }

  // --- what goes in

  async #inputOf(node: DevNode, given: JsonObject | undefined, session: string): Promise<JsonObject> {
    const { redis, clock } = this.#options.ports
    if (node.flow.class.source === 'claimed' && given === undefined) return await this.#peek(node)
    if (node.flow.class.kind === 'producer') return given ?? {}
    const outputs = await readDevOutputs(redis, { workflow: node.workflow.id, session }, clock.now())
    const before = node.upstream.map(id => outputs.get(id)).filter(output => output !== undefined)
    if (given === undefined && before.length === 0 && node.upstream.length > 0) throw nothingToGoOn(node)
    return mergedInput([given ?? {}, ...before])
  }

  /** The oldest item of the first queue that has one; it stays there. */
  async #peek({ sources, workflow, flow }: DevNode): Promise<JsonObject> {
    for (const queue of sources) {
      const entry = await firstEntry(this.#options.ports.redis, workflow.id, queue)
      if (entry !== undefined) return decodeEntry(entry).item.data
    }
    const looked = sources.length === 0 ? 'it has no queue' : `nothing waits in ${sources.join(', ')}`
    throw new EngineError('NO_INPUT', `Cannot run node "${flow.id}": ${looked}; give it input_data`)
  }

  // --- running

  async #run(call: Call): Promise<Outcome> {
    const { node, session, request } = call
    const events: EngineEvent[] = []
    const stop = new AbortController()
    const scope = await this.#scope(call, { stop: stop.signal, sink: event => void events.push(event) })
    const count = session.calls.get(node.flow.id) ?? 0
    const key = `${session.id}.${node.flow.id}.${count}`
    const iteration = new Iteration(scope, { key, pushPrefix: key, number: count + 1 })
    const abort = () => iteration.abort(new EngineError('ITERATION_ABORTED', 'The run was given up by its caller'))
    request.signal?.addEventListener('abort', abort)
    if (request.signal?.aborted) abort()
    try {
      const output = await outputOf(iteration, node.flow, call.input)
      const chosen = events.find(event => event.type === 'node_completed')
      const route = chosen?.type === 'node_completed' ? chosen.route : undefined
      const outcome = nextElement(output, {
        node,
        session,
        each: request.each ?? 'all',
        outputs: await this.#ends(call),
      })
      remember(session, iteration)
      return { ...outcome, ...(route === undefined ? {} : { route }), ...pushesOf(iteration) }
    } finally {
      request.signal?.removeEventListener('abort', abort)
      iteration.abort(new EngineError('ITERATION_ABORTED', 'The run has ended'))
      // an instance that holds on must not meet the next call
      if ((await iteration.end()).length > 0) await session.reset(node.flow.id)
      scope.deadlines.close()
    }
  }

  /** What the last nodes of a for-each's body put out since. */
  async #ends({ node, session }: Call): Promise<JsonObject[]> {
    if (node.bodyEnds.length === 0) return []
    const { redis, clock } = this.#options.ports
    const outputs = await readDevOutputs(redis, { workflow: node.workflow.id, session: session.id }, clock.now())
    return node.bodyEnds.map(id => outputs.get(id)).filter(output => output !== undefined)
  }

  async #scope(
    { node, session, request }: Call,
    { stop, sink }: { stop: AbortSignal; sink: EventSink },
  ): Promise<LoopScope> {
    const { registry, ports, onEvent } = this.#options
    const run = { id: `dev-${session.id}`, seed: session.id }
    const body =
      node.flow.class.kind === 'loop' && request.each !== 'element'
        ? bodyOf(request.workflow, node.flow.id, registry)
        : undefined
    const loop = loopOf(node.flow, body)
    const where = { workflow: node.workflow.id, run: run.id, loop: node.flow.id }
    const tell: EventSink = event => {
      sink(event)
      onEvent?.(event)
    }
    return {
      ...{ run, ports, loop, graph: graphOf(node) },
      events: new LoopEvents(where, ports.clock, tell),
      queues: new Map(node.queues.map(queue => [queue.name, queue])),
      instances: await session.open(node.flow, loop.nodes, stop),
      deadlines: new Deadlines(ports.clock),
      state: session.state,
      runtime: session.runtime,
      delayUntil: (_field, wakeAt) => Promise.resolve(wakeAt),
    }
  }
}

async function outputOf(iteration: Iteration, flow: FlowNode, data: JsonObject): Promise<NodeOutput | string> {
  const input = { id: hashText(iteration.key), data, metadata: {} }
  freezeJson(data, () => `the input of node "${flow.id}"`)
  if (flow.class.kind !== 'producer') return (await iteration.walk(input))[0] as NodeOutput
  const result = await iteration.produce(flow, input, 'announced')
  if (!isWithoutItem(result)) return result as NodeOutput
  if (result.kind === 'execution-completed') return 'the producer has no more items; reset the session to begin anew'
  return `the producer has no item before ${new Date(result.untilMs).toISOString()}`
}

function remember(session: DevSession, { effects }: Iteration): void {
  for (const [node, text] of effects.state) session.state.set(node, text)
  for (const [key, text] of effects.runtime) {
    if (text === undefined) session.runtime.delete(key)
    else session.runtime.set(key, text)
  }
}

function pushesOf({ effects }: Iteration): { would_push?: DevPush[] } {
  if (effects.pushes.length === 0) return {}
  return { would_push: effects.pushes.map(({ queue, entry }) => ({ queue, data: decodeEntry(entry).item.data })) }
}

/** The first to set a key wins; what is empty, or no object, brings none. */
export function mergedInput(parts: readonly (Json | undefined)[]): JsonObject {
  const merged: JsonObject = {}
  for (const part of parts) {
    if (!isJsonObject(part)) continue
    for (const [key, value] of Object.entries(part)) if (!Object.hasOwn(merged, key)) merged[key] = value
  }
  return merged
}

/** A loop of one node; a for-each brings its body along. */
function loopOf(flow: FlowNode, body: Plan | undefined): FlowLoop {
  const isProducer = flow.class.kind === 'producer'
  const step = { node: flow, incoming: [0], outgoing: [], base: -1, ...(body === undefined ? {} : { body }) }
  const plan: Plan = { steps: [step], edges: [{ from: -1, to: 0, port: 'default' }], entry: [0], sinks: [0] }
  const bodyNodes = (of: Plan | undefined): FlowNode[] =>
    of?.steps.flatMap(each => [each.node, ...bodyNodes(each.body)]) ?? []
  return {
    id: flow.id,
    producer: isProducer ? flow : undefined,
    producerType: flow.class.identifier,
    ...{ background: false, pool: 'async', replicas: 1, endless: false, hash: '' },
    ...{ sources: [], upstream: [], cycle: [], downstream: [] },
    nodes: [flow, ...bodyNodes(body)],
    plan,
  }
}

function graphOf({ workflow, queues }: DevNode): FlowGraph {
  return { workflow, hash: '', nodes: new Map(), loops: [], queues, warnings: [] }
}

function shownForm({ form, flow }: DevNode): JsonObject {
  const { fields } = flow.class.form
  return Object.fromEntries(Object.entries(form).map(([name, value]) => [name, fields[name]?.secret ? null : value]))
}

function formWith({ form, flow }: DevNode, error: unknown): FieldDescription[] {
  const described = describeForm(flow.class.form, form)
  const { field } = ((error as EngineError).details ?? {}) as { field?: string }
  // a value that was rendered is wrong only for this item: the stored form does not know
  for (const line of described) {
    if (line.name === field && line.errors.length === 0) line.errors.push((error as Error).message)
  }
  return described
}

function invalidForm({ problems, flow }: DevNode): EngineError {
  const told = problems.map(({ field, message }) => `field "${field}" ${message}`).join('; ')
  return new EngineError('FORM_INVALID', `Cannot run node "${flow.id}": ${told}`)
}

function nothingToGoOn({ flow, upstream }: DevNode): EngineError {
  const before = upstream.map(id => `"${id}"`).join(' or ')
  return new EngineError(
    'NO_INPUT',
    `Cannot run node "${flow.id}": it has no input; run ${before} first, or give it input_data`,
  )
}
