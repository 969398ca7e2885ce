/**
 * One iteration: an item walks the plan. The only place that executes nodes and emits their events.
 *
 * I1 every await is on a node, on a port, or on other steps of the walk. I2 nothing leaves before the commit: effects are
 * collected. I3 the first failure aborts the rest, and the iteration ends only when all its nodes have let go, or the
 * grace has passed and those that did not are named for replacement.
 */
import { assert, EngineError, toErrorRecord } from '../errors.ts'
import type { FlowNode, Plan, PlanStep } from '../graph/flow-graph.ts'
import { foldPort } from '../graph/workflow.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import {
  type Elements,
  type ExecutionCompleted,
  freezeJson,
  type NodeOutput,
  type NodeResult,
  type NotBefore,
  type Routed,
} from '../node/node.ts'
import type { TemplateScope } from '../node/template.ts'
import type { Witness } from '../trace/witness.ts'
import { Effects } from './effects.ts'
import { forEachElement } from './for-each.ts'
import type { LoopScope } from './loop-scope.ts'
import { mergeOutputs } from './merge.ts'
import { RunningContext } from './node-context.ts'
import { type Decided, Walk } from './walk.ts'

/** A node failed; the iteration ends with this. */
export class NodeFailure extends Error {
  readonly node: FlowNode
  constructor(node: FlowNode, cause: unknown) {
    super(`Node "${node.id}" failed`, { cause })
    this.name = 'NodeFailure'
    this.node = node
  }
}

export type IterationId = {
  /** Names the item for ever: the key of its claim, or run, loop, replica and count. */
  key: string
  /** Makes the keys of what it pushes unique. */
  pushPrefix: string
  /** From 1 per run and loop. */
  number: number
}

export class Iteration {
  readonly scope: LoopScope
  readonly key: string
  readonly pushPrefix: string
  readonly number: number
  readonly effects: Effects
  /** Undefined unless the iteration is recorded or replayed. */
  readonly witness: Witness | undefined
  /** True from the moment the outside may have noticed this iteration. */
  touchedOutside = false
  ended = false
  /** Made only for a node that looks at its signal. */
  #controller: AbortController | undefined
  #aborted: { reason: unknown } | undefined
  readonly #inFlight = new Map<FlowNode, Promise<unknown>>()
  readonly #onAbort = new Set<(reason: unknown) => void>()

  constructor(scope: LoopScope, id: IterationId) {
    this.scope = scope
    this.key = id.key
    this.pushPrefix = id.pushPrefix
    this.number = id.number
    const { state, runtime } = scope
    this.witness = scope.witness?.()
    const { witness } = this
    const committed =
      witness === undefined
        ? { state, runtime }
        : { state: witness.committed('state', state), runtime: witness.committed('runtime', runtime) }
    this.effects = new Effects(committed, id.pushPrefix)
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason)
    return this.#controller.signal
  }

  /** Asks the producer for an item. A queue reader is given the claimed one. */
  async produce(producer: FlowNode, input: NodeOutput, announce: 'announced' | 'silent'): Promise<NodeResult> {
    if (announce === 'announced') this.started(producer)
    const startedMs = this.scope.ports.clock.monotonic()
    try {
      const result = await this.#invoke(producer, input, producer.id)
      if (announce === 'announced') this.completed(producer, startedMs)
      if (this.witness !== undefined && !isWithoutItem(result)) {
        this.witness.notes.completed(producer.id, input, { output: result as NodeOutput, route: 'default' })
      }
      return result
    } catch (error) {
      const failure = this.#failure(producer, error, producer.id)
      if (announce === 'announced' && failure instanceof NodeFailure) this.failed(failure, startedMs)
      throw failure
    }
  }

  /** Runs the plan for an item; what its last nodes put out. Rejects with NodeFailure, or with the reason of `abort`. */
  walk(item: NodeOutput): Promise<NodeOutput[]> {
    return this.#walk(this.scope.loop.plan, item, '')
  }

  abort(reason: unknown): void {
    if (this.#aborted !== undefined) return
    this.#aborted = { reason }
    this.#controller?.abort(reason)
    for (const reject of [...this.#onAbort]) reject(reason)
  }

  /** Waits until all nodes let go, revokes their contexts, and names those that did not within the grace. */
  async end(): Promise<FlowNode[]> {
    if (this.#inFlight.size > 0) {
      const timer = new AbortController()
      const grace = this.scope.ports.clock.sleep(limits.abortGraceMs, timer.signal).catch(() => undefined)
      await Promise.race([Promise.allSettled(this.#inFlight.values()), grace])
      timer.abort()
    }
    this.ended = true
    return [...this.#inFlight.keys()]
  }

  started(node: FlowNode): void {
    this.scope.events.nodeStarted(this.number, node)
  }

  completed(node: FlowNode, startedMs: number, route?: string): void {
    const duration = this.#secondsSince(startedMs)
    this.scope.events.nodeCompleted(this.number, node, route === undefined ? { duration } : { route, duration })
  }

  failed({ node, cause }: NodeFailure, startedMs: number): void {
    this.scope.events.nodeFailed(this.number, node, toErrorRecord(cause), this.#secondsSince(startedMs))
  }

  // --- the walk

  async #walk(plan: Plan, entry: NodeOutput, path: string): Promise<NodeOutput[]> {
    const walk = new Walk(plan)
    const outputs: NodeOutput[] = []
    const at = (step: number): NodeOutput => (step === -1 ? entry : (outputs[step] as NodeOutput))
    const inputOf = (index: number): NodeOutput => {
      const sources = walk.liveInputs(index).map(edge => at(plan.edges[edge]?.from as number))
      return sources.length === 1
        ? (sources[0] as NodeOutput)
        : mergeOutputs(at(plan.steps[index]?.base as number), sources)
    }
    const visit = async (index: number): Promise<Decided[]> => {
      const { output, route } = await this.#step(plan.steps[index] as PlanStep, inputOf(index), path)
      outputs[index] = output
      return walk.complete(index, route)
    }
    const proceed = async (decided: Decided[]): Promise<void> => {
      for (let next = decided; next.length > 0; ) {
        for (const { step, live } of next) if (!live) this.#skipped((plan.steps[step] as PlanStep).node, path)
        const live = next.filter(each => each.live)
        // a chain is a loop; only a fork goes on in several
        if (live.length !== 1) return void (await Promise.all(live.map(async each => proceed(await visit(each.step)))))
        next = await visit((live[0] as Decided).step)
      }
    }
    await proceed(walk.begin())
    return outputs.filter((_, index) => walk.isEnd(index))
  }

  async #step(step: PlanStep, input: NodeOutput, path: string): Promise<Routed> {
    const { node } = step
    const place = path + node.id
    const startedMs = this.scope.ports.clock.monotonic()
    this.started(node)
    try {
      const result = await this.#invoke(node, input, place)
      const { output, route } = await this.#outcome(step, result, place)
      for (const target of node.targets) this.#push(target, output, place)
      this.witness?.notes.completed(place, input, { output, route })
      this.completed(node, startedMs, node.class.kind === 'conditional' ? route : undefined)
      return { output, route }
    } catch (error) {
      // a failure of a body node was told where it happened
      const failure = error instanceof NodeFailure ? error : this.#failure(node, error, place)
      if (failure !== error && failure instanceof NodeFailure) this.failed(failure, startedMs)
      throw failure
    }
  }

  /** What a step puts out and where it goes on; a loop node runs its body here. */
  async #outcome(step: PlanStep, result: NodeResult, place: string): Promise<Routed> {
    const { node } = step
    if (node.class.kind === 'conditional') {
      const { output } = result as Routed
      const route = foldPort((result as Routed).route)
      if (node.ports.includes(route)) return { output, route }
      const offered = node.ports.map(port => `"${port}"`).join(', ')
      throw new EngineError(
        'ROUTE_UNKNOWN',
        `Cannot follow route "${route}" of node "${node.id}": it offers ${offered}`,
      )
    }
    if (node.class.kind !== 'loop') return { output: result as NodeOutput, route: 'default' }
    const runBody = (element: NodeOutput, index: number) =>
      step.body === undefined ? Promise.resolve([]) : this.#walk(step.body, element, `${place}[${index}]/`)
    return { output: await forEachElement(node.id, result as Elements, runBody), route: 'default' }
  }

  #push(queueName: string, output: NodeOutput, place: string): void {
    const { queues, ports } = this.scope
    const queue = queues.get(queueName)
    assert(queue !== undefined, () => `The mapper knows queue "${queueName}"`)
    this.effects.push({ name: queue.name, lengthMax: queue.maxLength }, output, ports.clock.now())
    this.witness?.notes.pushes.push({ at: place, queue: queue.name })
  }

  // --- one node

  async #invoke(node: FlowNode, input: NodeOutput, path: string): Promise<NodeResult> {
    if (this.#aborted !== undefined) throw this.#aborted.reason
    const form = node.form.render(this.#templateScope(input.data), node.id)
    const context = new RunningContext(this, { nodeId: node.id, path }, form)
    // a node written in JavaScript may forget its `async`
    const work = Promise.resolve(this.scope.instances.get(node.id).execute(input, context))
    const result = await this.#bounded(node, work, path)
    checkResult(node, result)
    return result
  }

  #templateScope(data: JsonObject): TemplateScope {
    const { graph, loop, run } = this.scope
    const iteration = { loop: loop.id, iteration: this.number, run: run.id }
    return { data, workflowenv: graph.workflow.env, runtime: this.effects.variables, iteration }
  }

  /** Settles with the node's work, or rejects as soon as the iteration is aborted or the node's time is up. */
  #bounded<T>(node: FlowNode, work: Promise<T>, place: string): Promise<T> {
    const { deadlines } = this.scope
    this.#inFlight.set(node, work)
    return new Promise<T>((resolve, reject) => {
      const limit = node.timeoutMs
      const timeout = () => reject(timedOut(node))
      const expire = this.witness?.deadline(place, timeout) ?? timeout
      const deadline = limit === 0 ? undefined : deadlines.add(limit, expire)
      this.#onAbort.add(reject)
      const settle = () => {
        this.#inFlight.delete(node)
        this.#onAbort.delete(reject)
        if (deadline !== undefined) deadlines.remove(deadline)
      }
      work.then(
        value => {
          settle()
          resolve(value)
        },
        error => {
          settle()
          reject(error)
        },
      )
    })
  }

  /** What a node threw as its failure; the reason of an abort that came from elsewhere stays as it is. */
  #failure(node: FlowNode, error: unknown, place: string): unknown {
    if (this.#aborted !== undefined && error === this.#aborted.reason) return error
    this.witness?.notes.failed(place, error)
    return new NodeFailure(node, error)
  }

  #skipped(node: FlowNode, path: string): void {
    this.witness?.notes.skipped(path + node.id)
    this.scope.events.nodeSkipped(this.number, node)
  }

  #secondsSince(startedMs: number): number {
    return (this.scope.ports.clock.monotonic() - startedMs) / 1000
  }
}

function timedOut({ id, timeoutMs }: FlowNode): EngineError {
  return new EngineError('NODE_TIMEOUT', `Cannot wait longer for node "${id}": it ran ${timeoutMs / 1000} s, its limit`)
}

/** Refuses what is no answer of this kind of node, and freezes what goes on: what others were given stays as it is. */
function checkResult(node: FlowNode, result: NodeResult): void {
  const { kind } = node.class
  const what = () => `the output of node "${node.id}"`
  if (kind === 'producer' && isWithoutItem(result)) return
  const routed = kind === 'conditional' || kind === 'loop' ? (result as Routed | Elements | undefined) : undefined
  const output = (routed === undefined ? result : routed.output) as Partial<NodeOutput> | undefined
  if (typeof output?.id !== 'string' || !isJsonObject(output.data) || !isJsonObject(output.metadata)) {
    throw new EngineError(
      'OUTPUT_NOT_JSON',
      `Cannot use ${what()}: it is not ${shapes[kind]}; return that from execute`,
    )
  }
  if (kind === 'conditional' && typeof (result as Routed).route !== 'string') throw noAnswer(what(), kind)
  if (kind === 'loop' && !Array.isArray((result as Elements).items)) throw noAnswer(what(), kind)
  freezeJson(output.data, what)
  freezeJson(output.metadata, what)
  if (kind === 'loop') freezeJson((result as Elements).items, what)
}

function noAnswer(what: string, kind: keyof typeof shapes): EngineError {
  return new EngineError('OUTPUT_NOT_JSON', `Cannot use ${what}: it is not ${shapes[kind]}; return that from execute`)
}

const shapes = {
  producer: '{ id, data, metadata }, ExecutionCompleted or NotBefore',
  blocking: '{ id, data, metadata }',
  'non-blocking': '{ id, data, metadata }',
  conditional: '{ output: { id, data, metadata }, route }',
  loop: '{ output: { id, data, metadata }, items }',
} as const

/** A producer's answer that brings no item. Told by what it says, not by its class: packages may hold copies of that. */
export function isWithoutItem(result: unknown): result is ExecutionCompleted | NotBefore {
  const kind = (result as { kind?: unknown } | null | undefined)?.kind
  return kind === 'execution-completed' || kind === 'not-before'
}
