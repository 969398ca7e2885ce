/**
 * Turns a workflow file of one accepted shape (spec 1.1) into another: what an editor of one shape saved, an editor of
 * another can open. Nothing is lost on the way: keys that a shape has no place for are kept where the others ignore them.
 * What cannot be understood is passed on as it is; saying what is wrong with it is the loader's.
 *
 * A node type that came as an object (canvas_data's copy of the catalogue) is kept as `data.node_type` in other shapes.
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'

export type Shape = 'react-flow' | 'rawconfig' | 'canvas-data'

/** The shape that a file as a whole has; its nodes may differ from it. */
export function shapeOf(file: JsonObject): Shape {
  if (isJsonObject(file.workflow)) return 'canvas-data'
  const nodes = Array.isArray(file.nodes) ? file.nodes : []
  const isDjango = file.workflow_type !== undefined || file.connections !== undefined
  return isDjango || nodes.some(node => isJsonObject(node) && node.node_type !== undefined) ? 'rawconfig' : 'react-flow'
}

/** The same workflow in another shape; the given file is not changed. Edges without an id get one that names their ends. */
export function toShape(file: JsonObject, shape: Shape): JsonObject {
  const flow = toReactFlow(file)
  if (shape === 'react-flow') return flow
  const { nodes, edges, type, ...rest } = flow
  const workflow = { ...rest, ...(type === undefined ? {} : { workflow_type: type }) }
  const list = (value: Json | undefined, turn: (item: JsonObject) => JsonObject): Json =>
    Array.isArray(value) ? value.map(item => (isJsonObject(item) ? turn(item) : item)) : (value ?? [])
  if (shape === 'canvas-data') return { nodes: list(nodes, toCanvasNode), edges: list(edges, toDjangoEdge), workflow }
  return { ...workflow, nodes: list(nodes, toRawNode), connections: list(edges, toDjangoEdge) }
}

function toReactFlow(file: JsonObject): JsonObject {
  const { workflow, ...own } = file
  const nested = isJsonObject(workflow) ? workflow : {}
  const said = Object.entries(own).filter(([key, value]) => isGiven(value) || !isGiven(nested[key]))
  const merged: JsonObject = { ...nested, ...Object.fromEntries(said) }
  if (workflow !== undefined && !isJsonObject(workflow)) merged.workflow = workflow
  const { nodes, edges, connections, type, workflow_type, ...rest } = merged
  const kind = isGiven(type) ? type : workflow_type
  return {
    ...rest,
    ...placed({ id: idOf(merged.id), type: kind }),
    nodes: Array.isArray(nodes) ? nodes.map(node => (isJsonObject(node) ? toFlowNode(node) : node)) : (nodes ?? []),
    edges: toFlowEdges(isGiven(edges) ? edges : (connections ?? [])),
  }
}

// --- nodes

function toFlowNode(node: JsonObject): JsonObject {
  if (node.node_type === undefined) return node
  const { id, node_type, form_values, config, x, y, position, data, ...rest } = node
  const place = isJsonObject(position) ? position : {}
  // an editor of canvas_data moves `position`, one of rawconfig has but x and y
  const at = isJsonObject(node_type) ? { ...placed({ x, y }), ...place } : { ...place, ...placed({ x, y }) }
  const { identifier, ...described } = isJsonObject(node_type) ? node_type : { identifier: node_type }
  return {
    ...rest,
    ...placed({ id: idOf(id), type: identifier }),
    ...(Object.keys(at).length === 0 ? {} : { position: at }),
    data: {
      ...(isJsonObject(data) ? data : {}),
      ...(Object.keys(described).length === 0 ? {} : { node_type: described }),
      ...placed({ form: form_values, config }),
    },
  }
}

function toRawNode(node: JsonObject): JsonObject {
  const { id, type, position, data, ...rest } = node
  const { form, config, ...others } = isJsonObject(data) ? data : {}
  const { x, y, ...place } = isJsonObject(position) ? position : {}
  return {
    ...rest,
    ...placed({ id, node_type: type, form_values: form, config, x, y }),
    ...(Object.keys(place).length === 0 ? {} : { position: place }),
    ...(Object.keys(others).length === 0 ? {} : { data: others }),
  }
}

function toCanvasNode(node: JsonObject): JsonObject {
  const { data, node_type, ...known } = toRawNode(node)
  const { node_type: described, ...others } = isJsonObject(data) ? data : {}
  return {
    ...known,
    ...placed({ position: node.position }),
    ...(Object.keys(others).length === 0 ? {} : { data: others }),
    node_type: { ...placed({ identifier: node_type }), ...(isJsonObject(described) ? described : {}) },
  }
}

// --- edges

function toFlowEdges(edges: Json): Json {
  return Array.isArray(edges) ? edges.map(edge => (isJsonObject(edge) ? toFlowEdge(edge) : edge)) : edges
}

function toFlowEdge(edge: JsonObject): JsonObject {
  const isDjango = edge.source_node !== undefined || edge.target_node !== undefined
  const { id, source_node, target_node, source_handle, target_handle, ...rest } = edge
  const ends = isDjango ? placed({ source: idOf(source_node), target: idOf(target_node) }) : {}
  const named = { ...rest, ...ends }
  const sourceHandle = rest.sourceHandle === undefined ? source_handle : rest.sourceHandle
  const targetHandle = rest.targetHandle === undefined ? target_handle : rest.targetHandle
  const own = isGiven(id) ? idOf(id) : nameOfEdge(named, sourceHandle)
  return { ...named, ...placed({ id: own, sourceHandle, targetHandle }) }
}

function toDjangoEdge(edge: JsonObject): JsonObject {
  const { source, target, sourceHandle, targetHandle, ...rest } = edge
  const ends = { source_node: source, target_node: target }
  return { ...rest, ...placed({ ...ends, source_handle: sourceHandle, target_handle: targetHandle }) }
}

function nameOfEdge({ source, target }: JsonObject, handle: Json | undefined): string {
  return isGiven(handle) ? `${source}:${handle}>${target}` : `${source}>${target}`
}

// --- values

/** The Django shapes come from a database and have numbers for ids. */
function idOf(id: Json | undefined): Json | undefined {
  return typeof id === 'number' ? String(id) : id
}

/** Without the keys that are not there. */
function placed(keys: { [key: string]: Json | undefined }): JsonObject {
  return Object.fromEntries(Object.entries(keys).filter((entry): entry is [string, Json] => entry[1] !== undefined))
}

function isGiven(value: Json | undefined): value is Exclude<Json, null> {
  return value !== undefined && value !== null
}
