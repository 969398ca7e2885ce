/** A workflow, its nodes and its edges in the words of the existing clients (spec 4.3); secrets are left out. */
import { formatProblem } from '../engine/graph/problems.ts'
import { toShape } from '../engine/graph/shapes.ts'
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import type { FieldDescription } from '../engine/node/form.ts'
import type { NodeDescription, NodeRegistry } from '../engine/node/node-registry.ts'
import type { Ports } from '../engine/ports.ts'
import { type DaemonProcess, describeWorkflow, listDaemons, type WorkflowProcess } from '../engine/store/processes.ts'
import { readSummary } from '../engine/store/run-store.ts'
import type { ApiContext } from './api-context.ts'
import type { CatalogueEntry } from './catalogue.ts'
import { withoutSecretFields } from './secret-fields.ts'

export type WorkflowView = {
  id: string
  name: string
  description: string
  category: string
  workflow_type: 'production' | 'api'
  status: 'active' | 'inactive'
  env: JsonObject
  tags: Json[]
  runs_count: number
  /** ISO 8601, as the two below. */
  last_run: string | null
  runtime_state: WorkflowProcess['status']
  created_at: string | null
  updated_at: string | null
  version: number
  read_only: boolean
  /** Why it cannot run as it stands; lines for people. */
  problems: string[]
}

/** What is the server's to say, and is dropped where a client sends it along. */
export const computedKeys: ReadonlySet<string> = new Set([
  ...['status', 'runs_count', 'last_run', 'runtime_state', 'created_at', 'updated_at', 'version', 'read_only'],
  ...['problems', 'task_id'],
])

export async function viewWorkflows(context: ApiContext, entries: readonly CatalogueEntry[]): Promise<WorkflowView[]> {
  const daemons = await listDaemons(context.ports.redis)
  return await Promise.all(entries.map(entry => viewWith(context, entry, daemons)))
}

export async function viewWorkflow(context: ApiContext, entry: CatalogueEntry): Promise<WorkflowView> {
  const [view] = await viewWorkflows(context, [entry])
  return view as WorkflowView
}

async function viewWith(
  { ports, registry }: ApiContext,
  entry: CatalogueEntry,
  daemons: readonly DaemonProcess[],
): Promise<WorkflowView> {
  const flow = withoutSecretFields(entry.flow, registry)
  const process = await describeWorkflow(ports.redis, entry.id, daemons)
  const isApi = flow.type === 'api'
  return {
    id: entry.id,
    name: textOf(flow.name) || entry.id,
    description: textOf(flow.description),
    category: textOf(flow.category),
    workflow_type: isApi ? 'api' : 'production',
    status: entry.active ? 'active' : 'inactive',
    env: isJsonObject(flow.env) ? flow.env : {},
    tags: Array.isArray(flow.tags) ? flow.tags : [],
    runs_count: isApi ? await countRequests(ports, entry) : Number(/\d+$/.exec(process.run)?.[0] ?? 0),
    last_run: isoTime(process.started_at),
    runtime_state: process.status,
    created_at: isoTime(entry.createdAt),
    updated_at: isoTime(entry.updatedAt),
    version: entry.version,
    read_only: entry.readOnly,
    problems: problemsOf(entry),
  }
}

async function countRequests({ redis }: Ports, { graph }: CatalogueEntry): Promise<number> {
  if (graph === undefined) return 0
  const { loops } = await readSummary(redis, graph)
  return Object.values(loops).reduce((sum, { iterations }) => sum + iterations, 0)
}

export function problemsOf({ problems }: CatalogueEntry): string[] {
  return problems.map(problem => (typeof problem === 'string' ? problem : formatProblem(problem)))
}

/** The definition in rawconfig shape, with the catalogue's data on top. */
export function rawconfigOf(entry: CatalogueEntry, view: WorkflowView, registry: NodeRegistry): JsonObject {
  return { ...toShape(withoutSecretFields(entry.flow, registry), 'rawconfig'), ...view }
}

/** The definition in canvas_data shape, each node with its line of the catalogue. */
export function canvasOf(entry: CatalogueEntry, view: WorkflowView, registry: NodeRegistry): JsonObject {
  const { nodes, edges, workflow } = toShape(withoutSecretFields(entry.flow, registry), 'canvas-data')
  return { nodes: canvasNodes(nodes, registry), edges: edges ?? [], workflow: { ...(workflow as JsonObject), ...view } }
}

export function canvasNodesOf(entry: CatalogueEntry, registry: NodeRegistry): JsonObject[] {
  return canvasNodes(toShape(withoutSecretFields(entry.flow, registry), 'canvas-data').nodes, registry)
}

function canvasNodes(nodes: Json | undefined, registry: NodeRegistry): JsonObject[] {
  return (Array.isArray(nodes) ? nodes : []).filter(isJsonObject).map(node => {
    const own = isJsonObject(node.node_type) ? node.node_type : {}
    const known = typeof own.identifier === 'string' ? registry.describe(own.identifier) : undefined
    const { x = 0, y = 0, form_values = {}, config = {} } = node
    const type = { ...own, ...(known === undefined ? {} : nodeTypeOf(known)) }
    return { ...node, node_type: type, position: { x, y }, x, y, form_values, config }
  })
}

const kindNames: Record<NodeDescription['kind'], string> = {
  producer: 'ProducerNode',
  blocking: 'BlockingNode',
  'non-blocking': 'NonBlockingNode',
  conditional: 'ConditionalNode',
  loop: 'LoopNode',
}

/** A line of the catalogue as the existing clients draw it. */
export function nodeTypeOf(node: NodeDescription) {
  const port = (id: string) => ({ id, label: id })
  return {
    identifier: node.type,
    name: node.label,
    type: kindNames[node.kind],
    description: node.description,
    has_form: node.form.length > 0,
    category: node.category,
    icon: null,
    input_ports: node.kind === 'producer' ? [] : [port('default')],
    output_ports: node.ports.map(port),
  }
}

/** The same with everything that `theoneeye nodes --json` tells. */
export function fullNodeType({ type: _, form, ...node }: NodeDescription) {
  return { ...nodeTypeOf({ type: _, form, ...node }), ...node, form: form as FieldDescription[] }
}

export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
