/**
 * Development mode over HTTP (1.9): nodes of a workflow, run one by one. A call without a session has fresh instances, and
 * leaves its output in the workflow's own session, for the nodes downstream.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { JsonObject } from '../engine/json.ts'
import type { DevAnswer } from '../engine/run/dev-runner.ts'
import { type ApiContext, jsonObject, name, nodeId, param } from './api-context.ts'
import type { CatalogueEntry } from './catalogue.ts'
import { closedOf, send, workflowOfType } from './dev-call.ts'
import { editFlow, editNode, flowOf, formWith, requireNode, withForm } from './edit-workflow.ts'
import { parsed } from './http-errors.ts'
import { requireNodeType } from './node-types.ts'

export const execution = z.object({
  node_id: nodeId,
  form_values: jsonObject.optional(),
  input_data: jsonObject.optional(),
  session_id: name.optional(),
})
export const ofWorkflow = execution.extend({ workflow_id: nodeId })
export const ofType = z.object({
  type: name,
  form_values: jsonObject.default({}),
  input_data: jsonObject.default({}),
  session_id: name.optional(),
})
export const ofNode = z.object({ node_id: nodeId, session_id: name.optional() })
export const session = z.object({ session_id: name.optional() })

type Execution = z.infer<typeof execution>

export function addDevRoutes(app: FastifyInstance, context: ApiContext): void {
  const { catalogue, dev, registry } = context
  app.post('/api/workflow/:id/execute_and_save_node', async (request, reply) => {
    const call = parsed(execution, request.body)
    const entry = await catalogue.get(param(request, 'id'))
    const answer = await run(context, reply, entry, { ...call, each: 'all' })
    if (isFormSound(answer)) await save(context, entry, call)
    return await send(reply, answer)
  })
  app.post('/api/workflow/:id/execute_for_each_iteration', async (request, reply) => {
    const call = parsed(execution, request.body)
    const entry = await catalogue.get(param(request, 'id'))
    return await send(reply, await run(context, reply, entry, { ...call, each: 'element' }))
  })
  app.post('/api/workflow/:id/clear_node_output', async request => {
    const { node_id, session_id } = parsed(ofNode, request.body)
    const { id } = await catalogue.get(param(request, 'id'))
    await dev.clear(id, node_id, session_id ?? ownSession(id))
    return { success: true, node_id, session_id: session_id ?? ownSession(id) }
  })
  app.get('/api/workflow/:id/nodes/:node/input', async request => {
    const { entry, node_id, session_id } = await nodeOf(context, request)
    const input = await dev.input({ workflow: entry.flow, nodeId: node_id, sessionId: session_id })
    return { node_id, session_id, input_data: input ?? null }
  })
  app.get('/api/workflow/:id/nodes/:node/output', async request => {
    const { entry, node_id, session_id } = await nodeOf(context, request)
    return { node_id, session_id, output: (await dev.output(entry.id, node_id, session_id)) ?? null }
  })
  for (const url of ['/dev/execute', '/api/dev/execute']) {
    app.post(url, async (request, reply) => {
      const body = parsed(jsonObject, request.body)
      if (body.workflow_id !== undefined) {
        const call = parsed(ofWorkflow, body)
        const entry = await catalogue.get(call.workflow_id)
        return await send(reply, await run(context, reply, entry, { ...call, each: 'all' }))
      }
      const { type, form_values, input_data, session_id } = parsed(ofType, body)
      const node = workflowOfType(requireNodeType(registry, type), form_values, undefined)
      const own = session_id === undefined ? {} : { sessionId: session_id }
      return await send(
        reply,
        await dev.execute({ ...node, ...own, input: input_data, signal: closedOf(reply, context) }),
      )
    })
  }
}

/** What the workflow's nodes share when a client names no session. */
function ownSession(workflow: string): string {
  return `workflow:${workflow}`
}

async function run(
  context: ApiContext,
  reply: FastifyReply,
  entry: CatalogueEntry,
  { node_id, form_values, input_data, session_id, each }: Execution & { each: 'element' | 'all' },
): Promise<DevAnswer> {
  const { dev, registry } = context
  const { id, flow } = entry
  // a for-each that is walked element by element goes on from call to call
  if (session_id === undefined && each === 'all') await dev.clear(id, node_id, ownSession(id))
  const node = flowOf(entry).nodes.find(node => node.id === node_id) ?? {}
  return await dev.execute({
    ...{
      workflow: flow,
      nodeId: node_id,
      sessionId: session_id ?? ownSession(id),
      each,
      signal: closedOf(reply, context),
    },
    ...(form_values === undefined ? {} : { formValues: formWith(node, form_values, registry) }),
    ...(input_data === undefined ? {} : { input: input_data }),
  })
}

function isFormSound(answer: DevAnswer): boolean {
  return answer.success || answer.form === undefined
}

/** Keeps what was tried, unless a file defines the workflow: then it was a try. */
async function save(
  { catalogue, registry }: ApiContext,
  { id, readOnly }: CatalogueEntry,
  call: Execution,
): Promise<void> {
  const { node_id, form_values } = call
  if (form_values === undefined || readOnly) return
  const set = (node: JsonObject) => withForm(node, formWith(node, form_values, registry))
  await editFlow(catalogue, { id, expected: 'any' }, flow => editNode(flow, node_id, set))
}

async function nodeOf({ catalogue }: ApiContext, request: FastifyRequest) {
  const entry = await catalogue.get(param(request, 'id'))
  const node_id = param(request, 'node')
  requireNode(flowOf(entry), node_id)
  const { session_id = ownSession(entry.id) } = parsed(session, request.query)
  return { entry, node_id, session_id }
}
