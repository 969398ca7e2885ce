/**
 * What a node may answer, by its kind: anything else is refused with words that say what is expected. What is accepted
 * is frozen, so that nobody can change what others were given.
 */
import { EngineError } from '../errors.ts'
import type { FlowNode } from '../graph/flow-graph.ts'
import { foldPort } from '../graph/workflow.ts'
import { isJsonObject } from '../json.ts'
import {
  type Elements,
  type ExecutionCompleted,
  freezeJson,
  type NodeOutput,
  type NodeResult,
  type NotBefore,
  type Routed,
} from '../node/node.ts'

/** What a node puts out and where it goes on. */
export function routed(node: FlowNode, result: NodeOutput | Routed): Routed {
  if (node.class.kind !== 'conditional') return { output: result as NodeOutput, route: 'default' }
  const { output } = result as Routed
  const route = foldPort((result as Routed).route)
  if (node.ports.includes(route)) return { output, route }
  const offered = node.ports.map(port => `"${port}"`).join(', ')
  throw new EngineError('ROUTE_UNKNOWN', `Cannot follow route "${route}" of node "${node.id}": it offers ${offered}`)
}

/**
 * Refuses what is no answer of this kind of node, and freezes what goes on: what others were given stays as it is.
 * What a node hands on of its input, which was checked before, is not looked at again.
 */
export function checkResult(node: FlowNode, result: NodeResult, input: NodeOutput | undefined): void {
  const { kind } = node.class
  const what = () => `the output of node "${node.id}"`
  if (kind === 'producer' && isWithoutItem(result)) return
  const routed = kind === 'conditional' || kind === 'loop' ? (result as Routed | Elements | undefined) : undefined
  const output = (routed === undefined ? result : routed.output) as Partial<NodeOutput> | undefined
  if (typeof output?.id !== 'string' || !isJsonObject(output.data) || !isJsonObject(output.metadata)) {
    throw new EngineError(
      'OUTPUT_NOT_JSON',
      `Cannot use ${what()}: it is not ${shapes[kind]}; return that from execute`,
    )
  }
  if (kind === 'conditional' && typeof (result as Routed).route !== 'string') throw noAnswer(what(), kind)
  if (kind === 'loop' && !Array.isArray((result as Elements).items)) throw noAnswer(what(), kind)
  if (output.data !== input?.data) freezeJson(output.data, what)
  if (output.metadata !== input?.metadata) freezeJson(output.metadata, what)
  if (kind === 'loop') freezeJson((result as Elements).items, what)
}

function noAnswer(what: string, kind: keyof typeof shapes): EngineError {
  return new EngineError('OUTPUT_NOT_JSON', `Cannot use ${what}: it is not ${shapes[kind]}; return that from execute`)
}

const shapes = {
  producer: '{ id, data, metadata }, ExecutionCompleted or NotBefore',
  blocking: '{ id, data, metadata }',
  'non-blocking': '{ id, data, metadata }',
  conditional: '{ output: { id, data, metadata }, route }',
  loop: '{ output: { id, data, metadata }, items }',
} as const

/** A producer's answer that brings no item. Told by what it says, not by its class: packages may hold copies of that. */
export function isWithoutItem(result: unknown): result is ExecutionCompleted | NotBefore {
  const kind = (result as { kind?: unknown } | null | undefined)?.kind
  return kind === 'execution-completed' || kind === 'not-before'
}
