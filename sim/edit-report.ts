/** What an edited workflow changes: in the definition itself, and in where recorded items end. */
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import { type Decisions, fitsRecorded } from '../engine/trace/compare.ts'
import type { IterationLine } from '../engine/trace/trace.ts'
import { edgeText } from './edge-text.ts'
import { itemIdOf } from './item-path.ts'

/** `name` is a node, an edge (`a > b : port`), or a key beside them; `field` of a node that changed: `form.url`. */
export type Change = {
  what: 'node added' | 'node removed' | 'node changed' | 'edge added' | 'edge removed' | 'setting changed'
  name: string
  field?: string
}

/** Items of a loop that ended in one place and now would in another; `ids` are of the first of them. */
export type Move = { loop: string; from: string; to: string; items: number; ids: string[] }

const idsMax = 10

/** Both as `toSource` gives them. Where nodes stand and what they are called is no change; nor is what was left out. */
export function changesBetween(recorded: JsonObject, now: JsonObject): Change[] {
  const [before, after] = [nodesOf(recorded), nodesOf(now)]
  const removed = [...before.keys()].filter(id => !after.has(id))
  const added = [...after.keys()].filter(id => !before.has(id))
  const changed = [...before].flatMap(([id, node]) =>
    fieldsThatDiffer(node, after.get(id)).map(field => ({ id, field })),
  )
  const [edgesBefore, edgesAfter] = [edgesOf(recorded), edgesOf(now)]
  return [
    ...removed.map((name): Change => ({ what: 'node removed', name })),
    ...added.map((name): Change => ({ what: 'node added', name })),
    ...changed.map(({ id, field }): Change => ({ what: 'node changed', name: id, field })),
    ...edgesBefore.filter(edge => !edgesAfter.includes(edge)).map((name): Change => ({ what: 'edge removed', name })),
    ...edgesAfter.filter(edge => !edgesBefore.includes(edge)).map((name): Change => ({ what: 'edge added', name })),
    ...['type', 'env', 'settings'].flatMap(key => settingsThatDiffer(key, recorded[key], now[key])),
  ]
}

/** Where an iteration leaves its item, in words. */
export function endOf({ outcome, writes }: Pick<Decisions, 'outcome' | 'writes'>): string {
  if (outcome.as === 'failed') return `the dead letters (${outcome.error.code})`
  if (outcome.as === 'none') return 'no item'
  const queues = [...new Set(writes.pushes.map(({ queue }) => `"${queue}"`))].sort()
  return queues.length === 0 ? 'no queue' : queues.join(', ')
}

/** Counts them by where from and where to. */
export class Moves {
  readonly #all = new Map<string, Move>()

  note(line: IterationLine, to: string): void {
    const from = endOf(line)
    if (from === to) return
    this.add({ loop: line.loop, from, to, items: 1, ids: [itemIdOf(line)] })
  }

  add({ loop, from, to, items, ids }: Move): void {
    const key = JSON.stringify([loop, from, to])
    const known = this.#all.get(key) ?? { loop, from, to, items: 0, ids: [] }
    this.#all.set(key, { ...known, items: known.items + items, ids: [...known.ids, ...ids].slice(0, idsMax) })
  }

  /** The most first. */
  told(): Move[] {
    return [...this.#all.values()].sort((a, b) => b.items - a.items)
  }
}

function nodesOf({ nodes }: JsonObject): Map<string, JsonObject> {
  return new Map((nodes as JsonObject[]).map(node => [String(node.id), node]))
}

function edgesOf({ edges }: JsonObject): string[] {
  return (edges as JsonObject[]).map(edgeText)
}

function fieldsThatDiffer(before: JsonObject, after: JsonObject | undefined): string[] {
  if (after === undefined) return []
  const parts = (node: JsonObject): JsonObject => {
    const { form = {}, config = {} } = isJsonObject(node.data) ? node.data : {}
    return { type: node.type as Json, ...prefixed('form', form), ...prefixed('config', config) }
  }
  return keysThatDiffer(parts(before), parts(after))
}

function settingsThatDiffer(key: string, before: Json | undefined, after: Json | undefined): Change[] {
  const [a, b] = [prefixed(key, before), prefixed(key, after)]
  return keysThatDiffer(a, b).map(name => ({ what: 'setting changed', name }))
}

/** `{ url }` below `form` is `{ 'form.url' }`. */
function prefixed(key: string, value: Json | undefined): JsonObject {
  if (!isJsonObject(value)) return { [key]: value ?? null }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [`${key}.${name}`, each]))
}

function keysThatDiffer(a: JsonObject, b: JsonObject): string[] {
  return Object.keys({ ...a, ...b }).filter(key => !fitsRecorded(a[key], b[key]))
}
