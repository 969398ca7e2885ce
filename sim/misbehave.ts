/**
 * Nodes that misbehave for some of their items: they throw, hang, are slow, return garbage, or take their process down.
 * Which items is drawn from what the items hold when a node is given one first, and stays so: an item fails again whenever
 * it is tried again, and the reference is told after the run which ones it were.
 */
import { EngineError } from '../engine/errors.ts'
import type { FlowGraph, FlowNode, Plan as FlowPlan, PlanStep } from '../engine/graph/flow-graph.ts'
import { hashUnit } from '../engine/hash.ts'
import { canonicalJson } from '../engine/json.ts'
import type { NodeContext } from '../engine/node/context.ts'
import type { Node, NodeClass, NodeKind, NodeOutput, NodeResult } from '../engine/node/node.ts'
import { ways } from './expected.ts'
import type { FaultKind } from './faults.ts'
import { pickGarbage, refusalOf, type spoil } from './garbage.ts'
import type { Plan } from './plan.ts'
import { runReference } from './reference.ts'

const moods = [
  'node-kills',
  'node-hangs',
  'node-throws',
  'node-garbage',
  'node-slow',
] as const satisfies readonly FaultKind[]
type Mood = (typeof moods)[number]

/** So many items have such a node, at most: what each of them costs is time, and mostly the same time again. */
const most: Record<Mood, number> = {
  'node-kills': 10,
  'node-hangs': 5,
  'node-throws': 30,
  'node-garbage': 30,
  'node-slow': 10,
}

/** Longer than any time-out of a node. */
const hangMs = 7 * 86_400_000
const slowMs = 12_000

/** What the daemon whose node it is has to do with it. */
export type Victim = { noted(mood: Mood): void; kill(): void; spoil: typeof spoil }

export type Misbehaviour = {
  /** The workflow as one life of a daemon runs it. */
  graphFor(victim: Victim): FlowGraph
  /** What came of it, for the reference; undefined while no node misbehaved. */
  told(): Told | undefined
}
type Told = {
  /** The workflow as the reference runs it. */
  graph: FlowGraph
  /**
   * Whether it befell only what nodes are given in every order, at every time and with every seed: what comes of the rest,
   * because of clocks or chance, nobody can say.
   */
  isSure(): Promise<boolean>
}

/** An item at a node; `at` names both by what they are. */
type Visit = { at: string; node: string; kind: NodeKind; context: NodeContext }
/** How many of the nodes have such items at all, and how many of theirs. */
type Odds = { mood: Mood; nodes: number; odds: number }
/** What a node's answer is turned into. */
type Change = (answer: NodeResult) => unknown
/** Called before each item of each node; what it does not come back from, the node does not do. */
type Before = (visit: Visit) => Promise<Change | undefined>

/** Undefined when no node misbehaves in this plan. */
export function misbehaviourOf(plan: Plan, graph: FlowGraph, iterationsMax?: number): Misbehaviour | undefined {
  const all = moods.flatMap((mood): Odds[] => {
    const event = plan.events.find(({ kind }) => kind === mood)
    return event === undefined ? [] : [{ mood, nodes: Number(event.args.nodes ?? 1), odds: Number(event.args.odds) }]
  })
  const oddsOf = new Map<string, Odds[]>()
  for (const { id } of graph.nodes.values()) {
    const odds = all.filter(({ mood, nodes }) => hashUnit(`${plan.seed}|${mood}|${id}`) < nodes)
    if (odds.length > 0) oddsOf.set(id, odds)
  }
  if (oddsOf.size === 0) return undefined
  const wrap = (before: Before) => graphWith(graph, before, id => oddsOf.has(id))
  const struck = new Map<string, Mood>()
  const left = { ...most }
  const moodOf = ({ node, at }: Visit): Mood | undefined => {
    const known = struck.get(at)
    if (known !== undefined) return known
    const odds = oddsOf.get(node) ?? []
    const drawn = odds.find(({ mood, odds: share }) => hashUnit(`${plan.seed}|${mood}|${at}`) < share)?.mood
    if (drawn === undefined || left[drawn] === 0) return undefined
    left[drawn] -= 1
    struck.set(at, drawn)
    return drawn
  }
  // an item that its producer made itself has no claim to be charged, and would take its process down for ever
  const claiming = new Set(graph.loops.filter(({ sources }) => sources.length > 0).map(({ id }) => id))
  const beforeFor = (victim: Victim, moodAt: (visit: Visit) => Mood | undefined): Before => {
    return async visit => {
      const { at, kind, context } = visit
      const mood = moodAt(visit)
      const isSpared = mood === 'node-kills' && !claiming.has(context.iteration.loop)
      if (mood === undefined || isSpared) return undefined
      await act(mood, context, victim)
      if (mood !== 'node-garbage') return undefined
      const garbage = pickGarbage(kind, `${plan.seed}|garbage|${at}`)
      return answer => victim.spoil(answer, garbage, kind)
    }
  }
  return {
    graphFor: victim => wrap(beforeFor(victim, moodOf)),
    told: () => {
      if (struck.size === 0) return undefined
      const seen = new Map(struck)
      const graphTold = wrap(beforeFor(inReference, ({ at }) => seen.get(at)))
      return { graph: graphTold, isSure: () => areStable(seen, { plan, wrap, iterationsMax }) }
    },
  }
}

/** The reference kills no processes and looks at no answers: it is told what becomes of them. */
const inReference: Victim = {
  noted: () => undefined,
  kill: () => {
    throw new EngineError('POISON', 'Cannot process the item: it takes its process down')
  },
  spoil: (_answer, garbage) => {
    throw refusalOf(garbage)
  },
}

async function act(mood: Mood, { clock }: NodeContext, { noted, kill }: Pick<Victim, 'noted' | 'kill'>): Promise<void> {
  noted(mood)
  if (mood === 'node-throws') throw new Error('this item is too much')
  if (mood === 'node-slow') await clock.sleep(slowMs)
  if (mood === 'node-hangs') {
    // in the reference, where no time passes, nobody loses patience
    await clock.sleep(hangMs)
    throw new EngineError('NODE_TIMEOUT', 'Cannot wait longer for the node')
  }
  if (mood === 'node-kills') {
    kill()
    await new Promise(() => undefined)
  }
}

/** Whether nodes are given all of these in every order, at every time and with every seed. */
async function areStable(
  items: ReadonlyMap<string, Mood>,
  how: { plan: Plan; wrap: (before: Before) => FlowGraph; iterationsMax: number | undefined },
): Promise<boolean> {
  const { plan, wrap, iterationsMax } = how
  for (const way of [ways.plain, { ...ways.shifted, order: 'last' }, ways.overtaking] as const) {
    const missing = new Set(items.keys())
    const note: Before = async ({ at }) => {
      missing.delete(at)
      return undefined
    }
    const effects = await runReference(wrap(note), { files: plan.files, iterationsMax, ...way })
    if (effects === undefined || missing.size > 0) return false
  }
  return true
}

/** The same workflow; some of its nodes are of classes that ask first. */
function graphWith(graph: FlowGraph, before: Before, asks: (node: string) => boolean): FlowGraph {
  const nodes = new Map<FlowNode, FlowNode>()
  const changed = (node: FlowNode): FlowNode => {
    if (node.class.untimed || !asks(node.id)) return node
    const config = { ...node.config, [asked]: before }
    const known = nodes.get(node) ?? { ...node, config, class: asking(node.class) }
    nodes.set(node, known)
    return known
  }
  const planOf = (plan: FlowPlan): FlowPlan => ({ ...plan, steps: plan.steps.map(stepOf) })
  const stepOf = (step: PlanStep): PlanStep => ({
    ...step,
    node: changed(step.node),
    ...(step.body && { body: planOf(step.body) }),
  })
  const loops = graph.loops.map(loop => ({
    ...loop,
    producer: loop.producer && changed(loop.producer),
    nodes: loop.nodes.map(changed),
    plan: planOf(loop.plan),
  }))
  return { ...graph, loops, nodes: new Map([...graph.nodes].map(([id, node]) => [id, changed(node)])) }
}

/** Where an instance finds whom it asks: beside its configuration, under a name that no JSON has. */
const asked = Symbol('whom this instance asks first')
/** Each made once for all simulations: whatever calls nodes is slow while it meets ever new classes. */
const made = new WeakMap<NodeClass, NodeClass>()

function asking(base: NodeClass): NodeClass {
  const known = made.get(base) ?? askingClass(base)
  made.set(base, known)
  return known
}

function askingClass(base: NodeClass): NodeClass {
  const { execute } = (base as unknown as { prototype: Node }).prototype
  return class extends base {
    override async execute(input: NodeOutput, context: NodeContext): Promise<NodeResult> {
      const { id, config } = this.definition
      const before = (config as unknown as { [asked]: Before })[asked]
      const change = await before({ at: `${id} ${canonicalJson(input.data)}`, node: id, kind: base.kind, context })
      const answer = await execute.call(this, input, context)
      return change === undefined ? answer : (change(answer) as NodeResult)
    }
  } as NodeClass
}
