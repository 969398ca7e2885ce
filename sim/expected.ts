/**
 * What a run must have left behind, as far as that is determined. The reference runs as it is; and where a run left
 * something else, also with loops, branches and replicas taking turns in other orders, and at another time with another
 * seed. What differs in order only is compared without order, what differs with time or chance is left out, and everything
 * else must be exactly so.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { canonicalJson, isJsonObject, type Json, jsonEqual } from '../engine/json.ts'
import { epochMs } from './clock.ts'
import { writeName } from './mishaps.ts'
import { type Order, orderOf } from './order.ts'
import type { Requests } from './outside.ts'
import { type Effects, idPrefix, runReference } from './reference.ts'

/** What the reference leaves behind. It runs when first asked, for most runs are like the plain one in everything. */
export type Expected = {
  /** Undefined when the workflow does not end on its own. */
  plain(): Promise<Effects | undefined>
  /** In other orders, and at another time with another seed; undefined when it does not end then. */
  others(): Promise<Others | undefined>
  /** At yet another time with yet another seed: what two draws have in common by chance, three do not. */
  shiftedAgain(): Promise<Effects | undefined>
  /** Which loops and queues keep the order of their items, whoever is faster. */
  order: Order
  /** A reference that takes more iterations has no end; many thousands when undefined. */
  iterationsMax?: number | undefined
  /** Is told what a run left behind, unless it gave an item up as poison. */
  tell?: (effects: Effects) => void
  /** Whether it is told of runs too in which nodes or the outside did not do as they should. */
  asks?: 'always' | 'undisturbed'
  /** Whether anybody can say what comes of what went wrong in the run; yes unless told otherwise. */
  isSure?: () => Promise<boolean>
}
export type Others = { reordered: Effects[]; shifted: Effects }
type References = Others & { plain: Effects; order: Order }

/** A timer notes how far it has looked for missed ticks, after a stop only; the reference never stops. */
const timerLooked = /^\/checked$/
export type Difference = { what: string; expected: string; seen: string }

export const ways = {
  plain: { order: 'first', clockStepMs: 0, startMs: epochMs, seed: 'a' },
  last: { order: 'last', clockStepMs: 0, startMs: epochMs, seed: 'a' },
  overtaking: { order: 'overtaking', clockStepMs: 0, startMs: epochMs, seed: 'a' },
  shifted: { order: 'first', clockStepMs: 1_237, startMs: epochMs + 987_654_321, seed: 'b' },
  shiftedAgain: { order: 'first', clockStepMs: 2_741, startMs: epochMs + 123_456_789, seed: 'c' },
} as const

export function expectedEffects(graph: FlowGraph, files: Record<string, string>, iterationsMax?: number): Expected {
  const run = (way: keyof typeof ways) => runReference(graph, { files, iterationsMax, ...ways[way] })
  return {
    plain: once(() => run('plain')),
    others: once(async () => {
      // where nobody overtakes, nor takes what another could have taken, that order is like the others
      const isAlone = graph.loops.every(({ replicas }) => replicas === 1) && graph.queues.every(isReadByOne)
      const [last, overtaking] = [await run('last'), isAlone ? undefined : await run('overtaking')]
      const shifted = await run('shifted')
      if (last === undefined || shifted === undefined) return undefined
      if (isAlone) return { reordered: [last], shifted }
      return overtaking && { reordered: [last, overtaking], shifted }
    }),
    shiftedAgain: once(() => run('shiftedAgain')),
    order: orderOf(graph),
    iterationsMax,
  }
}

function isReadByOne({ readers }: FlowGraph['queues'][number]): boolean {
  return readers.length < 2
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

/** The first difference, or undefined. */
export async function compareEffects(expected: Expected, seen: Effects): Promise<Difference | undefined> {
  const [plain, { order }] = [await expected.plain(), expected]
  if (plain === undefined) return undefined
  // the other references only take back what this one says; where it is met, they have nothing to add
  const isLikePlain = differenceOf({ plain, reordered: [], shifted: withOtherIds(plain), order }, seen) === undefined
  if (isLikePlain || (await expected.isSure?.()) === false) return undefined
  const others = await expected.others()
  if (others === undefined || differenceOf({ plain, ...others, order }, seen) === undefined) return undefined
  const shifted = await expected.shiftedAgain()
  return shifted && differenceOf({ plain, ...others, shifted, order }, seen)
}

/** Ids of items that the reference made say nothing of those that the engine makes. */
function withOtherIds(effects: Effects): Effects {
  const lists = (of: Record<string, Json[]>, change: (item: Json) => Json): Record<string, Json[]> =>
    Object.fromEntries(Object.entries(of).map(([name, items]) => [name, items.map(change)]))
  const other = (item: Json): Json => {
    const isOurs = isJsonObject(item) && typeof item.id === 'string' && item.id.startsWith(idPrefix)
    return isOurs ? { ...item, id: '' } : item
  }
  const inLetter = (letter: Json): Json =>
    isJsonObject(letter) ? { ...letter, item: other(letter.item as Json) } : letter
  return { ...effects, queues: lists(effects.queues, other), deadLetters: lists(effects.deadLetters, inLetter) }
}

function differenceOf(expected: References, seen: Effects): Difference | undefined {
  const { plain } = expected
  for (const part of ['queues', 'deadLetters'] as const) {
    for (const name of new Set([...Object.keys(plain[part]), ...Object.keys(seen[part])])) {
      const isOrdered = expected.order[part === 'queues' ? 'queues' : 'loops'].has(name)
      const what = { name: `${part} of "${name}"`, isOrdered }
      const found = compareList(what, pick(expected, part, name), seen[part][name] ?? [])
      if (found !== undefined) return found
    }
  }
  // what replicas or unequal writers leave in a variable that they share, no reference can tell
  const isOrdered = Object.keys(plain.iterations).every(loop => expected.order.loops.has(loop))
  for (const part of isOrdered ? (['iterations', 'state', 'runtime'] as const) : (['iterations', 'state'] as const)) {
    for (const name of new Set([...Object.keys(plain[part]), ...Object.keys(seen[part])])) {
      const found = compareValue(`${part} of "${name}"`, pick(expected, part, name), seen[part][name])
      if (found !== undefined) return found
    }
  }
  return compareFiles(expected, seen) ?? compareRequests(expected, seen)
}

type Three<T> = { plain: T; reordered: T[]; shifted: T }

function pick<K extends 'queues' | 'deadLetters' | 'iterations' | 'state' | 'runtime'>(
  expected: References,
  part: K,
  name: string,
): Three<Effects[K][string] | undefined> {
  const { plain, reordered, shifted } = expected
  const of = (effects: Effects) => effects[part][name] as Effects[K][string] | undefined
  return { plain: of(plain), reordered: reordered.map(of), shifted: of(shifted) }
}

function compareValue(what: string, three: Three<Json | undefined>, seen: Json | undefined): Difference | undefined {
  const { plain, reordered, shifted } = three
  if (!reordered.every(other => equal(plain, other))) return undefined
  const path = firstDifference(plain, shifted, seen)
  if (path === undefined || timerLooked.test(path)) return undefined
  return { what: `${what}${path}`, expected: show(plain), seen: show(seen) }
}

function compareList(
  { name: what, isOrdered }: { name: string; isOrdered: boolean },
  three: Three<Json[] | undefined>,
  seen: Json[],
): Difference | undefined {
  const plain = three.plain ?? []
  const reordered = three.reordered.map(other => other ?? [])
  const shifted = three.shifted ?? []
  if ([...reordered, shifted].some(other => other.length !== plain.length)) return undefined
  if (plain.length !== seen.length) {
    const count = (items: readonly Json[]) => `${items.length} items: ${show(items.slice(0, 40) as Json)}`
    return { what, expected: count(plain), seen: count(seen) }
  }
  if (isOrdered && reordered.every(other => equal(plain, other)))
    return compareValue(what, { plain, reordered, shifted }, seen)
  const bag = (items: readonly Json[]) => items.map(canonicalJson).sort()
  if (!reordered.every(other => equal(bag(plain), bag(other)))) return undefined
  const hidden = new Set<string>()
  for (const [i, item] of plain.entries()) notePaths(item, shifted[i], '', hidden)
  const visible = (items: readonly Json[]) => bag(items.map(item => without(item, '', hidden)))
  return compareValue(
    `${what}, in any order`,
    { plain: visible(plain), reordered: [], shifted: visible(plain) },
    visible(seen),
  )
}

/** The outside sees each effect at least once: the same set of writes, in any number. */
function compareFiles({ plain, reordered, shifted }: References, seen: Effects): Difference | undefined {
  const set = (effects: Effects, path: string) => [...new Set(effects.files[path] ?? [])].sort()
  for (const path of new Set([...Object.keys(plain.files), ...Object.keys(seen.files)])) {
    const wanted = set(plain, path)
    if ([...reordered, shifted].some(other => !equal(wanted, set(other, path)))) continue
    const found = compareValue(
      `writes to "${path}"`,
      { plain: wanted, reordered: [], shifted: wanted },
      set(seen, path),
    )
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * A service that knows an Idempotency-Key carries each request out once. By these, as many were carried out as iterations
 * of the reference sent; those of iterations that fail may come to nothing. With `most: 0` only the least is known.
 */
function compareRequests({ plain, reordered, shifted }: References, seen: Effects): Difference | undefined {
  const all = [plain, ...reordered, shifted]
  for (const what of new Set(all.flatMap(({ requests }) => Object.keys(requests)))) {
    const counts = all.map(({ requests }) => requests[what] ?? { sure: 0, most: 0 })
    const least = Math.min(...counts.map(({ sure }) => sure))
    const most = Math.max(...counts.map(each => each.most))
    const { sure: came = 0, most: cameMost = 0 } = seen.requests[what] ?? {}
    if (came >= least && cameMost <= most) continue
    const expected = least === most ? `${most}` : `${least} to ${most}`
    return { what: `requests "${what}" by their Idempotency-Key`, expected, seen: `${came}` }
  }
  const isOdd = ([what]: [string, unknown]): boolean => all.every(({ requests }) => requests[what] === undefined)
  // what fails halfway may have asked for more, and what has times or chance in it for something else
  const isClosed = all.every(each => equal(Object.keys(each.requests), Object.keys(plain.requests)))
  const [odd] =
    isClosed && Object.keys(plain.deadLetters).length === 0 ? Object.entries(seen.requests).filter(isOdd) : []
  if (odd !== undefined) return { what: `requests "${odd[0]}"`, expected: 'none', seen: `${odd[1].sure}` }
  const isSure = (what: string): boolean => all.every(({ requests }) => requests[what] !== undefined)
  const shared = sharedKey(plain.requests, isSure) === undefined ? sharedKey(seen.requests, isSure) : undefined
  const what = 'requests of one Idempotency-Key'
  return shared && { what, expected: 'one thing that is asked for', seen: `both "${shared.join('" and "')}"` }
}

/** Two things that are asked for under the same key: a service that knows keys would do one of them only. */
function sharedKey(requests: Requests, isMeant: (what: string) => boolean): [string, string] | undefined {
  const owners = new Map<string, string>()
  for (const [what, { keys }] of Object.entries(requests).filter(([each]) => isMeant(each))) {
    for (const key of keys.filter(each => each !== '')) {
      const owner = owners.get(key)
      if (owner !== undefined) return [owner, what]
      owners.set(key, what)
    }
  }
  return undefined
}

/** Whether all of these requests, and writes of files, are asked of the outside in all orders and at all times. */
export async function areAskedFor(named: readonly string[], expected: Expected): Promise<boolean> {
  const [plain, others] = [await expected.plain(), await expected.others()]
  if (plain === undefined || others === undefined) return false
  const askedIn = ({ requests, files }: Effects): Set<string> => {
    const writes = Object.entries(files).flatMap(([path, contents]) => contents.map(text => writeName(path, text)))
    return new Set([...Object.keys(requests), ...writes])
  }
  return [plain, ...others.reordered, others.shifted].map(askedIn).every(asked => named.every(what => asked.has(what)))
}

/** A check that wants to be asked also of runs in which nodes or the outside misbehaved is taken over. */
export function keptTell({ tell, asks }: Expected): Pick<Expected, 'tell' | 'asks'> {
  return tell !== undefined && asks === 'always' ? { tell, asks } : {}
}

/** Where `seen` is not what both references say; what they disagree on may be anything. */
function firstDifference(
  a: Json | undefined,
  b: Json | undefined,
  seen: Json | undefined,
  path = '',
): string | undefined {
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
    if (!Array.isArray(seen) || seen.length !== a.length) return path
    return first(a.map((value, i) => firstDifference(value, b[i], seen[i], `${path}/${i}`)))
  }
  if (isJsonObject(a) && isJsonObject(b)) {
    if (!isJsonObject(seen)) return path
    const keys = new Set([...Object.keys(a), ...Object.keys(b), ...Object.keys(seen)])
    return first([...keys].map(key => firstDifference(a[key], b[key], seen[key], `${path}/${key}`)))
  }
  return equal(a, b) && !equal(a, seen) ? path || '/' : undefined
}

function first(found: readonly (string | undefined)[]): string | undefined {
  return found.find(each => each !== undefined)
}

/** Every place where two values differ. */
function notePaths(a: Json | undefined, b: Json | undefined, path: string, into: Set<string>): void {
  if (equal(a, b)) return
  if (isJsonObject(a) && isJsonObject(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) notePaths(a[key], b[key], `${path}/${key}`, into)
  } else into.add(path)
}

function without(value: Json, path: string, hidden: ReadonlySet<string>): Json {
  if (hidden.has(path)) return null
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, without(child, `${path}/${key}`, hidden)]),
  )
}

function equal(a: Json | undefined, b: Json | undefined): boolean {
  return a === undefined || b === undefined ? a === b : jsonEqual(a, b)
}

function show(value: Json | undefined): string {
  const text = value === undefined ? 'nothing' : canonicalJson(value)
  return text.length <= 600 ? text : `${text.slice(0, 600)}…`
}
