/**
 * The reference interpreter: what a workflow should do, said as plainly as possible. No concurrency, no Redis, no
 * crashes: loops take turns, one iteration at a time, by plain recursion over the plan. It shares the node classes,
 * forms and templates with the engine, and nothing of how the engine runs them.
 *
 * Where the outcome may depend on who comes first, on the clock or on chance, nobody is told so: `expected.ts` runs it
 * in several orders, at several times and with several seeds, and compares only what came out the same.
 */
import { codeOf } from '../engine/errors.ts'
import type { FlowGraph, FlowLoop, FlowNode, Plan } from '../engine/graph/flow-graph.ts'
import { hashText, hashUnit } from '../engine/hash.ts'
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import type { NodeContext, RuntimeVariables } from '../engine/node/context.ts'
import {
  type Elements,
  ExecutionCompleted,
  type Node,
  type NodeOutput,
  NotBefore,
  type Routed,
} from '../engine/node/node.ts'
import { byPath, MemoryFiles, type Requests } from './outside.ts'
import { merge } from './reference-merge.ts'

export type ReferenceOptions = {
  files: Record<string, string>
  /** Which loop, and which of several ready steps, goes first; or items overtake each other where replicas let them. */
  order: 'first' | 'last' | 'overtaking'
  /** Milliseconds that pass with each look at the clock. */
  clockStepMs: number
  startMs: number
  seed: string
  /** A workflow that does more than this is not for the reference. */
  iterationsMax?: number | undefined
}

export type FailedItem = { loop: string; node: string; code: string; item: JsonObject }

/** What a whole run leaves behind. */
export type Effects = {
  queues: Record<string, Json[]>
  deadLetters: Record<string, Json[]>
  state: JsonObject
  runtime: JsonObject
  iterations: Record<string, number>
  files: Record<string, string[]>
  requests: Requests
}

const defaultIterationsMax = 20_000
const neverAborted = new AbortController().signal
/** What the ids of items begin with that were made here: the engine makes others. */
export const idPrefix = 'reference-'

type Work = {
  loop: FlowLoop
  state: Map<string, Json>
  runtime: Map<string, Json | undefined>
  pushes: [string, NodeOutput][]
  sent: number
  key: string
  number: number
}

class Failed extends Error {
  readonly node: FlowNode
  constructor(node: FlowNode, cause: unknown) {
    super('failed', { cause })
    this.node = node
  }
}

/** Runs the workflow to its end; undefined when it has none within reason. */
export function runReference(graph: FlowGraph, options: ReferenceOptions): Promise<Effects | undefined> {
  return new Reference(graph, options).run()
}

class Reference {
  readonly #graph: FlowGraph
  readonly #options: ReferenceOptions
  readonly #files: MemoryFiles
  readonly #queues = new Map<string, NodeOutput[]>()
  readonly #state = new Map<string, Json>()
  readonly #runtime = new Map<string, Json>()
  readonly #failed: FailedItem[] = []
  readonly #counts = new Map<string, number>()
  readonly #nodes = new Map<string, Node>()
  readonly #turns = new Map<string, number>()
  readonly #notBefore = new Map<string, number>()
  readonly #ended = new Set<string>()
  readonly #basesOf = new Map<Plan, number[]>()
  #nowMs: number

  constructor(graph: FlowGraph, options: ReferenceOptions) {
    this.#graph = graph
    this.#options = options
    this.#files = new MemoryFiles(options.files)
    this.#nowMs = options.startMs
    for (const { name } of graph.queues) this.#queues.set(name, [])
  }

  async run(): Promise<Effects | undefined> {
    const loops = this.#options.order === 'last' ? [...this.#graph.loops].reverse() : this.#graph.loops
    const { iterationsMax = defaultIterationsMax } = this.#options
    for (let n = 0; n < iterationsMax; n++) {
      let worked = false
      for (const loop of this.#options.order === 'overtaking' ? turned(loops, n) : loops)
        if (!worked) worked = await this.#turn(loop)
      if (!worked && !this.#letTimePass()) return this.#effects()
    }
    return undefined
  }

  /** Nobody has anything to do now: goes to the next time for which a producer asked. */
  #letTimePass(): boolean {
    const next = Math.min(...this.#notBefore.values())
    if (!Number.isFinite(next)) return false
    this.#nowMs = Math.max(this.#nowMs, next)
    this.#notBefore.clear()
    return true
  }

  /** One iteration of a loop, if it has something to do. */
  async #turn(loop: FlowLoop): Promise<boolean> {
    if (this.#ended.has(loop.id) || this.#notBefore.has(loop.id)) return false
    const count = this.#counts.get(loop.id) ?? 0
    const key = `${this.#options.seed}.${loop.id}.${count}`
    const { length: sent } = this.#files.sent
    const work: Work = { loop, state: new Map(), runtime: new Map(), pushes: [], sent, key, number: count + 1 }
    let item: NodeOutput | undefined
    let failed: Failed | undefined
    if (loop.sources.length > 0) {
      item = this.#claim(loop)
      if (item === undefined) return false
    }
    const input: NodeOutput = item ?? { id: idPrefix + hashText(key), data: {}, metadata: {} }
    try {
      const start = loop.producer === undefined ? input : await this.#execute(loop.producer, input, work, '')
      if (start instanceof ExecutionCompleted || start instanceof NotBefore) return this.#noItem(loop, start, work)
      item = start as NodeOutput
      await this.#walk(loop.plan, item, work, '')
    } catch (error) {
      if (!(error instanceof Failed)) throw error
      if (item === undefined && work.state.size === 0) return this.#askAgain(loop)
      failed = error
    }
    this.#commit(loop, work, failed, item ?? input)
    return true
  }

  #noItem(loop: FlowLoop, answer: ExecutionCompleted | NotBefore, work: Work): boolean {
    for (const [node, value] of work.state) this.#state.set(ofLoop(loop, node), value)
    if (answer instanceof NotBefore) this.#notBefore.set(loop.id, answer.untilMs)
    else this.#ended.add(loop.id)
    return true
  }

  /** A producer that threw before it moved on makes no dead letter: it is asked again, later. */
  #askAgain(loop: FlowLoop): boolean {
    this.#notBefore.set(loop.id, this.#nowMs + 1_000)
    return true
  }

  #claim(loop: FlowLoop): NodeOutput | undefined {
    const turn = this.#turns.get(loop.id) ?? 0
    for (let i = 0; i < loop.sources.length; i++) {
      const queue = this.#queues.get(loop.sources[(turn + i) % loop.sources.length] as string) ?? []
      const item = this.#options.order === 'overtaking' && loop.replicas > 1 ? queue.pop() : queue.shift()
      if (item === undefined) continue
      this.#turns.set(loop.id, turn + 1)
      return item
    }
    return undefined
  }

  /** All or nothing: of a failed iteration only the producer's state and the dead letter stay. */
  #commit(loop: FlowLoop, work: Work, failed: Failed | undefined, item: NodeOutput): void {
    this.#counts.set(loop.id, work.number)
    for (const [node, value] of work.state) {
      if (failed === undefined || node === loop.producer?.id) this.#state.set(ofLoop(loop, node), value)
    }
    if (failed !== undefined) {
      for (const request of this.#files.sent.slice(work.sent)) request.isSure = false
      const code = codeOf(failed.cause) ?? 'NODE_FAILED'
      this.#failed.push({ loop: loop.id, node: failed.node.id, code, item: { ...item } })
      if (this.#failed.length > this.#graph.workflow.settings.dead_letters.max) this.#failed.shift()
      return
    }
    for (const [key, value] of work.runtime) {
      if (value === undefined) this.#runtime.delete(key)
      else this.#runtime.set(key, value)
    }
    for (const [queue, output] of work.pushes) this.#queues.get(queue)?.push(plain(output))
  }

  // --- a plan

  /** Visits the steps of a plan once their inputs are decided; gives the outputs after which nothing comes. */
  async #walk(plan: Plan, entry: NodeOutput, work: Work, path: string): Promise<NodeOutput[]> {
    const outputs = new Map<number, NodeOutput>([[-1, entry]])
    const live = new Map<number, boolean>()
    for (const [edge, { from }] of plan.edges.entries()) if (from === -1) live.set(edge, true)
    const open = new Set(plan.steps.keys())
    while (open.size > 0) {
      const ready = [...open].filter(step => plan.steps[step]?.incoming.every(edge => live.has(edge)))
      const step = (this.#options.order === 'last' ? ready.at(-1) : ready[0]) as number
      open.delete(step)
      const { node, incoming, outgoing } = plan.steps[step] as Plan['steps'][number]
      const sources = incoming.filter(edge => live.get(edge)).map(edge => plan.edges[edge]?.from as number)
      let route: string | undefined
      if (sources.length > 0) {
        const branches = sources.map(source => outputs.get(source) as NodeOutput)
        const base = (): NodeOutput => outputs.get(this.#bases(plan)[step] as number) as NodeOutput
        const input = branches.length === 1 ? (branches[0] as NodeOutput) : merge(base(), branches)
        const done = await this.#step(plan.steps[step] as Plan['steps'][number], input, work, path)
        outputs.set(step, done.output)
        for (const target of node.targets) work.pushes.push([target, done.output])
        route = done.route
      }
      for (const edge of outgoing) live.set(edge, route !== undefined && plan.edges[edge]?.port === route)
    }
    const isEnd = (step: number) => outputs.has(step) && plan.steps[step]?.outgoing.every(edge => !live.get(edge))
    return [...plan.steps.keys()].filter(isEnd).map(step => outputs.get(step) as NodeOutput)
  }

  #bases(plan: Plan): number[] {
    const bases = this.#basesOf.get(plan) ?? nearestDominators(plan)
    this.#basesOf.set(plan, bases)
    return bases
  }

  async #step(step: Plan['steps'][number], input: NodeOutput, work: Work, path: string): Promise<Routed> {
    const { node, body } = step
    const result = await this.#execute(node, input, work, path)
    if (node.class.kind === 'conditional') return result as Routed
    if (node.class.kind !== 'loop') return { output: result as NodeOutput, route: 'default' }
    const { output, items } = result as Elements
    const results: Json[] = []
    const state = (index: number, item: Json): Json => ({
      input: [...items],
      results: [...results],
      state: { index, item },
    })
    for (const [index, item] of items.entries()) {
      const element = { ...output, data: { ...output.data, forEachNode: state(index, item) } }
      const place = `${path}${node.id}[${index}]/`
      const ends = body === undefined ? [] : await this.#walk(body, element, work, place)
      // what was collected before is not collected again with an element that passes its data on
      const passedOn = element.data.forEachNode
      const collected = ends.map(({ data }) => {
        return data.forEachNode === passedOn
          ? { ...data, forEachNode: { ...(passedOn as JsonObject), results: [] } }
          : data
      })
      if (ends.length > 0) results.push(ends.length === 1 ? (collected[0] as Json) : collected)
    }
    const last = Math.max(0, items.length - 1)
    const data = { ...output.data, forEachNode: state(last, items[last] ?? null), loop_results: results }
    return { output: { ...output, data }, route: 'default' }
  }

  // --- a node

  async #execute(node: FlowNode, input: NodeOutput, work: Work, path: string): Promise<unknown> {
    try {
      const instance = await this.#instance(work.loop, node)
      const iteration = { loop: work.loop.id, iteration: work.number, run: 'run-1' }
      const runtime = this.#variables(work)
      const scope = { data: input.data, workflowenv: this.#graph.workflow.env, runtime, iteration }
      const form = node.form.render(scope, node.id)
      return await instance.execute(input, this.#context(node, form, work, { iteration, runtime, path }))
    } catch (error) {
      throw error instanceof Failed ? error : new Failed(node, error)
    }
  }

  async #instance(loop: FlowLoop, node: FlowNode): Promise<Node> {
    const name = `${loop.id}/${node.id}`
    const known = this.#nodes.get(name)
    if (known !== undefined) return known
    const instance = new node.class({ id: node.id, type: node.class.identifier, config: node.config })
    await instance.setup()
    this.#nodes.set(name, instance)
    return instance
  }

  #variables({ runtime }: Work): RuntimeVariables {
    return {
      get: key => (runtime.has(key) ? runtime.get(key) : this.#runtime.get(key)),
      set: (key, value) => void runtime.set(key, value),
      delete: key => void runtime.set(key, undefined),
    }
  }

  #context(
    node: FlowNode,
    form: JsonObject,
    work: Work,
    at: { iteration: NodeContext['iteration']; runtime: RuntimeVariables; path: string },
  ): NodeContext {
    let draws = 0
    const draw = (kind: string) => `${work.key}|${at.path}${node.id}|${kind}|${draws++}`
    const silent = () => undefined
    const { workflow } = this.#graph
    return {
      form,
      workflow: { id: workflow.id, run: 'run-1', env: workflow.env },
      iteration: at.iteration,
      clock: { now: () => this.#now(), sleep: async ms => this.#pass(ms) },
      random: { next: () => hashUnit(draw('random')) },
      ids: { next: () => hashText(draw('id')) },
      http: { request: async call => this.#files.answer(call, node.timeoutMs) },
      files: {
        read: async (path, offset, bytesMax) => this.#files.read(path, offset, bytesMax),
        write: async (path, content, mode) => this.#files.write(path, content, mode),
      },
      state: {
        get: () => work.state.get(node.id) ?? this.#state.get(ofLoop(work.loop, node.id)),
        set: value => void work.state.set(node.id, copyOf(value)),
      },
      runtime: at.runtime,
      respond: silent,
      log: { debug: silent, info: silent, warn: silent, error: silent },
      signal: neverAborted,
      idempotencyKey: draw('effect'),
      delay: async ms => this.#pass(ms),
    }
  }

  #now(): number {
    this.#nowMs += this.#options.clockStepMs
    return this.#nowMs
  }

  #pass(ms: number): void {
    this.#nowMs += this.#options.clockStepMs === 0 ? 0 : Math.max(0, ms)
  }

  #effects(): Effects {
    const deadLetters: Record<string, Json[]> = {}
    for (const failed of this.#failed) deadLetters[failed.loop] = [...(deadLetters[failed.loop] ?? []), failed]
    return {
      queues: Object.fromEntries([...this.#queues].map(([name, items]) => [name, items.map(plain)])) as Record<
        string,
        Json[]
      >,
      deadLetters,
      state: Object.fromEntries(this.#state),
      runtime: Object.fromEntries(this.#runtime),
      iterations: Object.fromEntries(this.#counts),
      files: byPath(this.#files.writes),
      requests: this.#files.requests(),
    }
  }
}

/** Each comes first once in a while, so that of several readers of a queue each gets some of its items. */
function turned<T>(list: readonly T[], n: number): T[] {
  const at = Math.floor(hashUnit(`turn ${n}`) * list.length)
  return [...list.slice(at), ...list.slice(0, at)]
}

function plain({ id, data, metadata }: NodeOutput): NodeOutput & JsonObject {
  return { id, data: copyOf(data), metadata: copyOf(metadata) }
}

function copyOf<T extends Json>(value: T): T {
  if (Array.isArray(value)) return value.map(copyOf) as T
  if (!isJsonObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, copyOf(child)])) as T
}

/** Of each step the last step, or -1 for the entry, that every way to it comes by. Steps are in topological order. */
function nearestDominators(plan: Plan): number[] {
  const ways = new Map<number, Set<number>>([[-1, new Set([-1])]])
  for (const [at, { incoming }] of plan.steps.entries()) {
    const [first, ...others] = incoming.map(edge => ways.get(plan.edges[edge]?.from as number) as Set<number>)
    const common = [...(first ?? [])].filter(each => others.every(other => other.has(each)))
    ways.set(at, new Set([...common, at]))
  }
  return [...plan.steps.keys()].map(step => [...(ways.get(step) as Set<number>)].at(-2) as number)
}

/** Each loop has instances of its own, and so has a node that two loops reach a state in each. */
function ofLoop(loop: FlowLoop, node: string): string {
  return `${loop.id}\t${node}`
}
