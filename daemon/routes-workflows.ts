/**
 * `/api/workflow`: definitions, read in every shape and written in any (spec 4.3). A new one takes webhooks at once, and
 * runs when somebody starts it: an editor saves long before a workflow is finished.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { z } from 'zod'
import { formatProblem, Problems } from '../engine/graph/problems.ts'
import { type Shape, shapeOf, toShape } from '../engine/graph/shapes.ts'
import { nameFault, parseWorkflow } from '../engine/graph/workflow.ts'
import type { JsonObject } from '../engine/json.ts'
import { setWish } from '../engine/store/wishes.ts'
import { type ApiContext, ifMatch, jsonObject, param } from './api-context.ts'
import type { CatalogueEntry } from './catalogue.ts'
import { ApiError, parsed } from './http-errors.ts'
import { withSecretFieldsOf } from './secret-fields.ts'
import { canvasOf, computedKeys, rawconfigOf, viewWorkflow, viewWorkflows } from './workflow-view.ts'

const pageSizeMax = 100
export const page = z.object({
  page: z.coerce.number('must be a number').int('must be whole').min(1, 'must be 1 or more').optional(),
  page_size: z.coerce.number('must be a number').int('must be whole').min(1).max(pageSizeMax).default(20),
})
const status = z.enum(['active', 'inactive'], 'must be "active" or "inactive"').optional()
export const copy = z.object({ name: z.string().min(1).max(200).optional() })

export function addWorkflowRoutes(app: FastifyInstance, context: ApiContext): void {
  const { catalogue, registry } = context
  const answer = async (reply: FastifyReply, code: number, entry: CatalogueEntry) =>
    reply
      .code(code)
      .header('etag', `"${entry.version}"`)
      .send(rawconfigOf(entry, await viewWorkflow(context, entry), registry))

  app.get('/api/workflow', async request => {
    const { page: wanted, page_size } = parsed(page, request.query)
    const entries = await catalogue.list()
    if (wanted === undefined) return await viewWorkflows(context, entries)
    const from = (wanted - 1) * page_size
    const path = (n: number) => `/api/workflow?page=${n}&page_size=${page_size}`
    return {
      count: entries.length,
      next: from + page_size < entries.length ? path(wanted + 1) : null,
      previous: wanted > 1 ? path(wanted - 1) : null,
      results: await viewWorkflows(context, entries.slice(from, from + page_size)),
    }
  })
  app.post('/api/workflow', async (request, reply) => {
    const body = parsed(jsonObject, request.body)
    requireShape(body)
    const flow = toShape(body, 'react-flow')
    const id = newId(flow, context)
    return await answer(reply, 201, await create(context, id, { body, flow, shape: shapeOf(body) }))
  })
  app.get('/api/workflow/:id', async (request, reply) => answer(reply, 200, await catalogue.get(param(request, 'id'))))
  for (const method of ['PUT', 'PATCH'] as const) {
    app.route({
      method,
      url: '/api/workflow/:id',
      handler: async (request, reply) => {
        const body = parsed(jsonObject, request.body)
        requireShape(body)
        const active = activeOf(body)
        const edit = (entry: CatalogueEntry) => ({
          file: changedFile(entry, body, { registry, method }),
          ...(active === undefined ? {} : { active }),
        })
        return await answer(reply, 200, await catalogue.update(param(request, 'id'), edit, ifMatch(request)))
      },
    })
  }
  app.delete('/api/workflow/:id', async (request, reply) => {
    await catalogue.remove(param(request, 'id'), ifMatch(request))
    return reply.code(204).send()
  })
  addCopies(app, context, answer)
}

type Answer = (reply: FastifyReply, code: number, entry: CatalogueEntry) => Promise<unknown>

function addCopies(app: FastifyInstance, context: ApiContext, answer: Answer): void {
  const { catalogue, registry } = context
  app.get('/api/workflow/:id/rawconfig', async (request, reply) =>
    answer(reply, 200, await catalogue.get(param(request, 'id'))),
  )
  app.get('/api/workflow/:id/canvas_data', async (request, reply) => {
    const entry = await catalogue.get(param(request, 'id'))
    return reply
      .header('etag', `"${entry.version}"`)
      .send(canvasOf(entry, await viewWorkflow(context, entry), registry))
  })
  app.post('/api/workflow/:id/duplicate', async (request, reply) => {
    const { name } = parsed(copy.default({}), request.body)
    const { flow, stored, id } = await catalogue.get(param(request, 'id'))
    const made: JsonObject = { ...flow, name: name ?? `${flow.name ?? id} (copy)` }
    const copyId = context.ports.random.nonce('workflow')
    return await answer(reply, 201, await create(context, copyId, { body: {}, flow: made, shape: shapeOf(stored) }))
  })
  for (const active of [true, false]) {
    app.post(`/api/workflow/:id/${active ? 'activate' : 'deactivate'}`, async (request, reply) =>
      answer(reply, 200, await catalogue.update(param(request, 'id'), () => ({ active }), ifMatch(request))),
    )
  }
}

type Draft = { body: JsonObject; flow: JsonObject; shape: Shape }

async function create(
  { catalogue, ports }: ApiContext,
  id: string,
  { body, flow, shape }: Draft,
): Promise<CatalogueEntry> {
  const file = toShape({ ...withoutComputed(flow), id, name: flow.name ?? id }, shape)
  await catalogue.requireFree(id)
  // nobody shall run what is only being drawn: it waits for its first start
  await setWish(ports.redis, { workflow: id, loop: '' }, 'stop')
  return await catalogue.create(id, file, activeOf(body) ?? true)
}

function newId({ id }: JsonObject, { ports }: ApiContext): string {
  if (id === undefined || id === null) return ports.random.nonce('workflow')
  const fault = typeof id === 'string' && id !== '' ? nameFault(id) : 'must be a non-empty text'
  if (fault === undefined) return id as string
  throw new ApiError(400, 'VALIDATION_ERROR', `Cannot create the workflow: its id ${fault}`, {
    details: { id: [fault] },
  })
}

/** PUT replaces the definition, PATCH the keys that it has; `nodes` and `edges` that are left out stay in both. */
function changedFile(
  { flow, stored, id }: CatalogueEntry,
  body: JsonObject,
  { registry, method }: { registry: ApiContext['registry']; method: 'PUT' | 'PATCH' },
): JsonObject {
  const { nodes, edges, ...given } = withoutComputed(toShape(body, 'react-flow'))
  const lists = {
    ...(body.nodes === undefined ? { nodes: flow.nodes ?? [] } : { nodes: nodes ?? [] }),
    ...(body.edges === undefined && body.connections === undefined
      ? { edges: flow.edges ?? [] }
      : { edges: edges ?? [] }),
  }
  const base = method === 'PATCH' ? flow : {}
  const file = withSecretFieldsOf(flow, { ...base, ...given, ...lists, id }, registry)
  return toShape(file, shapeOf(body.nodes === undefined ? stored : body))
}

/** A definition may be unfinished, but what it has must have a shape. */
function requireShape(body: JsonObject): void {
  const problems = new Problems()
  parseWorkflow({ nodes: [], ...body }, 'workflow', problems)
  if (problems.list.length === 0) return
  const details = problems.list.map(problem => ({ ...problem }))
  throw new ApiError(
    400,
    'WORKFLOW_INVALID',
    `Cannot keep the workflow: ${problems.list.map(formatProblem).join('; ')}`,
    {
      details,
    },
  )
}

function withoutComputed(flow: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(flow).filter(([key]) => !computedKeys.has(key)))
}

function activeOf(body: JsonObject): boolean | undefined {
  const nested = parsed(z.object({ status }), typeof body.workflow === 'object' ? body.workflow : {})
  const given = parsed(z.object({ status }), body).status ?? nested.status
  return given === undefined ? undefined : given === 'active'
}
