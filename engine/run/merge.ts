/**
 * Joins the outputs of the branches that were taken (1.3): each is compared with the base, the output of their nearest
 * common dominator, so that a key counts as set or deleted only by the branch that did it.
 */
import { type Json, type JsonObject, jsonEqual } from '../json.ts'
import { freeKey, freezeJson, type NodeOutput } from '../node/node.ts'

/** `branches` in edge order, at least one. `id` and `metadata` come from the first. */
export function mergeOutputs(base: NodeOutput, branches: readonly NodeOutput[]): NodeOutput {
  const [first] = branches as [NodeOutput]
  if (branches.length === 1) return first
  const changed = branches.map(branch => branch.data)
  const data: Json = mergeData(base.data, changed)
  freezeJson(data, () => 'the merge of branches')
  return { id: first.id, metadata: first.metadata, data }
}

function mergeData(base: JsonObject, branches: readonly JsonObject[]): JsonObject {
  const merged = new Map<string, Json>()
  const conflicts: [string, Json][] = []
  for (const key of unionOfKeys([base, ...branches])) {
    const [value, ...others] = valuesOf(key, base, branches)
    if (value === undefined) continue
    merged.set(key, value)
    for (const other of others) conflicts.push([key, other])
  }
  // after all plain keys, so that no `key_2` takes the place of a key that a branch really set
  for (const [key, value] of conflicts) merged.set(freeKey(Object.fromEntries(merged), key), value)
  // a key may be `__proto__`: entries define it, an assignment would not
  return Object.fromEntries(merged)
}

/** The different values of a key, in edge order: those set, else the base's if some branch kept it; none if deleted. */
function valuesOf(key: string, base: JsonObject, branches: readonly JsonObject[]): Json[] {
  const before = own(base, key)
  const set: Json[] = []
  let kept = false
  for (const branch of branches) {
    const value = own(branch, key)
    if (value === undefined) continue
    if (before !== undefined && jsonEqual(value, before)) kept = true
    else if (!set.some(other => jsonEqual(other, value))) set.push(value)
  }
  if (set.length > 0) return set
  return kept && before !== undefined ? [before] : []
}

function own(data: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(data, key) ? data[key] : undefined
}

function unionOfKeys(objects: readonly JsonObject[]): Set<string> {
  return new Set(objects.flatMap(object => Object.keys(object)))
}
