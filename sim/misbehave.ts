/**
 * Nodes that misbehave for some of their items: they throw, hang, are slow, return garbage, or take their process down.
 * Which items is drawn from what the items hold, so that an item fails again whenever it is tried again, and the reference knows it too.
 * Items that do not look the same in all runs of the reference, because of clocks or chance, are left alone.
 */
import { EngineError } from '../engine/errors.ts'
import type { FlowGraph, FlowNode, Plan as FlowPlan, PlanStep } from '../engine/graph/flow-graph.ts'
import { hashUnit } from '../engine/hash.ts'
import { canonicalJson } from '../engine/json.ts'
import type { NodeContext } from '../engine/node/context.ts'
import type { Node, NodeClass, NodeKind, NodeOutput, NodeResult } from '../engine/node/node.ts'
import { type Expected, expectedEffects, ways } from './expected.ts'
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
  /** What the run must leave behind all the same. */
  expected: Expected
  /** The workflow as one life of a daemon runs it. */
  graphFor(victim: Victim): FlowGraph
  /** The workflow as the reference runs it. */
  graphInReference: FlowGraph
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
export async function misbehaviourOf(plan: Plan, graph: FlowGraph, iterationsMax?: number): Promise<Misbehaviour | undefined> {
  const all = moods.flatMap((mood): Odds[] => {
    const event = plan.events.find(({ kind }) => kind === mood)
    return event === undefined ? [] : [{ mood, nodes: Number(event.args.nodes ?? 1), odds: Number(event.args.odds) }]
  })
  const oddsOf = new Map<string, Odds[]>()
  for (const { id } of graph.nodes.values()) {
    const odds = all.filter(({ mood, nodes }) => hashUnit(`${plan.seed}|${mood}|${id}`) < nodes)
    if (odds.length > 0) oddsOf.set(id, odds)
  }
  const drawn = (node: string, at: string): Mood | undefined =>
    oddsOf.get(node)?.find(({ mood, odds }) => hashUnit(`${plan.seed}|${mood}|${at}`) < odds)?.mood
  const wrap = (before: Before) => graphWith(graph, before, id => oddsOf.has(id))
  const stable = oddsOf.size === 0 ? new Map<string, Mood>() : await stableItems(plan, { wrap, drawn, iterationsMax })
  const moodOf = new Map(moods.flatMap(mood => firstOf(mood, stable)))
  if (moodOf.size === 0) return undefined
  // an item that its producer made itself has no claim to be charged, and would take its process down for ever
  const claiming = new Set(graph.loops.filter(({ sources }) => sources.length > 0).map(({ id }) => id))
  const beforeFor =
    (victim: Victim): Before =>
    async ({ at, kind, context }) => {
      const mood = moodOf.get(at)
      const isSpared = mood === 'node-kills' && !claiming.has(context.iteration.loop)
      if (mood === undefined || isSpared) return undefined
      await act(mood, context, victim)
      if (mood !== 'node-garbage') return undefined
      const garbage = pickGarbage(kind, `${plan.seed}|garbage|${at}`)
      return answer => victim.spoil(answer, garbage, kind)
    }
  const graphFor = (victim: Victim): FlowGraph => wrap(beforeFor(victim))
  const graphInReference = graphFor(inReference)
  return { expected: expectedEffects(graphInReference, plan.files, iterationsMax), graphFor, graphInReference }
}

/** Of those that have such a node, the first ones; in which order they were found may differ with the order of the loops. */
function firstOf(mood: Mood, items: ReadonlyMap<string, Mood>): [string, Mood][] {
  const ofMood = [...items].filter(([, each]) => each === mood)
  return ofMood.sort(([a], [b]) => hashUnit(a) - hashUnit(b)).slice(0, most[mood])
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

/** The moods that were drawn for what nodes are given in every order, at every time and with every seed. */
async function stableItems(
  plan: Plan,
  how: {
    wrap: (before: Before) => FlowGraph
    drawn: (node: string, at: string) => Mood | undefined
    iterationsMax: number | undefined
  },
): Promise<ReadonlyMap<string, Mood>> {
  const { wrap, drawn, iterationsMax } = how
  let items: Map<string, Mood> | undefined
  for (const way of [ways.plain, { ...ways.shifted, order: 'last' }, ways.overtaking] as const) {
    const seen = new Map<string, Mood>()
    const note: Before = async ({ node, at }) => {
      const mood = items === undefined ? drawn(node, at) : items.get(at)
      if (mood !== undefined) seen.set(at, mood)
      return undefined
    }
    const effects = await runReference(wrap(note), { files: plan.files, iterationsMax, ...way })
    if (effects === undefined || seen.size === 0) return new Map()
    items = seen
  }
  return items as Map<string, Mood>
}

/** The same workflow; some of its nodes are of classes that ask first. */
function graphWith(graph: FlowGraph, before: Before, asks: (node: string) => boolean): FlowGraph {
  const nodes = new Map<FlowNode, FlowNode>()
  const asked = (node: FlowNode): FlowNode => {
    if (node.class.untimed || !asks(node.id)) return node
    const known = nodes.get(node) ?? { ...node, class: asking(node.class, before) }
    nodes.set(node, known)
    return known
  }
  const planOf = (plan: FlowPlan): FlowPlan => ({ ...plan, steps: plan.steps.map(stepOf) })
  const stepOf = (step: PlanStep): PlanStep => ({
    ...step,
    node: asked(step.node),
    ...(step.body && { body: planOf(step.body) }),
  })
  const loops = graph.loops.map(loop => ({
    ...loop,
    producer: loop.producer && asked(loop.producer),
    nodes: loop.nodes.map(asked),
    plan: planOf(loop.plan),
  }))
  return { ...graph, loops, nodes: new Map([...graph.nodes].map(([id, node]) => [id, asked(node)])) }
}

function asking(base: NodeClass, before: Before): NodeClass {
  const { execute } = (base as unknown as { prototype: Node }).prototype
  return class extends base {
    override async execute(input: NodeOutput, context: NodeContext): Promise<NodeResult> {
      const change = await before({
        at: `${this.definition.id} ${canonicalJson(input.data)}`,
        node: this.definition.id,
        kind: base.kind,
        context,
      })
      const answer = await execute.call(this, input, context)
      return change === undefined ? answer : (change(answer) as NodeResult)
    }
  } as NodeClass
}
