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
type Visit = { at: string; kind: NodeKind; context: NodeContext }
/** What a node's answer is turned into. */
type Change = (answer: NodeResult) => unknown
/** Called before each item of each node; what it does not come back from, the node does not do. */
type Before = (visit: Visit) => Promise<Change | undefined>

/** Undefined when no node misbehaves in this plan. */
export async function misbehaviourOf(plan: Plan, graph: FlowGraph): Promise<Misbehaviour | undefined> {
  const odds = moods.flatMap(mood => {
    const event = plan.events.find(({ kind }) => kind === mood)
    return event === undefined ? [] : [{ mood, odds: Number(event.args.odds) }]
  })
  const drawn = (at: string): Mood | undefined =>
    odds.find(each => hashUnit(`${plan.seed}|${each.mood}|${at}`) < each.odds)?.mood
  const wrap = (before: Before) => graphWith(graph, before)
  const moody = odds.length === 0 ? new Set() : await stableItems(plan, wrap, at => drawn(at) !== undefined)
  if (moody.size === 0) return undefined
  const moodOf = (at: string): Mood | undefined => (moody.has(at) ? drawn(at) : undefined)
  // an item that its producer made itself has no claim to be charged, and would take its process down for ever
  const claiming = new Set(graph.loops.filter(({ sources }) => sources.length > 0).map(({ id }) => id))
  const beforeFor =
    (victim: Victim): Before =>
    async ({ at, kind, context }) => {
      const mood = moodOf(at)
      const isSpared = mood === 'node-kills' && !claiming.has(context.iteration.loop)
      if (mood === undefined || isSpared) return undefined
      await act(mood, context, victim)
      if (mood !== 'node-garbage') return undefined
      const garbage = pickGarbage(kind, `${plan.seed}|garbage|${at}`)
      return answer => victim.spoil(answer, garbage, kind)
    }
  const graphFor = (victim: Victim): FlowGraph => wrap(beforeFor(victim))
  const graphInReference = graphFor(inReference)
  return { expected: expectedEffects(graphInReference, plan.files), graphFor, graphInReference }
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

/** Of what nodes are given, that which is `meant` and which they are given in every order, at every time and with every seed. */
async function stableItems(
  plan: Plan,
  wrap: (before: Before) => FlowGraph,
  meant: (at: string) => boolean,
): Promise<ReadonlySet<string>> {
  let items: Set<string> | undefined
  for (const way of [ways.plain, { ...ways.shifted, order: 'last' }, ways.overtaking] as const) {
    const seen = new Set<string>()
    const note: Before = async ({ at }) => {
      if (items === undefined ? meant(at) : items.has(at)) seen.add(at)
      return undefined
    }
    if (items?.size !== 0) await runReference(wrap(note), { files: plan.files, ...way })
    items = seen
  }
  return items as Set<string>
}

/** The same workflow, of classes that ask first. */
function graphWith(graph: FlowGraph, before: Before): FlowGraph {
  const nodes = new Map<FlowNode, FlowNode>()
  const asked = (node: FlowNode): FlowNode => {
    const known = nodes.get(node) ?? { ...node, class: node.class.untimed ? node.class : asking(node.class, before) }
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
        kind: base.kind,
        context,
      })
      const answer = await execute.call(this, input, context)
      return change === undefined ? answer : (change(answer) as NodeResult)
    }
  } as NodeClass
}
