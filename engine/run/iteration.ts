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
import type { Deadline } from './deadlines.ts'
import { Effects } from './effects.ts'
import { forEachElement } from './for-each.ts'
import type { LoopScope } from './loop-scope.ts'
import { mergeOutputs } from './merge.ts'
import { RunningContext } from './node-context.ts'
import { type Decided, Walk } from './walk.ts'
import { noReason } from './within.ts'

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

/** A node whose work has not let go. */
type Running = { node: FlowNode; work: Promise<unknown>; reject: (reason: unknown) => void; deadline: Deadline }

/** One walk through a plan: the loop's own, or a body's for one element. */
type Pass = { plan: Plan; entry: NodeOutput; path: string; walk: Walk; outputs: NodeOutput[] }

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
  #about: TemplateScope['iteration'] | undefined
  readonly #running = new Set<Running>()

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
      const result = await this.#invoke(producer, input, { place: producer.id, startedMs })
      checkResult(producer, result)
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
    for (const { reject } of [...this.#running]) reject(reason)
  }

  /** Waits until all nodes let go, revokes their contexts, and names those that did not within the grace. */
  async end(): Promise<FlowNode[]> {
    if (this.#running.size > 0) {
      const timer = new AbortController()
      const grace = this.scope.ports.clock.sleep(limits.abortGraceMs, timer.signal).catch(() => undefined)
      await Promise.race([Promise.allSettled([...this.#running].map(each => each.work)), grace])
      timer.abort(noReason)
      for (const { deadline } of this.#running) this.scope.deadlines.remove(deadline)
    }
    this.ended = true
    return [...this.#running].map(each => each.node)
  }

  started(node: FlowNode): void {
    this.scope.events.nodeStarted(this.number, node)
  }

  completed(node: FlowNode, startedMs: number, route?: string): void {
    this.scope.events.nodeCompleted(this.number, node, this.#secondsSince(startedMs), route)
  }

  failed({ node, cause }: NodeFailure, startedMs: number): void {
    this.scope.events.nodeFailed(this.number, node, toErrorRecord(cause), this.#secondsSince(startedMs))
  }

  // --- the walk

  async #walk(plan: Plan, entry: NodeOutput, path: string): Promise<NodeOutput[]> {
    const pass: Pass = { plan, entry, path, walk: new Walk(plan), outputs: [] }
    await this.#proceed(pass, pass.walk.begin())
    return endsOf(pass)
  }

  async #proceed(pass: Pass, decided: Decided[]): Promise<void> {
    for (let next = decided; next.length > 0; ) {
      for (const { step, live } of next) if (!live) this.#skipped((pass.plan.steps[step] as PlanStep).node, pass.path)
      const live = next.filter(each => each.live)
      // a chain is a loop; only a fork goes on in several
      if (live.length !== 1) {
        await Promise.all(live.map(async each => this.#proceed(pass, await this.#step(pass, each.step))))
        return
      }
      next = await this.#step(pass, (live[0] as Decided).step)
    }
  }

  /** Runs one node; what is decided by it. */
  async #step(pass: Pass, index: number): Promise<Decided[]> {
    const step = pass.plan.steps[index] as PlanStep
    const { node } = step
    const input = inputOf(pass, step)
    const place = pass.path + node.id
    const startedMs = this.scope.ports.clock.monotonic()
    this.started(node)
    try {
      const result = await this.#invoke(node, input, { place, startedMs })
      checkResult(node, result)
      const { output, route } =
        node.class.kind === 'loop'
          ? await this.#runBody(step, result as Elements, place)
          : routed(node, result as NodeOutput | Routed)
      for (const target of node.targets) this.#push(target, output, place)
      this.witness?.notes.completed(place, input, { output, route })
      this.completed(node, startedMs, node.class.kind === 'conditional' ? route : undefined)
      pass.outputs[index] = output
      return pass.walk.complete(index, route)
    } catch (error) {
      // a failure of a body node was told where it happened
      const failure = error instanceof NodeFailure ? error : this.#failure(node, error, place)
      if (failure !== error && failure instanceof NodeFailure) this.failed(failure, startedMs)
      throw failure
    }
  }

  async #runBody({ node, body }: PlanStep, elements: Elements, place: string): Promise<Routed> {
    const runBody = async (element: NodeOutput, index: number) =>
      body === undefined ? [] : await this.#walk(body, element, `${place}[${index}]/`)
    return { output: await forEachElement(node.id, elements, runBody), route: 'default' }
  }

  #push(queueName: string, output: NodeOutput, place: string): void {
    const { queues, ports } = this.scope
    const queue = queues.get(queueName)
    assert(queue !== undefined, () => `The mapper knows queue "${queueName}"`)
    this.effects.push({ name: queue.name, lengthMax: queue.maxLength }, output, ports.clock.now())
    this.witness?.notes.pushes.push({ at: place, queue: queue.name })
  }

  // --- one node

  #invoke(node: FlowNode, input: NodeOutput, at: { place: string; startedMs: number }): Promise<NodeResult> {
    if (this.#aborted !== undefined) throw this.#aborted.reason
    const form = node.form.render(this.#templateScope(input.data), node.id)
    const context = new RunningContext(this, { nodeId: node.id, path: at.place }, form)
    const instance = this.scope.instances.get(node.id)
    return this.#bounded(node, at, () => instance.execute(input, context))
  }

  #templateScope(data: JsonObject): TemplateScope {
    const { graph, loop, run } = this.scope
    this.#about ??= { loop: loop.id, iteration: this.number, run: run.id }
    return { data, workflowenv: graph.workflow.env, runtime: this.effects.variables, iteration: this.#about }
  }

  /** Settles with the node's work, or rejects as soon as the iteration is aborted or the node's time is up. */
  #bounded<T>(node: FlowNode, at: { place: string; startedMs: number }, start: () => Promise<T>): Promise<T> {
    const { deadlines } = this.scope
    return new Promise<T>((resolve, reject) => {
      const timeout = () => reject(timedOut(node))
      const expire = this.witness?.deadline(at.place, timeout) ?? timeout
      const limitMs = node.timeoutMs === 0 ? Number.POSITIVE_INFINITY : node.timeoutMs
      // before it starts: a node that blocks its event loop can be seen from outside only if its limit is known there
      const deadline = deadlines.add(at.startedMs + limitMs, expire)
      const work = started(start)
      const running: Running = { node, work, reject, deadline }
      this.#running.add(running)
      const settle = () => {
        this.#running.delete(running)
        deadlines.remove(deadline)
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

function inputOf({ plan, entry, walk, outputs }: Pass, step: PlanStep): NodeOutput {
  const from = (edge: number): NodeOutput => outputOf(plan.edges[edge]?.from as number)
  const outputOf = (index: number): NodeOutput => (index === -1 ? entry : (outputs[index] as NodeOutput))
  if (step.incoming.length === 1) return from(step.incoming[0] as number)
  const sources = walk.liveInputs(step).map(from)
  return sources.length === 1 ? (sources[0] as NodeOutput) : mergeOutputs(outputOf(step.base), sources)
}

/** What a walk put out at its ends. */
function endsOf({ walk, outputs }: Pass): NodeOutput[] {
  return outputs.filter((_, index) => walk.isEnd(index))
}

/** What a node puts out and where it goes on. */
function routed(node: FlowNode, result: NodeOutput | Routed): Routed {
  if (node.class.kind !== 'conditional') return { output: result as NodeOutput, route: 'default' }
  const { output } = result as Routed
  const route = foldPort((result as Routed).route)
  if (node.ports.includes(route)) return { output, route }
  const offered = node.ports.map(port => `"${port}"`).join(', ')
  throw new EngineError('ROUTE_UNKNOWN', `Cannot follow route "${route}" of node "${node.id}": it offers ${offered}`)
}

/** A node written in JavaScript may forget its `async`, and return or throw at once. */
function started<T>(start: () => Promise<T>): Promise<T> {
  try {
    return Promise.resolve(start())
  } catch (error) {
    return Promise.reject(error)
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
