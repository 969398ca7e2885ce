/**
 * Nodes that misbehave for some of their items: they throw, hang, are slow, or take their process down. Which items is
 * drawn from what the items hold, so that an item fails again whenever it is tried again, and the reference knows it too.
 * Items that do not look the same in all runs of the reference, because of clocks or chance, are left alone.
 */
import { EngineError } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import { hashUnit } from '../engine/hash.ts'
import { canonicalJson } from '../engine/json.ts'
import type { NodeContext } from '../engine/node/context.ts'
import type { Node, NodeClass, NodeOutput, NodeResult } from '../engine/node/node.ts'
import { NodeRegistry } from '../engine/node/node-registry.ts'
import { epochMs } from './clock.ts'
import { type Expected, expectedEffects } from './expected.ts'
import type { FaultKind } from './faults.ts'
import type { Plan } from './plan.ts'
import { runReference } from './reference.ts'

const moods = ['node-kills', 'node-hangs', 'node-throws', 'node-slow'] as const satisfies readonly FaultKind[]
type Mood = (typeof moods)[number]

/** Longer than any time-out of a node. */
const hangMs = 7 * 86_400_000
const slowMs = 12_000

/** What the daemon whose node it is has to do with it. */
export type Victim = { noted(mood: Mood): void; kill(): void }

export type Misbehaviour = {
  /** What the run must leave behind all the same. */
  expected: Expected | undefined
  /** The workflow as one life of a daemon runs it. */
  graphFor(victim: Victim): FlowGraph
}

/** Called before each item of each node; what it does not come back from, the node does not do. */
type Before = (at: string, context: NodeContext) => Promise<void>

/** Undefined when no node misbehaves in this plan. */
export async function misbehaviourOf(plan: Plan, graph: FlowGraph): Promise<Misbehaviour | undefined> {
  const odds = moods.flatMap(mood => {
    const event = plan.events.find(({ kind }) => kind === mood)
    return event === undefined ? [] : [{ mood, odds: Number(event.args.odds) }]
  })
  if (odds.length === 0) return undefined
  const wrap = (before: Before) => graphWith(plan, graph, before)
  const stable = await stableItems(plan, wrap)
  const moodOf = (at: string): Mood | undefined =>
    stable.has(at) ? odds.find(each => hashUnit(`${plan.seed}|${each.mood}|${at}`) < each.odds)?.mood : undefined
  const inReference: Victim = {
    noted: () => undefined,
    kill: () => {
      throw new EngineError('POISON', 'Cannot process the item: it takes its process down')
    },
  }
  // an item that its producer made itself has no claim to be charged, and would take its process down for ever
  const claiming = new Set(graph.loops.filter(({ sources }) => sources.length > 0).map(({ id }) => id))
  const graphFor = (victim: Victim): FlowGraph =>
    wrap(async (at, context) => {
      const mood = moodOf(at)
      const isSpared = mood === 'node-kills' && !claiming.has(context.iteration.loop)
      if (mood !== undefined && !isSpared) await act(mood, context, victim)
    })
  return { expected: await expectedEffects(graphFor(inReference), plan.files), graphFor }
}

async function act(mood: Mood, { clock }: NodeContext, { noted, kill }: Victim): Promise<void> {
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

/** What nodes are given in every order, at every time and with every seed. */
async function stableItems(plan: Plan, wrap: (before: Before) => FlowGraph): Promise<ReadonlySet<string>> {
  const ways = [
    { order: 'first', clockStepMs: 0, startMs: epochMs, seed: 'a' },
    { order: 'overtaking', clockStepMs: 0, startMs: epochMs, seed: 'a' },
    { order: 'last', clockStepMs: 1_237, startMs: epochMs + 987_654_321, seed: 'b' },
  ] as const
  const seen: Set<string>[] = []
  for (const way of ways) {
    const items = new Set<string>()
    seen.push(items)
    await runReference(
      wrap(async at => void items.add(at)),
      { files: plan.files, ...way },
    )
  }
  const [first, ...others] = seen as [Set<string>, ...Set<string>[]]
  return new Set([...first].filter(at => others.every(items => items.has(at))))
}

/** The same workflow, of classes that ask first. */
function graphWith(plan: Plan, graph: FlowGraph, before: Before): FlowGraph {
  const classes = new Set([...graph.nodes.values()].map(node => node.class))
  const registry = new NodeRegistry([...classes].map(each => (each.untimed ? each : asking(each, before))))
  return requireWorkflow(plan.workflow, { registry, name: graph.workflow.id })
}

function asking(base: NodeClass, before: Before): NodeClass {
  const { execute } = (base as unknown as { prototype: Node }).prototype
  return class extends base {
    override async execute(input: NodeOutput, context: NodeContext): Promise<NodeResult> {
      await before(`${this.definition.id} ${canonicalJson(input.data)}`, context)
      return await execute.call(this, input, context)
    }
  } as NodeClass
}
