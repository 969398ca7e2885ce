/** Changes of single nodes and edges of a definition, whatever its shape; each is one new version of it. */
import { shapeOf, toShape } from '../engine/graph/shapes.ts'
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { Catalogue, CatalogueEntry } from './catalogue.ts'
import { ApiError } from './http-errors.ts'
import { restored, secretFieldsOf } from './secret-fields.ts'

/** Nodes and edges in React-Flow shape. */
export type Flow = { nodes: JsonObject[]; edges: JsonObject[] }
export type Target = { id: string; expected: number | 'any' }

/** Errors: those of `Catalogue.update`, and of `edit`. */
export function editFlow(
  catalogue: Catalogue,
  { id, expected }: Target,
  edit: (flow: Flow) => Flow,
): Promise<CatalogueEntry> {
  const file = (entry: CatalogueEntry) => toShape({ ...entry.flow, ...edit(flowOf(entry)) }, shapeOf(entry.stored))
  return catalogue.update(id, entry => ({ file: file(entry) }), expected)
}

export function flowOf({ flow }: CatalogueEntry): Flow {
  const list = (value: Json | undefined) => (Array.isArray(value) ? value.filter(isJsonObject) : [])
  return { nodes: list(flow.nodes), edges: list(flow.edges) }
}

/** Throws NODE_UNKNOWN. */
export function requireNode({ nodes }: Flow, id: string): JsonObject {
  const node = nodes.find(each => each.id === id)
  if (node !== undefined) return node
  throw new ApiError(404, 'NODE_UNKNOWN', `Cannot find node "${id}" in the workflow; see its nodes`)
}

/** Throws NODE_UNKNOWN. */
export function editNode(flow: Flow, id: string, turn: (node: JsonObject) => JsonObject): Flow {
  requireNode(flow, id)
  return { ...flow, nodes: flow.nodes.map(node => (node.id === id ? turn(node) : node)) }
}

export function formOf(node: JsonObject): JsonObject {
  const form = isJsonObject(node.data) ? node.data.form : undefined
  return isJsonObject(form) ? form : {}
}

export function withForm(node: JsonObject, form: JsonObject): JsonObject {
  return { ...node, data: { ...(isJsonObject(node.data) ? node.data : {}), form } }
}

/** What a node's form holds, with what is sent on top; a secret that is sent as null stays. */
export function formWith(node: JsonObject, sent: JsonObject, registry: NodeRegistry): JsonObject {
  const before = formOf(node)
  return restored({ ...before, ...sent }, before, secretFieldsOf(registry, node.type))
}
