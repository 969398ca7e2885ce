/** A for-each in development mode: one element per call ("iterate and stop"), so that its body can be tried node by node. */
import type { DevNode } from '../graph/dev-node.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import type { NodeOutput } from '../node/node.ts'
import type { DevSession } from './dev-session.ts'

type Step = {
  node: DevNode
  session: DevSession
  each: 'element' | 'all'
  /** What the last nodes of the body put out since the element before. */
  outputs: readonly JsonObject[]
}

/** What a call shows: a producer's reason to have nothing, the whole output, or that of the next element. */
export function nextElement(
  output: NodeOutput | string,
  { node, session, each, outputs }: Step,
): { output: JsonObject | null; message?: string } {
  if (typeof output === 'string') return { output: null, message: output }
  const { id, class: nodeClass } = node.flow
  const state = output.data.forEachNode
  if (nodeClass.kind !== 'loop' || each === 'all' || !isJsonObject(state)) return { output: output.data }
  const { loop_results: _, ...data } = output.data
  const input = state.input as Json[]
  const walk = session.elements.get(id) ?? { index: 0, results: [] }
  const [first] = outputs
  if (walk.index > 0 && first !== undefined) walk.results.push(outputs.length === 1 ? first : [...outputs])
  const { index, results } = walk
  if (index >= input.length) {
    session.elements.delete(id)
    const last = Math.max(0, input.length - 1)
    const ended = { input, results, state: { index: last, item: input[last] ?? null } }
    const message = `all ${input.length} elements are done; the next call begins anew`
    return { output: { ...data, forEachNode: ended, loop_results: results }, message }
  }
  session.elements.set(id, { index: index + 1, results })
  const item = input[index] as Json
  const message = `element ${index + 1} of ${input.length}`
  return { output: { ...data, forEachNode: { input, results: [...results], state: { index, item } } }, message }
}
