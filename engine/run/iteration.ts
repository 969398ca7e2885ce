/**
 * One iteration: an item walks the plan. The only place that executes nodes and emits their events.
 *
 * I1 every await is on a node, on a port, or on other steps of the walk. I2 nothing leaves before the commit: effects are
 * collected. I3 the first failure aborts the rest, and the iteration ends only when all its nodes have let go, or the
 * grace has passed and those that did not are named for replacement.
 */
import { assert, EngineError, toErrorRecord } from '../errors.ts'
import type { FlowNode, Plan, PlanEdge, PlanStep } from '../graph/flow-graph.ts'
import type { JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import type { Elements, Node, NodeOutput, NodeResult, Routed } from '../node/node.ts'
import type { TemplateScope } from '../node/template.ts'
import type { Witness } from '../trace/witness.ts'
import { Effects } from './effects.ts'
import { forEachElement } from './for-each.ts'
import { withoutSecretsOf } from './hide-secrets.ts'
import type { LoopScope } from './loop-scope.ts'
import { mergeOutputs } from './merge.ts'
import { checkResult, isWithoutItem, routed } from './node-answer.ts'
import { RunningContext } from './node-context.ts'
import { type Announce, NodeRun } from './node-run.ts'
import { takeOut } from './take-out.ts'
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
  readonly #running: NodeRun[] = []
  /** Rejects whatever waits for the nodes. */
  #reject: ((reason: unknown) => void) | undefined
  /** Nobody waits any more: whoever comes back from a node goes no further. */
  #isCut = false

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
  produce(producer: FlowNode, input: NodeOutput, announce: Announce): Promise<NodeResult> {
    return this.#untilCut(this.#produce(producer, input, announce), result => result)
  }

  /** Runs the plan for an item; what its last nodes put out. Rejects with NodeFailure, or with the reason of `abort`. */
  walk(item: NodeOutput): Promise<NodeOutput[]> {
    const pass = passOf(this.scope.loop.plan, item, '')
    return this.#untilCut(this.#proceed(pass, pass.walk.begin()), () => endsOf(pass))
  }

  abort(reason: unknown): void {
    if (this.#aborted !== undefined) return
    this.#aborted = { reason }
    this.#controller?.abort(reason)
    this.#cut(reason)
  }

  /** A node has worked for as long as it may: it fails now, whatever it still does. */
  timeUp(run: NodeRun): void {
    this.#cut(this.#failure(run, timedOut(run.node)))
  }

  /** Waits until all nodes let go, revokes their contexts, and names those that did not within the grace. */
  end(): Promise<readonly FlowNode[]> {
    if (this.#running.length > 0) return this.#endInTime()
    this.ended = true
    return allLetGo
  }

  async #endInTime(): Promise<readonly FlowNode[]> {
    const timer = new AbortController()
    const grace = this.scope.ports.clock.sleep(limits.abortGraceMs, timer.signal).catch(() => undefined)
    await Promise.race([Promise.allSettled(this.#running.map(each => each.work)), grace])
    timer.abort(noReason)
    for (const { deadline } of this.#running) this.scope.deadlines.remove(deadline)
    this.ended = true
    return this.#running.map(each => each.node)
  }

  started(node: FlowNode): void {
    this.scope.events.nodeStarted(this.number, node)
  }

  completed(node: FlowNode, seconds: number, decision: Routed): void {
    this.scope.events.nodeCompleted(this.number, node, seconds, decision)
  }

  failed({ node, cause }: NodeFailure, seconds: number): void {
    this.scope.events.nodeFailed(this.number, node, toErrorRecord(cause), seconds)
  }

  // --- the walk

  /** A chain is a loop, which waits for its nodes and for nothing else; only a fork goes on in several. */
  async #proceed(pass: Pass, decided: readonly Decided[]): Promise<void> {
    let nowMs = this.scope.ports.clock.monotonic()
    for (let next = decided; next.length > 0; ) {
      for (const { step, live } of next) if (!live) this.#skipped((pass.plan.steps[step] as PlanStep).node, pass.path)
      const live = liveOf(next)
      if (live.length !== 1) {
        await Promise.all(live.map(each => this.#proceed(pass, [each])))
        return
      }
      const index = (live[0] as Decided).step
      const step = pass.plan.steps[index] as PlanStep
      const input = inputOf(pass, step)
      const run = new NodeRun(step.node, this, pass.path + step.node.id, nowMs)
      this.started(step.node)
      try {
        const result = this.#answered(run, await this.#invoke(run, input), input)
        const decision =
          step.node.class.kind === 'loop'
            ? await this.#runBody(step, result as Elements, run.place)
            : routed(step.node, result as NodeOutput | Routed)
        nowMs = this.scope.ports.clock.monotonic()
        this.#complete(run, input, decision, nowMs)
        pass.outputs[index] = decision.output
        next = pass.walk.complete(index, decision.route)
      } catch (error) {
        throw this.#thrown(run, error)
      }
    }
  }

  #complete({ node, place, startedMs }: NodeRun, input: NodeOutput, decision: Routed, nowMs: number): void {
    for (const target of node.targets) this.#push(target, decision.output, place)
    this.witness?.notes.completed(place, input, decision)
    this.completed(node, (nowMs - startedMs) / 1000, decision)
  }

  async #runBody({ node, body }: PlanStep, elements: Elements, place: string): Promise<Routed> {
    const runBody = async (element: NodeOutput, index: number) => {
      if (body === undefined) return []
      const pass = passOf(body, element, `${place}[${index}]/`)
      await this.#proceed(pass, pass.walk.begin())
      return endsOf(pass)
    }
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

  async #produce(producer: FlowNode, input: NodeOutput, announce: Announce): Promise<NodeResult> {
    const run = new NodeRun(producer, this, producer.id, this.scope.ports.clock.monotonic())
    run.announce = announce
    if (announce === 'announced') this.started(producer)
    try {
      const result = this.#answered(run, await this.#invoke(run, input))
      const decision = { output: result as NodeOutput, route: 'default' }
      if (announce === 'announced') this.completed(producer, this.#secondsSince(run.startedMs), decision)
      if (!isWithoutItem(result)) this.witness?.notes.completed(producer.id, input, decision)
      return result
    } catch (error) {
      throw this.#thrown(run, error)
    }
  }

  /** Settles as `work` does, or rejects as soon as the iteration is aborted or the time of a node is up. */
  #untilCut<W, T>(work: Promise<W>, answer: (value: W) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject
      work.then(value => resolve(answer(value)), reject)
    })
  }

  #cut(reason: unknown): void {
    this.#isCut = true
    this.#reject?.(reason)
  }

  /** The node's own promise: nothing stands between it and whoever awaits it. */
  #invoke(run: NodeRun, input: NodeOutput): Promise<NodeResult> {
    if (this.#aborted !== undefined) throw this.#aborted.reason
    const { node, place } = run
    const form = node.form.constant ?? node.form.render(this.#templateScope(input.data), node.id)
    run.form = form
    const context = new RunningContext(this, run, form)
    const instance = this.scope.instances.get(node.id)
    if (this.witness !== undefined) {
      run.deadline = { atMs: run.atMs, expire: this.witness.deadline(place, () => run.expire()) }
    }
    // before it starts: a node that blocks its event loop can be seen from outside only if its limit is known there
    this.scope.deadlines.add(run.deadline)
    this.#running.push(run)
    run.work = settling(instance, input, context)
    return run.work
  }

  #templateScope(data: JsonObject): TemplateScope {
    const { graph, loop, run } = this.scope
    this.#about ??= { loop: loop.id, iteration: this.number, run: run.id }
    return { data, workflowenv: graph.workflow.env, runtime: this.effects.variables, iteration: this.#about }
  }

  /** What a node put out, checked; nobody goes on with it once the iteration is cut. `frozen` is what was checked before. */
  #answered(run: NodeRun, result: NodeResult, frozen?: NodeOutput): NodeResult {
    this.#letGo(run)
    if (this.#isCut) throw noReason
    checkResult(run.node, result, frozen)
    return result
  }

  #letGo(run: NodeRun): void {
    if (takeOut(this.#running, run)) this.scope.deadlines.remove(run.deadline)
  }

  #thrown(run: NodeRun, error: unknown): unknown {
    this.#letGo(run)
    return this.#failure(run, error)
  }

  /** What a node threw, as its failure, which is told here; what comes of a cut stays as it is. */
  #failure(run: NodeRun, thrown: unknown): unknown {
    // a failure of a body node was told where it happened
    if (this.#isCut || thrown instanceof NodeFailure) return thrown
    const error = withoutSecretsOf(thrown, { ...run, env: this.scope.graph.workflow.env })
    this.witness?.notes.failed(run.place, error)
    const failure = new NodeFailure(run.node, error)
    if (run.announce === 'announced') this.failed(failure, this.#secondsSince(run.startedMs))
    return failure
  }

  #skipped(node: FlowNode, path: string): void {
    this.witness?.notes.skipped(path + node.id)
    this.scope.events.nodeSkipped(this.number, node)
  }

  #secondsSince(startedMs: number): number {
    return (this.scope.ports.clock.monotonic() - startedMs) / 1000
  }
}

const allLetGo: Promise<readonly FlowNode[]> = Promise.resolve([])

function passOf(plan: Plan, entry: NodeOutput, path: string): Pass {
  return { plan, entry, path, walk: new Walk(plan), outputs: [] }
}

function inputOf({ plan, entry, walk, outputs }: Pass, step: PlanStep): NodeOutput {
  const outputOf = (index: number): NodeOutput => (index === -1 ? entry : (outputs[index] as NodeOutput))
  const edges = step.incoming.length === 1 ? step.incoming : walk.liveInputs(step)
  if (edges.length === 1) return outputOf((plan.edges[edges[0] as number] as PlanEdge).from)
  const sources = edges.map(edge => outputOf((plan.edges[edge] as PlanEdge).from))
  return mergeOutputs(outputOf(step.base), sources)
}

function liveOf(decided: readonly Decided[]): readonly Decided[] {
  return decided.length === 1 && decided[0]?.live ? decided : decided.filter(each => each.live)
}

/** What a walk put out at its ends. */
function endsOf({ walk, outputs }: Pass): NodeOutput[] {
  return outputs.filter((_, index) => walk.isEnd(index))
}

/** A node written in JavaScript may forget its `async`, and return or throw at once. */
function settling(instance: Node, input: NodeOutput, context: RunningContext): Promise<NodeResult> {
  try {
    return Promise.resolve(instance.execute(input, context))
  } catch (error) {
    return Promise.reject(error)
  }
}

function timedOut({ id, timeoutMs }: FlowNode): EngineError {
  return new EngineError('NODE_TIMEOUT', `Cannot wait longer for node "${id}": it ran ${timeoutMs / 1000} s, its limit`)
}
