/** `/api/workflow/{id}/nodes` and `/connections`: the single steps of an editor. Each is one new version of the definition. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Problem } from '../engine/graph/flow-graph.ts'
import { loadWorkflow } from '../engine/graph/load-workflow.ts'
import { formatProblem } from '../engine/graph/problems.ts'
import { toShape } from '../engine/graph/shapes.ts'
import { isJsonObject, type JsonObject } from '../engine/json.ts'
import { FormState } from '../engine/node/form-state.ts'
import type { NodeClass } from '../engine/node/node.ts'
import { type ApiContext, ifMatch, jsonObject, nodeId, param } from './api-context.ts'
import type { CatalogueEntry } from './catalogue.ts'
import {
  editFlow,
  editNode,
  type Flow,
  flowOf,
  formOf,
  formWith,
  requireNode,
  type Target,
  withForm,
} from './edit-workflow.ts'
import { ApiError, parsed } from './http-errors.ts'
import { requireNodeType } from './node-types.ts'
import { canvasNodesOf } from './workflow-view.ts'

const coordinate = z.number('must be a number')
const place = z.object({ x: coordinate, y: coordinate })
export const newNode = z.object({
  id: nodeId.optional(),
  node_type: z.union(
    [z.string(), z.object({ identifier: z.string() }).transform(type => type.identifier)],
    'must be a node type',
  ),
  form_values: jsonObject.default({}),
  config: jsonObject.default({}),
  position: place.optional(),
  x: coordinate.default(0),
  y: coordinate.default(0),
})
export const moved = z.union(
  [z.object({ position: place }).transform(body => body.position), place],
  'must have x and y',
)
export const newForm = z.object({ form_values: jsonObject })
export const newConnection = z.object({
  source_node: nodeId,
  target_node: nodeId,
  source_handle: z.string('must be a text').nullish(),
  id: nodeId.optional(),
})

export function addEditingRoutes(app: FastifyInstance, context: ApiContext): void {
  addNodeRoutes(app, context)
  addFormRoutes(app, context)
  addConnectionRoutes(app, context)
}

function addNodeRoutes(app: FastifyInstance, context: ApiContext): void {
  const { catalogue, registry } = context
  app.get('/api/workflow/:id/nodes', async request =>
    canvasNodesOf(await catalogue.get(param(request, 'id')), registry),
  )
  app.post('/api/workflow/:id/nodes/add', async (request, reply) => {
    const { node_type, form_values, config, position, x, y, id } = parsed(newNode, request.body)
    const { identifier } = requireNodeType(registry, node_type)
    let added = ''
    const entry = await editFlow(catalogue, targetOf(request), flow => {
      added = id ?? freeId(flow.nodes)
      if (flow.nodes.some(node => node.id === added)) {
        throw new ApiError(409, 'DUPLICATE_ID', `Cannot add node "${added}": there is one already`)
      }
      const data = { form: form_values, config }
      const node = { id: added, type: identifier, position: position ?? { x, y }, data }
      return { ...flow, nodes: [...flow.nodes, node] }
    })
    return reply.code(201).send(canvasNode(entry, added, context))
  })
  app.route({
    method: ['POST', 'PUT', 'PATCH'],
    url: '/api/workflow/:id/nodes/:node/position',
    handler: async request => {
      const to = parsed(moved, request.body)
      const id = param(request, 'node')
      const move = (node: JsonObject) => ({
        ...node,
        position: { ...(isJsonObject(node.position) ? node.position : {}), x: to.x, y: to.y },
      })
      return canvasNode(await editFlow(catalogue, targetOf(request), flow => editNode(flow, id, move)), id, context)
    },
  })
  app.route({
    method: ['POST', 'DELETE'],
    url: '/api/workflow/:id/nodes/:node/remove',
    handler: async (request, reply) => {
      const id = param(request, 'node')
      await editFlow(catalogue, targetOf(request), flow => {
        requireNode(flow, id)
        const edges = flow.edges.filter(({ source, target }) => source !== id && target !== id)
        return { nodes: flow.nodes.filter(node => node.id !== id), edges }
      })
      return reply.code(204).send()
    },
  })
}

function addFormRoutes(app: FastifyInstance, context: ApiContext): void {
  const { catalogue, registry } = context
  const url = '/api/workflow/:id/nodes/:node/form'
  app.get(url, async request => {
    const entry = await catalogue.get(param(request, 'id'))
    const node = requireNode(flowOf(entry), param(request, 'node'))
    const nodeClass = requireNodeType(registry, String(node.type))
    return await formAnswer(nodeClass, entry, node.id as string, context)
  })
  app.route({
    method: ['POST', 'PUT', 'PATCH'],
    url,
    handler: async request => {
      const { form_values } = parsed(newForm, request.body)
      const id = param(request, 'node')
      const before = requireNode(flowOf(await catalogue.get(param(request, 'id'))), id)
      const nodeClass = requireNodeType(registry, String(before.type))
      await requireValid(nodeClass, formWith(before, form_values, registry))
      const set = (node: JsonObject) => withForm(node, formWith(node, form_values, registry))
      const entry = await editFlow(catalogue, targetOf(request), flow => editNode(flow, id, set))
      return await formAnswer(nodeClass, entry, id, context)
    },
  })
}

function addConnectionRoutes(app: FastifyInstance, context: ApiContext): void {
  const { catalogue } = context
  app.get('/api/workflow/:id/connections', async request => connectionsOf(await catalogue.get(param(request, 'id'))))
  app.post('/api/workflow/:id/connections/add', async (request, reply) => {
    const { source_node: source, target_node: target, source_handle, id } = parsed(newConnection, request.body)
    let added = ''
    const entry = await editFlow(catalogue, targetOf(request), flow => {
      for (const end of [source, target]) requireNode(flow, end)
      added = id ?? freeId(flow.edges)
      const edge = { id: added, source, target, sourceHandle: source_handle ?? null }
      const edges = [...flow.edges, edge]
      requireSoundEdge({ ...flow, edges }, context)
      return { ...flow, edges }
    })
    return reply.code(201).send(connectionsOf(entry).find(edge => edge.id === added))
  })
  app.route({
    method: ['POST', 'DELETE'],
    url: '/api/workflow/:id/connections/:connection/remove',
    handler: async (request, reply) => {
      const id = param(request, 'connection')
      await editFlow(catalogue, targetOf(request), flow => {
        const edges = flow.edges.filter(edge => edge.id !== id)
        if (edges.length < flow.edges.length) return { ...flow, edges }
        throw new ApiError(404, 'CONNECTION_UNKNOWN', `Cannot find connection "${id}"; it may have been removed`)
      })
      return reply.code(204).send()
    },
  })
}

/** Where a request wants its change. */
function targetOf(request: FastifyRequest): Target {
  return { id: param(request, 'id'), expected: ifMatch(request) }
}

function canvasNode(entry: CatalogueEntry, id: string, { registry }: ApiContext): JsonObject | undefined {
  return canvasNodesOf(entry, registry).find(node => node.id === id)
}

function connectionsOf({ flow }: CatalogueEntry): JsonObject[] {
  return toShape(flow, 'canvas-data').edges as JsonObject[]
}

/** One more than the highest number that is an id. */
function freeId(items: readonly JsonObject[]): string {
  const numbers = items.map(({ id }) => (/^\d{1,9}$/.test(String(id)) ? Number(id) : 0))
  return String(Math.max(0, ...numbers) + 1)
}

/** Refuses an edge that is wrong in itself; what else is unfinished does not matter here. */
function requireSoundEdge(flow: Flow, { registry }: ApiContext): void {
  const { problems } = loadWorkflow({ id: 'draft', ...flow }, { registry })
  const pointer = `/edges/${flow.edges.length - 1}`
  const own = problems.filter((each: Problem) => each.pointer === pointer || each.pointer.startsWith(`${pointer}/`))
  if (own.length === 0) return
  const details = own.map(problem => ({ ...problem }))
  throw new ApiError(400, 'CONNECTION_INVALID', `Cannot connect: ${own.map(formatProblem).join('; ')}`, { details })
}

async function requireValid({ form }: NodeClass, values: JsonObject): Promise<void> {
  const state = await new FormState(form, values).settled()
  const problems = await state.problems()
  if (problems.length === 0) return
  const told = problems.map(({ field, message }) => `"${field}" ${message}`).join('; ')
  throw new ApiError(400, 'FORM_INVALID', `Cannot keep the form: ${told}`, { form: state.toJSON() })
}

async function formAnswer({ form }: NodeClass, entry: CatalogueEntry, id: string, context: ApiContext) {
  const node = requireNode(flowOf(entry), id)
  const state = await new FormState(form, formOf(node)).settled()
  return { node: canvasNode(entry, id, context), form: state.toJSON() }
}
