/**
 * Runs a workflow of type `api`: one pass of its plan per request (1.10). Requests run side by side, each with node
 * instances of its own; what one pushes and sets commits at once, or not at all, and the answer waits for that.
 *
 * Q1 a request that failed, timed out or was given up commits nothing but its count. Q2 instances are cleaned up exactly
 * once, and before the answer. Q3 after `close` no request begins, and those that run are aborted.
 */
import { assert, EngineError, toErrorRecord } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { hashText } from '../hash.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import type { Response } from '../node/context.ts'
import { freezeJson, type NodeOutput, withResult } from '../node/node.ts'
import type { Ports } from '../ports.ts'
import { commitOfRequest, type RequestCommit } from '../store/request-store.ts'
import { retryTransient } from '../store/retry.ts'
import { readRuntime } from '../store/run-store.ts'
import type { EventSink } from '../trace/events.ts'
import { LoopRecorder } from '../trace/recorder.ts'
import type { TraceSink } from '../trace/trace.ts'
import { errorNote } from '../trace/witness.ts'
import { Deadlines } from './deadlines.ts'
import { Instances } from './instances.ts'
import { Iteration, NodeFailure } from './iteration.ts'
import { LoopEvents } from './loop-events.ts'
import type { LoopScope } from './loop-scope.ts'

export type ApiRequest = {
  /** Its keys, when it is an object, also stand at top level of `data`. */
  input: Json
  headers?: Record<string, string>
  method?: string
  query?: JsonObject
  /** Milliseconds; 300 s unless told. */
  timeoutMs?: number
  /** Aborted when nobody waits for the answer any more. */
  signal?: AbortSignal
}

/** `run` names the pass in its events. */
type Answered = { workflow_id: string; run: string; execution_time_ms: number }

/** `response` when an `http-response` node answered: then it, and nothing else, goes to the client. */
export type ApiAnswer =
  | (Answered & { success: true; output: Json; response?: Response })
  | (Answered & { success: false; node_id: string | null; error: string; code: string })

/** A body as clients send it: `{ input, timeout? }` (seconds), or the input itself. */
export function unwrapInput(body: Json): { input: Json; timeoutMs?: number } {
  if (!isJsonObject(body) || body.input === undefined) return { input: body }
  const { input, timeout, ...others } = body
  if (Object.keys(others).length > 0) return { input: body }
  return typeof timeout === 'number' && timeout > 0 ? { input, timeoutMs: timeout * 1000 } : { input }
}

export type ApiRunnerOptions = {
  graph: FlowGraph
  ports: Ports
  onEvent?: EventSink
  /** Where what a replay needs goes: each request is an iteration of a holder of its own. */
  record?: TraceSink | undefined
}

export class ApiRunner {
  readonly #options: ApiRunnerOptions
  readonly #loop: FlowLoop
  /** Of the requests that run. */
  readonly #stops = new Set<AbortController>()
  #isClosed = false

  /** The workflow must be of type `api`: loading saw to it that it has one producer. */
  constructor(options: ApiRunnerOptions) {
    const [loop] = options.graph.loops
    assert(options.graph.workflow.type === 'api' && loop !== undefined, () => 'An api workflow has one loop')
    this.#options = options
    this.#loop = loop
  }

  /** How many requests run now. */
  get running(): number {
    return this.#stops.size
  }

  /** No request begins after this; those that run are aborted and answer so. */
  close(): void {
    this.#isClosed = true
    for (const stop of this.#stops) stop.abort(closed())
  }

  /** Runs the workflow once. Never rejects: whatever went wrong is in the answer. */
  async execute(request: ApiRequest): Promise<ApiAnswer> {
    const { graph, ports } = this.#options
    const startedMs = ports.clock.monotonic()
    const token = ports.random.nonce('request')
    const answered = () => ({
      workflow_id: graph.workflow.id,
      run: runOf(token),
      execution_time_ms: Math.round(ports.clock.monotonic() - startedMs),
    })
    const stop = this.#stopOf(request)
    try {
      const passed = await this.#pass(request, token, stop.signal)
      return { success: true, ...answered(), ...passed }
    } catch (error) {
      const { code, message } = toErrorRecord(error instanceof NodeFailure ? error.cause : error)
      const node_id = error instanceof NodeFailure ? error.node.id : null
      return { success: false, ...answered(), node_id, error: message, code }
    } finally {
      stop.dispose()
    }
  }

  /** One pass, bounded in time. What it leaves open is closed before this settles. */
  async #pass(request: ApiRequest, token: string, stop: AbortSignal): Promise<Passed> {
    const { graph, ports, onEvent = () => undefined } = this.#options
    const where = { workflow: graph.workflow.id, run: runOf(token), loop: this.#loop.id }
    const events = new LoopEvents(where, ports.clock, onEvent)
    stop.throwIfAborted()
    const runtime = await this.#retry(stop, () => readRuntime(ports.redis, graph.workflow.id))
    // its time may have ended while Redis took its own
    stop.throwIfAborted()
    const recorder = this.#recorder(where, token)
    const scope = this.#scope({ token, events, runtime: runtime.variables, recorder }, stop)
    const iteration = new Iteration(scope, { key: token, pushPrefix: token, number: 1 })
    const abort = () => iteration.abort(stop.reason)
    stop.addEventListener('abort', abort)
    try {
      await scope.instances.open()
      events.iterationStarted(1)
      const item = itemOf(request, this.#loop, { token, now: ports.clock.now() })
      return await this.#walk(iteration, item, { stop, recorder })
    } finally {
      stop.removeEventListener('abort', abort)
      recorder?.end()
      await letGo(iteration)
      scope.deadlines.close()
      await scope.instances.close()
    }
  }

  /** Walks the plan and commits; a failure commits nothing but that it happened. */
  async #walk(
    iteration: Iteration,
    item: NodeOutput,
    { stop, recorder }: { stop: AbortSignal; recorder: LoopRecorder | undefined },
  ): Promise<Passed> {
    const { clock } = this.#options.ports
    const { effects, scope } = iteration
    const startedMs = clock.monotonic()
    const seconds = () => (clock.monotonic() - startedMs) / 1000
    const { producer } = this.#loop
    assert(producer !== undefined, () => 'The loop of an api workflow has a producer')
    const entry = { key: iteration.key, enqueuedAt: clock.now(), suspect: false, charges: 0, queue: '', item }
    try {
      const begun = (await iteration.produce(producer, item, 'announced')) as NodeOutput
      const ends = await iteration.walk(begun)
      const { pushes, runtime } = effects
      recorder?.ended(iteration, entry, { as: 'ok' })
      await this.#retry(stop, () => this.#commit(iteration, { outcome: 'ok', pushes, runtime }))
      recorder?.committed(iteration)
      scope.events.iterationCompleted(1, seconds())
      return passed(ends.length === 0 ? [begun] : ends, effects.response)
    } catch (error) {
      const cause = error instanceof NodeFailure ? error.cause : error
      // what was given up has no end that could be repeated
      if (error instanceof NodeFailure && !stop.aborted)
        recorder?.ended(iteration, entry, { as: 'failed', node: error.node.id, error: errorNote(cause) })
      scope.events.iterationFailed(1, toErrorRecord(cause), seconds())
      const failed = { outcome: 'failed', pushes: [], runtime: new Map() } as const
      // a count is not worth waiting for
      await this.#commit(iteration, failed).catch(() => undefined)
      throw error
    }
  }

  #recorder({ run, loop }: { run: string; loop: string }, token: string): LoopRecorder | undefined {
    const { record, ports } = this.#options
    return record && new LoopRecorder(record, { run, loop, replica: 0, instance: token }, () => ports.clock.now())
  }

  /** A request whose commit may have been applied has the same token as its failure: it never counts twice. */
  #commit({ key }: Iteration, commit: Omit<RequestCommit, 'token'>): Promise<void> {
    const { graph, ports } = this.#options
    return commitOfRequest(ports.redis, graph, { token: key, ...commit })
  }

  /** A request waits for an outage no longer than its caller does. */
  #retry<T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> {
    return retryTransient({ clock: this.#options.ports.clock, signal, pauseMsMax: limits.wakeWaitMs }, call)
  }

  /** Aborts when the workflow stops, nobody waits any more, or the time is up, whichever comes first. */
  #stopOf({ signal, timeoutMs = limits.requestMs }: ApiRequest): { signal: AbortSignal; dispose: () => void } {
    const { graph, ports } = this.#options
    const stop = new AbortController()
    const giveUp = (): void => stop.abort(signal?.reason)
    this.#stops.add(stop)
    signal?.addEventListener('abort', giveUp)
    if (signal?.aborted) giveUp()
    if (this.#isClosed) stop.abort(closed())
    const late = ports.clock.sleep(Math.min(timeoutMs, limits.timerMsMax), stop.signal)
    late.then(
      () => stop.abort(tooLate(graph.workflow.id, timeoutMs)),
      () => undefined,
    )
    const dispose = (): void => {
      signal?.removeEventListener('abort', giveUp)
      this.#stops.delete(stop)
      stop.abort()
    }
    return { signal: stop.signal, dispose }
  }

  #scope(
    own: {
      token: string
      events: LoopEvents
      runtime: ReadonlyMap<string, string>
      recorder: LoopRecorder | undefined
    },
    stop: AbortSignal,
  ): LoopScope {
    const { graph, ports } = this.#options
    const { token, events, runtime, recorder } = own
    return {
      ...{ graph, ports, events, runtime, loop: this.#loop },
      run: { id: runOf(token), seed: token },
      queues: new Map(graph.queues.map(queue => [queue.name, queue])),
      instances: new Instances(this.#loop.nodes, {
        clock: ports.clock,
        aborted: stop,
        onCleanupError: (node, error) => events.cleanupFailed(node, error),
      }),
      deadlines: new Deadlines(ports.clock),
      state: new Map(),
      // nothing resumes a request that died, so its delays need not outlive it
      delayUntil: (_field, wakeAt) => Promise.resolve(wakeAt),
      ...(recorder && { witness: () => recorder.witness() }),
    }
  }
}

function runOf(token: string): string {
  return `request-${token}`
}

type Passed = { output: Json; response?: Response }

/** One last node: its data; several: a list, in the order of the plan. */
function passed(ends: readonly NodeOutput[], response: Response | undefined): Passed {
  const output = ends.length === 1 ? (ends[0] as NodeOutput).data : ends.map(end => end.data)
  return response === undefined ? { output } : { output, response }
}

async function letGo(iteration: Iteration): Promise<void> {
  iteration.abort(new EngineError('ITERATION_ABORTED', 'The request has ended'))
  await iteration.end()
}

function closed(): EngineError {
  return new EngineError('ITERATION_ABORTED', 'The request was aborted: the workflow stops')
}

function tooLate(workflow: string, timeoutMs: number): EngineError {
  const within = `it did not end within ${timeoutMs / 1000} s`
  return new EngineError('API_TIMEOUT', `Cannot answer the request of workflow "${workflow}": ${within}`)
}

/** What the producer is given: the input's keys at top level, and the request itself as `webhook`. */
function itemOf(request: ApiRequest, loop: FlowLoop, at: { token: string; now: number }): NodeOutput {
  const { input, headers = {}, method = 'POST', query = {} } = request
  const webhookId = loop.producer?.form.values.webhook_id
  const webhook = {
    webhook_id: typeof webhookId === 'string' ? webhookId : '',
    data: { body: input, headers, method, query_params: query },
    timestamp: at.now,
  }
  freezeJson(input, () => 'the input of the request')
  return withResult(
    { id: hashText(at.token), data: isJsonObject(input) ? input : {}, metadata: {} },
    'webhook',
    webhook,
  )
}
