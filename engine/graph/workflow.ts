/**
 * Reads a workflow file of any of the three shapes (spec 1.1) into one: React-Flow (`type`, `data.form`, `source`),
 * the Django system's rawconfig (`node_type`, `form_values`, `connections`) and its canvas_data (`node_type` as an
 * object, a `workflow` beside the nodes). The shape is read off each node and edge, so that pointers name the keys that
 * stand in the file. Only shapes are checked here; what they mean is checked by the graph.
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import { parseJsonText } from '../node/json-text.ts'
import type { Workflow, WorkflowEdge, WorkflowNode } from './flow-graph.ts'
import { type Problems, pointerKey } from './problems.ts'
import { parseSettings, shown } from './workflow-settings.ts'

/** A node with the pointers of its parts, in the shape of its file. */
export type ParsedNode = WorkflowNode & { at: { type: string; form: string; config: string } }
export type ParsedEdge = WorkflowEdge & { at: { source: string; target: string; port: string } }
export type ParsedWorkflow = Omit<Workflow, 'nodes' | 'edges'> & { nodes: ParsedNode[]; edges: ParsedEdge[] }
/** `complete` is false when nodes or edges were left out because of their shape. `given`: the settings of the file itself. */
export type Parsed = { workflow: ParsedWorkflow; given: JsonObject; settingsPointer: string; complete: boolean }

/** Undefined when there is nothing to go on with; otherwise whatever could be read, with the problems beside it. */
export function parseWorkflow(
  source: string | JsonObject,
  fallbackId: string | undefined,
  problems: Problems,
): Parsed | undefined {
  const root = readRoot(source, problems)
  if (root === undefined) return undefined
  const nested = isJsonObject(root.workflow) ? root.workflow : {}
  /** A key of the file, or of canvas_data's `workflow`, with its pointer. */
  const pick = (...keys: string[]): { value: Json | undefined; pointer: string } => {
    const here = keys.find(key => isGiven(root[key]))
    if (here !== undefined) return { value: root[here], pointer: pointerKey(here) }
    const there = keys.find(key => isGiven(nested[key]))
    if (there === undefined) return { value: undefined, pointer: pointerKey(keys[0] as string) }
    return { value: nested[there], pointer: `/workflow${pointerKey(there)}` }
  }
  const isDjango = root.workflow !== undefined || root.workflow_type !== undefined || root.connections !== undefined
  const id = readId(pick('id'), isDjango ? 'allowed' : 'refused', fallbackId, problems)
  const name = pick('name').value
  const settings = pick('settings')
  const nodes = readNodes(root, problems)
  const edges = readEdges(root, problems)
  if (nodes === undefined) return undefined
  const workflow: ParsedWorkflow = {
    id,
    name: typeof name === 'string' && name !== '' ? name : id,
    type: readType(pick('type', 'workflow_type'), problems),
    env: readEnv(pick('env'), problems),
    settings: parseSettings(settings.value, settings.pointer, problems),
    nodes: nodes.items,
    edges: edges.items,
  }
  const given = isJsonObject(settings.value) ? settings.value : {}
  return { workflow, given, settingsPointer: settings.pointer, complete: nodes.complete && edges.complete }
}

function readRoot(source: string | JsonObject, problems: Problems): JsonObject | undefined {
  const parsed = typeof source === 'string' ? parseJsonText(source.replace(/^\ufeff/, '')) : { value: source }
  if (parsed.fault !== undefined) {
    problems.add('', 'NOT_JSON', parsed.fault.message)
    return undefined
  }
  if (!isJsonObject(parsed.value)) {
    problems.add('', 'WRONG_SHAPE', `must be an object with nodes and edges, is ${shown(parsed.value)}`)
    return undefined
  }
  if (!isNestedAtMost(parsed.value, limits.workflowDepthMax)) {
    problems.add('', 'TOO_DEEP', `is nested deeper than ${limits.workflowDepthMax} levels`)
    return undefined
  }
  return parsed.value
}

/** Looks level by level, without recursion, so that depth can't hurt. */
function isNestedAtMost(value: Json, levelsMax: number): boolean {
  let level: Json[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > levelsMax) return false
    level = level.flatMap(item => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
  return true
}

type Picked = { value: Json | undefined; pointer: string }

function readId(
  { value, pointer }: Picked,
  numbers: 'allowed' | 'refused',
  fallback: string | undefined,
  problems: Problems,
): string {
  if (!isGiven(value)) {
    if (fallback === undefined) problems.add('/id', 'MISSING_ID', 'the workflow has no id', 'add "id": "…"')
    return fallback === undefined ? '' : checkName(fallback, '/id', problems)
  }
  return readName(value, pointer, numbers, problems) ?? ''
}

/** An id: a non-empty string; in the shapes that come from a database also a number. */
function readName(
  value: Json | undefined,
  pointer: string,
  numbers: 'allowed' | 'refused',
  problems: Problems,
): string | undefined {
  if (typeof value === 'number' && numbers === 'allowed') return String(value)
  if (typeof value === 'string' && value !== '') return checkName(value, pointer, problems)
  if (typeof value === 'number') {
    problems.add(pointer, 'WRONG_SHAPE', `must be a string, is ${value}`, `write "${value}"`)
    return String(value)
  }
  problems.add(pointer, 'WRONG_SHAPE', `must be a non-empty string, is ${isGiven(value) ? shown(value) : 'missing'}`)
  return undefined
}

function checkName(name: string, pointer: string, problems: Problems): string {
  const fault = nameFault(name)
  if (fault !== undefined) problems.add(pointer, 'INVALID_NAME', `${shown(name)} ${fault}`)
  return name
}

/** Why a text can't serve as an id or queue name (they become parts of Redis keys and of lines); undefined if it can. */
export function nameFault(name: string): string | undefined {
  if (name.length > limits.nameLengthMax) return `is longer than ${limits.nameLengthMax} characters`
  if (/\p{Cc}/u.test(name)) return 'holds a control character'
  return /\p{Surrogate}/u.test(name) ? 'holds half a character (a lone surrogate)' : undefined
}

function readType({ value, pointer }: Picked, problems: Problems): Workflow['type'] {
  if (!isGiven(value) || value === 'production') return 'production'
  if (value === 'api') return 'api'
  problems.add(pointer, 'WRONG_SHAPE', `must be "production" or "api", is ${shown(value)}`)
  return 'production'
}

function readEnv({ value, pointer }: Picked, problems: Problems): JsonObject {
  if (!isGiven(value)) return {}
  if (isJsonObject(value)) return value
  problems.add(pointer, 'WRONG_SHAPE', `must be an object, is ${shown(value)}`)
  return {}
}

type Read<T> = { items: T[]; complete: boolean }

function readNodes(root: JsonObject, problems: Problems): Read<ParsedNode> | undefined {
  if (!Array.isArray(root.nodes)) {
    const is = isGiven(root.nodes) ? shown(root.nodes) : 'missing'
    problems.add('/nodes', 'WRONG_SHAPE', `must be a list of nodes, is ${is}`)
    return undefined
  }
  if (root.nodes.length > limits.graphNodesMax) {
    const { length } = root.nodes
    problems.add('/nodes', 'TOO_MANY_NODES', `has ${length} nodes, more than ${limits.graphNodesMax}`)
    return undefined
  }
  return collect(root.nodes, '/nodes', problems, readNode)
}

function readEdges(root: JsonObject, problems: Problems): Read<ParsedEdge> {
  const key = isGiven(root.edges) || !isGiven(root.connections) ? 'edges' : 'connections'
  const list = root[key]
  if (!isGiven(list)) return { items: [], complete: true }
  if (Array.isArray(list)) return collect(list, `/${key}`, problems, readEdge)
  problems.add(`/${key}`, 'WRONG_SHAPE', `must be a list of edges, is ${shown(list)}`)
  return { items: [], complete: false }
}

/** Reads each element of a list, leaving out what has no usable shape or an id that was there before. */
function collect<T extends { id: string; pointer: string }>(
  list: readonly Json[],
  pointer: string,
  problems: Problems,
  read: (raw: JsonObject, pointer: string, problems: Problems) => T | undefined,
): Read<T> {
  const items = new Map<string, T>()
  for (const [index, raw] of list.entries()) {
    const at = `${pointer}/${index}`
    if (!isJsonObject(raw)) {
      problems.add(at, 'WRONG_SHAPE', `must be an object, is ${shown(raw)}`)
      continue
    }
    const item = read(raw, at, problems)
    const first = item === undefined ? undefined : items.get(item.id)
    if (first !== undefined) {
      problems.add(`${at}/id`, 'DUPLICATE_ID', `the id "${first.id}" is already that of ${first.pointer}`)
    } else if (item !== undefined) items.set(item.id, item)
  }
  return { items: [...items.values()], complete: items.size === list.length }
}

function readNode(raw: JsonObject, pointer: string, problems: Problems): ParsedNode | undefined {
  const isDjango = raw.node_type !== undefined
  const id = readName(raw.id, `${pointer}/id`, isDjango ? 'allowed' : 'refused', problems)
  const type = isDjango ? readDjangoType(raw.node_type, pointer, problems) : readFlowType(raw.type, pointer, problems)
  const data = readObject(raw.data, `${pointer}/data`, problems)
  const at = isDjango
    ? { type: type.pointer, form: `${pointer}/form_values`, config: `${pointer}/config` }
    : { type: type.pointer, form: `${pointer}/data/form`, config: `${pointer}/data/config` }
  const form = readObject(isDjango ? raw.form_values : data.form, at.form, problems)
  const config = readObject(isDjango ? raw.config : data.config, at.config, problems)
  /** A node without a type stays, so that edges to it are not called dangling as well. */
  return id === undefined ? undefined : { id, type: type.name ?? '', form, config, pointer, at }
}

type TypeName = { name: string | undefined; pointer: string }

function readFlowType(value: Json | undefined, pointer: string, problems: Problems): TypeName {
  return { name: readName(value, `${pointer}/type`, 'refused', problems), pointer: `${pointer}/type` }
}

/** rawconfig has the identifier itself, canvas_data an object of the catalogue's. */
function readDjangoType(value: Json | undefined, pointer: string, problems: Problems): TypeName {
  if (!isJsonObject(value)) {
    return { name: readName(value, `${pointer}/node_type`, 'refused', problems), pointer: `${pointer}/node_type` }
  }
  const at = `${pointer}/node_type/identifier`
  return { name: readName(value.identifier, at, 'refused', problems), pointer: at }
}

function readObject(value: Json | undefined, pointer: string, problems: Problems): JsonObject {
  if (!isGiven(value)) return {}
  if (isJsonObject(value)) return value
  problems.add(pointer, 'WRONG_SHAPE', `must be an object, is ${shown(value)}`)
  return {}
}

function readEdge(raw: JsonObject, pointer: string, problems: Problems): ParsedEdge | undefined {
  const isDjango = raw.source_node !== undefined || raw.target_node !== undefined
  const numbers = isDjango ? 'allowed' : 'refused'
  const [from, to] = isDjango ? (['source_node', 'target_node'] as const) : (['source', 'target'] as const)
  const handle = raw.sourceHandle === undefined && raw.source_handle !== undefined ? 'source_handle' : 'sourceHandle'
  const at = { source: `${pointer}/${from}`, target: `${pointer}/${to}`, port: `${pointer}/${handle}` }
  const source = readName(raw[from], at.source, numbers, problems)
  const target = readName(raw[to], at.target, numbers, problems)
  const id = isGiven(raw.id) ? readName(raw.id, `${pointer}/id`, numbers, problems) : pointer
  const port = readPort(raw[handle], at.port, problems)
  if (source === undefined || target === undefined || id === undefined || port === undefined) return undefined
  return { id, source, target, port, pointer, at }
}

function readPort(value: Json | undefined, pointer: string, problems: Problems): string | undefined {
  if (!isGiven(value)) return 'default'
  if (typeof value === 'string') return foldPort(value)
  problems.add(pointer, 'WRONG_SHAPE', `must be a branch key or null, is ${shown(value)}`)
  return undefined
}

/** A branch key as the engine compares it: without case and outer space, empty is `default`. */
export function foldPort(key: string): string {
  return key.trim().toLowerCase() || 'default'
}

function isGiven(value: Json | undefined): value is Exclude<Json, null> {
  return value !== undefined && value !== null
}
