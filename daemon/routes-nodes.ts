/** `/api/nodes`: the catalogue of node types, their forms while somebody fills them in, and single nodes without a workflow. */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { FormState } from '../engine/node/form-state.ts'
import { type ApiContext, jsonObject, name } from './api-context.ts'
import { closedOf, send, workflowOfType } from './dev-call.ts'
import { parsed } from './http-errors.ts'
import { requireNodeType } from './node-types.ts'
import { fullNodeType } from './workflow-view.ts'

export const values = z.object({ field_values: jsonObject.default({}) })
export const options = values.extend({ field: name })
export const execution = z.object({
  input_data: jsonObject.default({}),
  form_data: jsonObject.default({}),
  session_id: name.optional(),
  /** Seconds. */
  timeout: z.number('must be a number').positive('must be more than 0').max(86_400, 'must be at most 86400').optional(),
})
export const session = z.object({ session_id: name })

export function addNodeRoutes(app: FastifyInstance, context: ApiContext): void {
  const { registry, dev } = context
  const all = () => registry.types().flatMap(({ identifier }) => registry.describe(identifier) ?? [])
  const classOf = (request: { params: unknown }) => requireNodeType(registry, (request.params as { type: string }).type)
  const described = (type: string) =>
    fullNodeType(registry.describe(type) as NonNullable<ReturnType<typeof registry.describe>>)

  app.get('/api/nodes', async () => {
    const categories = [...new Set(all().map(({ category }) => category))].sort()
    return categories.map(category => ({
      name: category,
      nodes: all()
        .filter(node => node.category === category)
        .map(fullNodeType),
    }))
  })
  app.get('/api/nodes/flat', async () => all().map(fullNodeType))
  app.get('/api/nodes/count', async () => ({ count: all().length }))
  app.get('/api/nodes/:type', async request => described(classOf(request).identifier))
  app.get('/api/nodes/:type/form', async request => {
    const { identifier, form } = classOf(request)
    const state = await new FormState(form).settled()
    return { node: described(identifier), form: state.toJSON() }
  })
  app.post('/api/nodes/:type/form/update', async request => {
    const { identifier, form } = classOf(request)
    const { field_values } = parsed(values, request.body)
    const state = new FormState(form)
    await state.update(field_values)
    return { node: described(identifier), form: state.toJSON() }
  })
  app.post('/api/nodes/:type/field-options', async request => {
    const { form } = classOf(request)
    const { field, field_values } = parsed(options, request.body)
    const state = new FormState(form)
    await state.update({ ...field_values, ...(Object.hasOwn(form.fields, field) ? {} : { [field]: null }) })
    return { field, options: state.toJSON().find(line => line.name === field)?.options ?? [] }
  })
  app.post('/api/nodes/:type/execute', async (request, reply) => {
    const { input_data, form_data, session_id, timeout } = parsed(execution, request.body ?? {})
    const node = workflowOfType(classOf(request), form_data, timeout)
    const own = session_id === undefined ? {} : { sessionId: session_id }
    return await send(
      reply,
      await dev.execute({ ...node, ...own, input: input_data, signal: closedOf(reply, context) }),
    )
  })
  app.post('/api/nodes/:type/reset-session', async request => {
    classOf(request)
    const { session_id } = parsed(session, request.body)
    await dev.endSession(session_id)
    return { success: true, session_id }
  })
}
