/**
 * Runs a body once per element, in order, and collects what it puts out (1.3). The body sees `forEachNode`; so does
 * whatever follows, with all results, and the results alone as `loop_results`. Both replace those of an outer for-each.
 *
 * A body that passes its data on puts out `forEachNode` too: it is collected without the results before it, which would
 * otherwise double with every element.
 */
import { EngineError } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import { type Elements, freezeJson, type NodeOutput } from '../node/node.ts'

export async function forEachElement(
  nodeId: string,
  { output, items }: Elements,
  runBody: (element: NodeOutput, index: number) => Promise<NodeOutput[]>,
): Promise<NodeOutput> {
  if (items.length > limits.forEachItemsMax) {
    const most = `at most ${limits.forEachItemsMax} are allowed; split them over items of a queue`
    throw new EngineError('LIMIT_PASSED', `Cannot run node "${nodeId}" for ${items.length} elements: ${most}`)
  }
  const input = [...items]
  const results: Json[] = []
  for (const [index, item] of items.entries()) {
    const state = loopState(input, results, index, item)
    const ends = await runBody(withKeys(output, { forEachNode: state }), index)
    const collected = ends.map(end => withoutResults(end.data, state))
    if (ends.length > 0) results.push(ends.length === 1 ? (collected[0] as Json) : collected)
  }
  const last = Math.max(0, items.length - 1)
  const state = loopState(input, results, last, items[last] ?? null)
  return withKeys(output, { forEachNode: state, loop_results: results })
}

function loopState(input: Json[], results: readonly Json[], index: number, item: Json): JsonObject {
  return { input, results: [...results], state: { index, item } }
}

function withoutResults(data: JsonObject, state: JsonObject): JsonObject {
  return data.forEachNode === state ? { ...data, forEachNode: { ...state, results: [] } } : data
}

function withKeys(output: NodeOutput, keys: JsonObject): NodeOutput {
  const data: Json = { ...output.data, ...keys }
  freezeJson(data, () => 'the element of a for-each')
  return { ...output, data }
}
