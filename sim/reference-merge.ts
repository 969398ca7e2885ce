/** How the reference joins branches: apart from the engine, so that a mistake of the one is seen by the other. */
import { type Json, type JsonObject, jsonEqual } from '../engine/json.ts'
import type { NodeOutput } from '../engine/node/node.ts'

/** The merge of spec 1.3, key by key. */
export function merge(base: NodeOutput, branches: readonly NodeOutput[]): NodeOutput {
  const data: JsonObject = {}
  const extra: [string, Json][] = []
  const keys = new Set([base, ...branches].flatMap(output => Object.keys(output.data)))
  for (const key of keys) {
    const before = base.data[key]
    const present = branches.map(branch => branch.data[key]).filter(value => value !== undefined)
    const set = present.filter(value => before === undefined || !jsonEqual(value, before))
    const different = set.filter((value, i) => set.findIndex(other => jsonEqual(other, value)) === i)
    const [first, ...others] = different
    if (first !== undefined) data[key] = first
    else if (present.length > 0) data[key] = before as Json
    for (const other of others) extra.push([key, other])
  }
  for (const [key, value] of extra) {
    let n = 2
    while (Object.hasOwn(data, `${key}_${n}`)) n++
    data[`${key}_${n}`] = value
  }
  return { id: (branches[0] as NodeOutput).id, metadata: (branches[0] as NodeOutput).metadata, data }
}
