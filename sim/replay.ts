/**
 * Runs recorded iterations again, in the engine's own Iteration, with the recorded world for an answer, and compares what
 * they decide. Node instances live as long as they did when they were recorded, for some remember from item to item.
 */
import { EngineError } from '../engine/errors.ts'
import type { FlowGraph, FlowLoop, FlowNode } from '../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import { hashText } from '../engine/hash.ts'
import type { JsonObject } from '../engine/json.ts'
import { freezeJson, type NodeOutput } from '../engine/node/node.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { Clock, Ports } from '../engine/ports.ts'
import { Deadlines } from '../engine/run/deadlines.ts'
import { Instances } from '../engine/run/instances.ts'
import { Iteration, NodeFailure } from '../engine/run/iteration.ts'
import { LoopEvents } from '../engine/run/loop-events.ts'
import type { LoopScope } from '../engine/run/loop-scope.ts'
import { isWithoutItem } from '../engine/run/node-answer.ts'
import { compareDecisions, compareReached, type Difference, nodeOf } from '../engine/trace/compare.ts'
import { describe } from '../engine/trace/recorder.ts'
import { type IterationLine, type OutcomeNote, type TraceHeader, toSource } from '../engine/trace/trace.ts'
import { errorNote } from '../engine/trace/witness.ts'
import { settled } from './clock.ts'
import { type Change, changesBetween, endOf } from './edit-report.ts'
import { readTrace, type TraceEntry } from './read-trace.ts'
import { ReplayWitness } from './replay-witness.ts'

export type Verdict =
  | { kind: 'identical' }
  | ({
      kind: 'diverged'
      /** The last decisions of this holder of the loop that were as recorded. */
      before: Decided[]
      /** Where its item ends now (`endOf`). */
      end: string
    } & Difference)
  | { kind: 'stale'; node_id: string; field: string }

/** What a node did, and at which place of the plan. */
export type Decided = { iteration: number; at: string; did: 'complete' | 'fail'; route?: string }

export type ReplayReport = {
  iterations: number
  identical: number
  diverged: number
  stale: number
  /** Iterations that cannot be replayed: others of the same holder before them were not recorded. */
  unreplayable: number
  /** The last line was cut off, by a crash of who recorded it, and left out. */
  truncated: boolean
}

export type ReplayOptions = {
  registry: NodeRegistry
  /** The workflow to replay against, instead of the recorded one. */
  workflow?: { source: JsonObject | string; name: string } | undefined
  /** Told once in what the definition to replay against differs from the recorded one. */
  onChanges?: (changes: Change[]) => void
  /** Told of every iteration that is not identical. */
  onVerdict: (line: IterationLine, verdict: Exclude<Verdict, { kind: 'identical' }>) => void
  /** Whether an iteration is told of and counted. All are replayed, for nodes remember from item to item. */
  follows?: (line: IterationLine) => boolean
  /** Told of every identical iteration that is followed. */
  onIdentical?: (line: IterationLine) => void
}

/** Replays the lines of one trace. Rejects with `USAGE` when they are none, `WORKFLOW_INVALID` when it can't be loaded. */
export async function replayTrace(
  lines: AsyncIterable<string> | Iterable<string>,
  name: string,
  options: ReplayOptions,
): Promise<ReplayReport> {
  const { reader, truncated } = await readTrace(lines, name, header => new Replayer(header, name, options))
  await reader.close()
  return { ...reader.counts, truncated }
}

/** So many decisions before one that went another way are told. */
const beforeMax = 10
/** So many holders of one replica are remembered: one that was paused may still work while the next one does. */
const holdersMax = 8

const never = (): Promise<never> => new Promise(() => undefined)
/** Time stands still; what ends by time alone ends when nothing else moves any more. */
const stopped: Clock = { now: () => 0, monotonic: () => 0, sleep: never, until: never }
const atOnce: Clock = { ...stopped, sleep: () => Promise.resolve() }

/** Who held a replica: its node instances, and what they did last. */
class Holder {
  readonly instances: Instances
  readonly #recent: IterationLine[] = []

  constructor(instances: Instances) {
    this.instances = instances
  }

  /** Takes an iteration down; returns what was decided before a node of it. */
  note(line: IterationLine): (node: string) => Decided[] {
    const recent = this.#recent
    recent.push(line)
    if (recent.length > beforeMax + 1) recent.shift()
    return node => {
      const earlier = recent.slice(0, -1).flatMap(each => decided(each))
      return [...earlier, ...decided(line, node)].slice(-beforeMax)
    }
  }
}

class Replayer {
  readonly counts = { iterations: 0, identical: 0, diverged: 0, stale: 0, unreplayable: 0 }
  readonly #options: ReplayOptions
  readonly #graph: FlowGraph
  readonly #loops: ReadonlyMap<string, FlowLoop>
  /** Nodes that only one of the two workflows has. */
  readonly #unshared: ReadonlySet<string>
  readonly #lost = new Set<string>()
  /** By loop and replica, and by holder. */
  readonly #held = new Map<string, Map<string, Holder>>()

  constructor(header: TraceHeader, name: string, options: ReplayOptions) {
    const { registry, workflow } = options
    this.#options = options
    this.#graph = requireWorkflow(workflow?.source ?? header.workflow, { registry, name: workflow?.name ?? name })
    this.#loops = new Map(this.#graph.loops.map(loop => [loop.id, loop]))
    const recorded = new Set((header.workflow.nodes as { id: string }[]).map(({ id }) => id))
    const here = new Set(this.#graph.nodes.keys())
    this.#unshared = new Set([...recorded, ...here].filter(id => !recorded.has(id) || !here.has(id)))
    if (workflow !== undefined) options.onChanges?.(changesBetween(header.workflow, toSource(this.#graph.workflow)))
  }

  async read({ line, iteration }: TraceEntry): Promise<void> {
    const { counts } = this
    // some of this holder's iterations are missing: what its nodes remember from now on, nobody knows
    if (line.kind === 'gap') this.#lost.add(String(line.instance))
    if (iteration === undefined) return
    if (this.#lost.has(iteration.instance)) {
      counts.unreplayable += 1
      return
    }
    const { follows, onIdentical, onVerdict } = this.#options
    const verdict = await this.#replay(iteration)
    if (follows?.(iteration) === false) return
    counts.iterations += 1
    counts[verdict.kind] += 1
    if (verdict.kind === 'identical') onIdentical?.(iteration)
    else onVerdict(iteration, verdict)
  }

  async close(): Promise<void> {
    for (const holders of this.#held.values()) for (const { instances } of holders.values()) await instances.close()
    this.#held.clear()
  }

  async #replay(line: IterationLine): Promise<Verdict> {
    const loop = this.#loops.get(line.loop)
    const gone = { node_id: line.loop, field: 'loop', expected: line.loop, seen: null }
    if (loop === undefined) return { kind: 'diverged', before: [], end: 'no loop', ...gone }
    const witness = new ReplayWitness(line)
    const holder = await this.#holderFor(line, loop)
    const { instances } = holder
    const iteration = new Iteration(this.#scope({ line, loop, instances, witness }), {
      key: line.key,
      pushPrefix: line.prefix,
      number: line.iteration,
    })
    const outcome = await this.#drive(iteration, witness, line)
    for (const node of await iteration.end()) await instances.replace(node.id)
    const seen = describe(iteration, line.entry ?? undefined, outcome)
    const { stale } = witness
    const compare = stale === undefined ? compareDecisions : compareReached
    const difference = compare(line, seen, node => !this.#unshared.has(node))
    const before = holder.note(line)
    if (difference !== undefined)
      return { kind: 'diverged', before: before(difference.node_id), end: endOf(seen), ...difference }
    return stale === undefined
      ? { kind: 'identical' }
      : { kind: 'stale', node_id: nodeOf(stale.at), field: stale.field }
  }

  /** Answers question after question until the iteration has ended, and then what is still under way. */
  async #drive(iteration: Iteration, witness: ReplayWitness, line: IterationLine): Promise<OutcomeNote> {
    let outcome: OutcomeNote | undefined
    const end = (note: OutcomeNote): void => {
      outcome = note
    }
    const crashed = (error: unknown): void => end({ as: 'failed', node: '', error: errorNote(error) })
    this.#outcome(iteration, line).then(end, crashed)
    do await settled()
    while (outcome === undefined && witness.answerNext())
    const result: OutcomeNote = outcome ?? { as: 'failed', node: '', error: hangs }
    if (result.as === 'failed') iteration.abort(new EngineError('ITERATION_ABORTED', 'The iteration was aborted'))
    do await settled()
    while (witness.answerNext())
    return result
  }

  /** What the runner and its source do around an iteration. */
  async #outcome(iteration: Iteration, line: IterationLine): Promise<OutcomeNote> {
    const { outcome, entry } = line
    const { producer } = iteration.scope.loop
    if (outcome.as === 'failed' && outcome.error.code === 'POISON') return outcome
    try {
      const item = entry === null ? await produced(iteration, producer) : await claimed(iteration, producer, entry.item)
      if ('as' in item) return item
      await iteration.walk(item)
      return { as: 'ok' }
    } catch (error) {
      if (!(error instanceof NodeFailure)) throw error
      return { as: 'failed', node: error.node.id, error: errorNote(error.cause) }
    }
  }

  async #holderFor({ replica, instance }: IterationLine, loop: FlowLoop): Promise<Holder> {
    const name = `${loop.id}|${replica}`
    const holders = this.#held.get(name) ?? new Map<string, Holder>()
    this.#held.set(name, holders)
    const known = holders.get(instance)
    if (known !== undefined) return known
    for (const [oldest, { instances }] of [...holders].slice(0, 1 - holdersMax)) {
      holders.delete(oldest)
      await instances.close()
    }
    const aborted = new AbortController().signal
    const instances = new Instances(loop.nodes, { clock: stopped, aborted, onCleanupError: () => undefined })
    const holder = new Holder(instances)
    holders.set(instance, holder)
    await instances.open()
    return holder
  }

  #scope(of: { line: IterationLine; loop: FlowLoop; instances: Instances; witness: ReplayWitness }): LoopScope {
    const { line, loop, instances, witness } = of
    const where = { workflow: this.#graph.workflow.id, run: line.run, loop: loop.id }
    return {
      graph: this.#graph,
      loop,
      queues: new Map(this.#graph.queues.map(queue => [queue.name, queue])),
      run: { id: line.run, seed: '' },
      ports: portsAt(line.time),
      instances,
      deadlines: new Deadlines(stopped),
      events: new LoopEvents(where, stopped, () => undefined),
      state: new Map(),
      runtime: new Map(),
      delayUntil: never,
      witness: () => witness,
    }
  }
}

const hangs = { name: 'Error', code: 'ITERATION_HANGS', message: 'it waits for something that was never recorded' }

/** The outside is behind the witness: no node gets to any other port. */
function portsAt(ms: number): Ports {
  return { clock: { ...atOnce, now: () => ms }, log: { write: () => undefined } } as unknown as Ports
}

async function claimed(iteration: Iteration, producer: FlowNode | undefined, item: NodeOutput): Promise<NodeOutput> {
  freezeJson(item.data, () => `item "${item.id}"`)
  freezeJson(item.metadata, () => `item "${item.id}"`)
  if (producer?.class.source !== 'claimed') return item
  return (await iteration.produce(producer, item, 'announced')) as NodeOutput
}

async function produced(iteration: Iteration, producer: FlowNode | undefined): Promise<NodeOutput | OutcomeNote> {
  if (producer === undefined) throw new Error('A background loop has no items of its own')
  const input = { id: hashText(iteration.key), data: {}, metadata: {} }
  const result = await iteration.produce(producer, input, 'silent')
  if (!isWithoutItem(result)) return result as NodeOutput
  return { as: 'none', until: result.kind === 'not-before' ? result.untilMs : null }
}

/** What an iteration's nodes decided, as it was recorded; those before a node, if it is named. */
function decided({ iteration, steps }: IterationLine, before?: string): Decided[] {
  const at = before === undefined ? -1 : steps.findIndex(step => nodeOf(step.at) === before)
  return steps.slice(0, at < 0 ? undefined : at).flatMap((step): Decided[] => {
    if (step.did === 'skip') return []
    const isPlain = step.did === 'fail' || step.route === 'default'
    return [{ iteration, at: step.at, did: step.did, ...(isPlain ? {} : { route: step.route }) }]
  })
}
