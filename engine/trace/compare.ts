/**
 * Whether a replayed iteration decided as the recorded one did, and if not, where it went another way first: what its
 * nodes did, what they asked of the outside, how it ended, what it would change.
 */
import { isJsonObject, type Json, type JsonObject, jsonEqual } from '../json.ts'
import { redacted } from './redact.ts'
import type { IterationLine } from './trace.ts'
import type { CallNote, StepNote } from './witness.ts'

/** The part of an iteration's line that it decided itself. */
export type Decisions = Pick<IterationLine, 'steps' | 'calls' | 'outcome' | 'writes'>

/** `node_id` is empty when no node is to blame. Missing values are null. */
export type Difference = { node_id: string; field: string; expected: Json; seen: Json }

/** `shared` tells whether both workflows have a node: what only one of them has is no difference in itself. */
export function compareDecisions(
  expected: Decisions,
  seen: Decisions,
  shared: (node: string) => boolean,
): Difference | undefined {
  return (
    compareSteps(expected.steps, seen.steps, shared) ??
    compareCalls(expected.calls, seen.calls, shared) ??
    compareOutcomes(expected.outcome, seen.outcome) ??
    compareWrites(expected.writes, seen.writes)
  )
}

/** The same of an iteration that could not go on: only what was reached counts. */
export function compareReached(
  expected: Decisions,
  seen: Decisions,
  shared: (node: string) => boolean,
): Difference | undefined {
  const reached = new Set(seen.steps.map(({ at }) => at))
  return compareSteps(
    expected.steps.filter(({ at }) => reached.has(at)),
    seen.steps,
    shared,
  )
}

/** The node of a place such as `each[3]/inner`. */
export function nodeOf(place: string): string {
  return place.slice(place.lastIndexOf('/') + 1)
}

type Noted = { at: string }

function byPlace<T extends Noted>(notes: readonly T[], shared: (node: string) => boolean): Map<string, T[]> {
  const places = new Map<string, T[]>()
  for (const note of notes.filter(({ at }) => shared(nodeOf(at)))) {
    const there = places.get(note.at)
    if (there === undefined) places.set(note.at, [note])
    else there.push(note)
  }
  return places
}

function compareSteps(
  expected: readonly StepNote[],
  seen: readonly StepNote[],
  shared: (node: string) => boolean,
): Difference | undefined {
  const there = byPlace(seen, shared)
  for (const [place, [step]] of byPlace(expected, shared)) {
    const other = there.get(place)?.[0]
    const difference = diffStep(step as StepNote, other)
    if (difference !== undefined) return { node_id: nodeOf(place), ...difference }
    there.delete(place)
  }
  const more = [...there.values()].flat().find(({ did }) => did !== 'skip')
  return more && { node_id: nodeOf(more.at), field: 'did', expected: null, seen: more.did }
}

type Found = Omit<Difference, 'node_id'>

function diffStep(a: StepNote, b: StepNote | undefined): Found | undefined {
  // one that is not reached any more does as little as one that is skipped
  if (a.did === 'skip' && b === undefined) return undefined
  if (a.did !== b?.did) return { field: 'did', expected: a.did, seen: b?.did ?? null }
  if (a.did === 'fail' && b.did === 'fail') return diff(a.error, b.error, 'error')
  if (a.did !== 'complete' || b.did !== 'complete') return undefined
  return (
    diff(a.route, b.route, 'route') ??
    diff(a.set, b.set, 'data') ??
    diff(a.unset, b.unset, 'data removed') ??
    diff(a.id ?? null, b.id ?? null, 'id') ??
    diff(a.metadata ?? null, b.metadata ?? null, 'metadata')
  )
}

function compareCalls(
  expected: readonly CallNote[],
  seen: readonly CallNote[],
  shared: (node: string) => boolean,
): Difference | undefined {
  const there = byPlace(seen, shared)
  for (const [place, calls] of byPlace(expected, shared)) {
    const others = there.get(place) ?? []
    const at = calls.findIndex(({ op, ask }, i) => op !== others[i]?.op || !fitsRecorded(ask, others[i].ask))
    if (at >= 0) return { node_id: nodeOf(place), ...diffCall(calls[at] as CallNote, others[at]) }
  }
  return undefined
}

function diffCall(a: CallNote, b: CallNote | undefined): Found {
  if (a.op !== b?.op) return { field: 'call', expected: a.op, seen: b?.op ?? null }
  return diff(a.ask, b.ask, a.op) as Found
}

function compareOutcomes(a: IterationLine['outcome'], b: IterationLine['outcome']): Difference | undefined {
  const found = diff(a, b, 'outcome')
  const node = a.as === 'failed' ? a.node : b.as === 'failed' && b.node
  return found && { node_id: node || '', ...found }
}

function compareWrites(a: IterationLine['writes'], b: IterationLine['writes']): Difference | undefined {
  const pushed = a.pushes.findIndex((push, i) => !jsonEqual(push, b.pushes[i]))
  const at = pushed < 0 && b.pushes.length > a.pushes.length ? a.pushes.length : pushed
  if (at >= 0) {
    const [expected, seen] = [a.pushes[at], b.pushes[at]]
    const node_id = nodeOf((expected ?? seen)?.at ?? '')
    return { node_id, field: `push ${at + 1}`, expected: expected?.queue ?? null, seen: seen?.queue ?? null }
  }
  for (const node of new Set([...Object.keys(a.state), ...Object.keys(b.state)])) {
    const found = diff(parsed(a.state[node]), parsed(b.state[node]), 'state')
    if (found !== undefined) return { node_id: node, ...found }
  }
  const found =
    diff(texts(a.runtime), texts(b.runtime), 'runtime') ??
    diff(a.delays, b.delays, 'delays') ??
    diff(a.response, b.response, 'response')
  return found && { node_id: '', ...found }
}

function parsed(text: string | undefined): Json {
  return text === undefined ? null : (JSON.parse(text) as Json)
}

/** One that was not written is missing. */
function texts(writes: Record<string, string | null>): JsonObject {
  return Object.fromEntries(
    Object.entries(writes).map(([key, text]) => [key, text === null ? '(deleted)' : parsed(text)]),
  )
}

/** Whether the second value may be what was recorded as the first: what was left out of that fits anything. */
export function fitsRecorded(a: Json | undefined, b: Json | undefined): boolean {
  return diff(a, b, '') === undefined
}

/** The first place where two values differ, as a path from `field`. */
function diff(a: Json | undefined, b: Json | undefined, field: string): Found | undefined {
  if (jsonEqual(a, b) || (typeof a === 'string' && a.includes(redacted))) return undefined
  if (isJsonObject(a) && isJsonObject(b)) {
    for (const key of Object.keys({ ...a, ...b })) {
      const found = diff(own(a, key), own(b, key), `${field}.${key}`)
      if (found !== undefined) return found
    }
    return undefined
  }
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
    for (const [i, value] of a.entries()) {
      const found = diff(value, b[i], `${field}[${i}]`)
      if (found !== undefined) return found
    }
    return undefined
  }
  return { field, expected: a ?? null, seen: b ?? null }
}

function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}
