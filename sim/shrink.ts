/**
 * Makes what fails small: the fewest events by delta debugging over a flat list, then fewer nodes, fewer items, smaller
 * numbers. Whether a smaller plan still fails in the same way is asked of whoever runs it.
 */
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import type { Plan } from './plan.ts'

/**
 * Removes ever smaller parts while `holds` stays true, until no single element can go or `runsMax` tries are used up.
 * `holds` must be true of the whole list.
 */
export async function ddmin<T>(
  all: readonly T[],
  holds: (part: readonly T[]) => Promise<boolean>,
  runsMax: number,
): Promise<readonly T[]> {
  let list = all
  let runs = 0
  for (let parts = 2; list.length > 0 && runs < runsMax; ) {
    const size = Math.ceil(list.length / parts)
    const shorter = await firstThatHolds(list, size, async part => runs++ < runsMax && (await holds(part)))
    if (shorter !== undefined) {
      list = shorter
      parts = Math.max(2, parts - 1)
    } else if (size === 1) return list
    else parts = Math.min(list.length, parts * 2)
  }
  return list
}

/** The list without one of its parts, the first such that still holds. */
async function firstThatHolds<T>(
  list: readonly T[],
  size: number,
  holds: (part: readonly T[]) => Promise<boolean>,
): Promise<readonly T[] | undefined> {
  for (let at = 0; at < list.length; at += size) {
    const rest = [...list.slice(0, at), ...list.slice(at + size)]
    if (await holds(rest)) return rest
  }
  return undefined
}

// --- a whole plan

type Fails = (plan: Plan) => Promise<boolean>

/** Tries for each part of a plan. */
const runsMax = { events: 150, nodes: 60, values: 90 }

/** Cuts events and calls, then nodes, then items, values and times, as long as `fails` stays true of what is left. */
export async function shrinkPlan(plan: Plan, fails: Fails): Promise<Plan> {
  const fewer = await shrinkNodes(await shrinkEvents(plan, fails), fails)
  const smaller = await shrinkValues(fewer, fails)
  return smaller.workflow === plan.workflow ? smaller : await shrinkEvents(smaller, fails)
}

/** Faults and calls. */
async function shrinkEvents(plan: Plan, fails: Fails): Promise<Plan> {
  return await shrinkCalls(await shrinkFaults(plan, fails), fails)
}

async function shrinkCalls(plan: Plan, fails: Fails): Promise<Plan> {
  const { calls, ...others } = plan
  if (calls === undefined || (await fails(others))) return others
  const left = await ddmin(calls, part => fails({ ...plan, calls: [...part] }), runsMax.events)
  return { ...plan, calls: [...left] }
}

async function shrinkFaults(plan: Plan, fails: Fails): Promise<Plan> {
  const none = { ...plan, events: [] }
  if (plan.events.length === 0 || (await fails(none))) return none
  return {
    ...plan,
    events: [...(await ddmin(plan.events, events => fails({ ...plan, events: [...events] }), runsMax.events))],
  }
}

async function shrinkNodes(plan: Plan, fails: Fails): Promise<Plan> {
  const { nodes } = plan.workflow
  if (!Array.isArray(nodes)) return plan
  const left = await ddmin(nodes, part => fails({ ...plan, workflow: withNodes(plan.workflow, part) }), runsMax.nodes)
  return left.length === nodes.length ? plan : { ...plan, workflow: withNodes(plan.workflow, left) }
}

type Edge = { source: Json; target: Json } & JsonObject

/** The workflow with these nodes only; whoever led to one that is gone leads to what came after it. */
function withNodes(workflow: JsonObject, nodes: readonly Json[]): JsonObject {
  const idOf = (node: Json): Json => (isJsonObject(node) ? (node.id ?? null) : null)
  const kept = new Set(nodes.map(idOf))
  let edges = (Array.isArray(workflow.edges) ? workflow.edges : []) as Edge[]
  for (const gone of (workflow.nodes as Json[]).map(idOf).filter(id => !kept.has(id))) {
    const after = edges.filter(edge => edge.source === gone && edge.target !== gone)
    edges = edges
      .filter(edge => edge.source !== gone)
      .flatMap(edge => {
        if (edge.target !== gone) return [edge]
        return after.map(({ target, targetHandle = null }, i) => ({
          ...edge,
          id: `${edge.id}-${i}`,
          target,
          targetHandle,
        }))
      })
  }
  return { ...workflow, nodes: [...nodes], edges }
}

/** Where a plan has values that may be smaller: forms, files, and how long things take. */
const places = [/^workflow\/nodes\/\d+\/data\/form\//, /^files\//, /^settings\//, /^events\/\d+\/(at|args\/ms)$/]

async function shrinkValues(plan: Plan, fails: Fails): Promise<Plan> {
  let small = plan
  let runs = 0
  const paths = pathsOf(plan as unknown as Json).filter(path => places.some(place => place.test(path.join('/'))))
  for (const path of paths) {
    const value = path.reduce<Json | undefined>(
      (at, key) => (at as JsonObject | undefined)?.[key],
      small as unknown as Json,
    )
    const put = (next: Json): Plan => replaced(small as unknown as Json, path, next) as unknown as Plan
    const holds = async (next: Json): Promise<boolean> => runs++ < runsMax.values && (await fails(put(next)))
    const next = value === undefined ? value : await smallerValue(value, holds)
    if (next !== undefined && next !== value) small = put(next)
  }
  return small
}

async function smallerValue(value: Json, holds: (next: Json) => Promise<boolean>): Promise<Json> {
  if (typeof value === 'number' && value > 1) return await smallerNumber(value, holds)
  if (Array.isArray(value) && value.length > 1) return [...(await ddmin(value, part => holds([...part]), listRunsMax))]
  if (typeof value !== 'string' || !value.includes('\n')) return value
  const left = await ddmin(value.split('\n'), part => holds(part.join('\n')), listRunsMax)
  return left.join('\n')
}

const listRunsMax = 30

/** By halves, between one that does not hold and one that does. */
async function smallerNumber(value: number, holds: (next: Json) => Promise<boolean>): Promise<number> {
  if (await holds(1)) return 1
  let [no, yes] = [1, value]
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2)
    if (await holds(middle)) yes = middle
    else no = middle
  }
  return yes
}

/** The paths of all values that are no objects; lists come before what is in them. */
function pathsOf(value: Json, path: readonly string[] = []): string[][] {
  if (Array.isArray(value)) return [[...path], ...value.flatMap((each, i) => pathsOf(each, [...path, String(i)]))]
  if (!isJsonObject(value)) return [[...path]]
  return Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...path, key]))
}

function replaced(value: Json, [key, ...rest]: readonly string[], next: Json): Json {
  if (key === undefined) return next
  if (Array.isArray(value)) return value.map((each, i) => (String(i) === key ? replaced(each, rest, next) : each))
  return { ...(value as JsonObject), [key]: replaced((value as JsonObject)[key] ?? null, rest, next) }
}
