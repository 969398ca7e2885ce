/** Situations in iterations: which way items went, what nodes did, what a producer was asked. */
import type { FlowGraph, FlowLoop, Plan, PlanStep } from '../engine/graph/flow-graph.ts'
import type { EngineEvent } from '../engine/trace/events.ts'
import type { Situation, Watch } from './situations.ts'

type AtNode = { loop: string; iteration: number; node_id: string }

/** Where it is, for what is kept per iteration of a daemon. */
const at = (event: EngineEvent, daemon: number): string => `${daemon} ${(event as AtNode).loop}`
const nodeOf = (event: EngineEvent): string => (event as AtNode).node_id

function stepsOf(graph: FlowGraph): PlanStep[] {
  const within = ({ steps }: Plan): PlanStep[] =>
    steps.flatMap(step => [step, ...(step.body === undefined ? [] : within(step.body))])
  return graph.loops.flatMap(({ plan }) => within(plan))
}

function idsOf(steps: readonly PlanStep[], isOne: (step: PlanStep) => boolean): ReadonlySet<string> {
  return new Set(steps.filter(isOne).map(({ node }) => node.id))
}

const joins = (graph: FlowGraph): ReadonlySet<string> =>
  idsOf(stepsOf(graph), ({ incoming }) => new Set(incoming).size > 1)

export const ofEngine: readonly Situation[] = [
  { name: 'a join ran with a live and a dead branch', watch: ({ graph }) => halfAlive(graph) },
  {
    name: 'a join was skipped: all its branches were dead',
    watch: ({ graph }) => {
      const those = joins(graph)
      return { events: { node_skipped: event => those.has(nodeOf(event)) } }
    },
  },
  { name: 'a for-each went over nothing', watch: ({ graph }) => overNothing(graph) },
  {
    name: 'a for-each ran within a for-each',
    watch: ({ graph }) => {
      const bodies = stepsOf(graph).flatMap(({ body }) => (body === undefined ? [] : body.steps))
      const inner = idsOf(bodies, ({ body }) => body !== undefined)
      return { events: { node_started: event => inner.has(nodeOf(event)) } }
    },
  },
  {
    name: 'a node ran out of time',
    watch: () => ({
      events: { node_failed: event => event.type === 'node_failed' && event.error.code === 'NODE_TIMEOUT' },
    }),
  },
  { name: 'a node failed while others of its iteration were at work', watch: failedBeside },
  { name: 'an iteration was begun again by a later life', watch: begunAgain },
  { name: 'a timer caught up with ticks that it had missed', watch: ({ graph }) => caughtUp(graph) },
]

/** One of the edges into the join that runs came from a step that was skipped. */
function halfAlive(graph: FlowGraph): Watch {
  const before = new Map<string, string[]>()
  for (const { plan } of graph.loops) {
    for (const { node, incoming } of plan.steps) {
      const from = incoming.map(edge => plan.steps[plan.edges[edge]?.from ?? -1]?.node.id ?? '')
      if (from.length > 1) before.set(node.id, from)
    }
  }
  const skipped = new Map<string, Set<string>>()
  return {
    events: {
      iteration_started: (event, daemon) => {
        skipped.delete(at(event, daemon))
        return false
      },
      node_skipped: (event, daemon) => {
        const those = skipped.get(at(event, daemon)) ?? new Set()
        skipped.set(at(event, daemon), those.add(nodeOf(event)))
        return false
      },
      node_started: (event, daemon) => {
        const those = skipped.get(at(event, daemon))
        return those !== undefined && before.get(nodeOf(event))?.some(id => those.has(id)) === true
      },
    },
  }
}

function overNothing(graph: FlowGraph): Watch {
  const first = new Map<string, string>()
  for (const { node, body } of stepsOf(graph)) {
    const id = body?.steps[0]?.node.id
    if (id !== undefined) first.set(node.id, id)
  }
  const rounds = new Map<string, number>()
  return {
    events: {
      node_started: (event, daemon) => {
        const key = `${at(event, daemon)} ${nodeOf(event)}`
        rounds.set(key, (rounds.get(key) ?? 0) + 1)
        const body = first.get(nodeOf(event))
        if (body !== undefined) rounds.set(`${at(event, daemon)} ${body}`, 0)
        return false
      },
      node_completed: (event, daemon) => {
        const body = first.get(nodeOf(event))
        return body !== undefined && rounds.get(`${at(event, daemon)} ${body}`) === 0
      },
    },
  }
}

function failedBeside(): Watch {
  const working = new Map<string, Set<string>>()
  const ends = (event: EngineEvent, daemon: number): boolean => {
    working.get(at(event, daemon))?.delete(nodeOf(event))
    return false
  }
  return {
    events: {
      iteration_started: (event, daemon) => {
        working.set(at(event, daemon), new Set())
        return false
      },
      node_started: (event, daemon) => {
        working.get(at(event, daemon))?.add(nodeOf(event))
        return false
      },
      node_completed: ends,
      node_failed: (event, daemon) => {
        ends(event, daemon)
        return (working.get(at(event, daemon))?.size ?? 0) > 0
      },
    },
  }
}

/** By anyone: what had begun was never committed. */
function begunAgain(): Watch {
  const begun = new Map<string, number>()
  let life = 0
  return {
    lives: ({ what }) => {
      if (what === 'begins') life += 1
      return false
    },
    events: {
      iteration_started: event => {
        const key = `${(event as AtNode).loop} ${(event as AtNode).iteration}`
        const before = begun.get(key)
        begun.set(key, life)
        return before !== undefined && before < life
      },
    },
  }
}

/** Two different ticks that came closer to each other than the interval. */
function caughtUp(graph: FlowGraph): Watch {
  const intervals = new Map<string, number>()
  for (const loop of graph.loops) {
    const seconds = intervalOf(graph, loop)
    if (seconds !== undefined) intervals.set(loop.id, seconds * 1_000)
  }
  const last = new Map<string, { iteration: number; time: number }>()
  return {
    events: {
      iteration_started: (event, daemon) => {
        const { loop, iteration, time } = event as AtNode & { time: number }
        const interval = intervals.get(loop)
        if (interval === undefined) return false
        const key = at(event, daemon)
        const before = last.get(key)
        last.set(key, { iteration, time })
        return before !== undefined && before.iteration < iteration && time - before.time < interval / 2
      },
    },
  }
}

/** Seconds; undefined unless it is a timer of so many. */
function intervalOf(graph: FlowGraph, { producer, producerType }: FlowLoop): number | undefined {
  if (producerType !== 'timer') return undefined
  const form = graph.workflow.nodes.find(({ id }) => id === producer?.id)?.form
  return form?.unit === 'seconds' && typeof form.interval === 'number' ? form.interval : undefined
}
