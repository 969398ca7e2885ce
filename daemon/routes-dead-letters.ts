/** `/api/workflow/{id}/dead_letters` and `/queues`: what failed, what waits, and what becomes of it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { EngineError } from '../engine/errors.ts'
import {
  dropDeadLetters,
  listDeadLetters,
  listQueues,
  requeueDeadLetter,
  showDeadLetter,
} from '../engine/store/inspect.ts'
import { requireKnownWorkflow } from '../engine/store/processes.ts'
import type { DeadLetter } from '../engine/trace/events.ts'
import { type ApiContext, param } from './api-context.ts'

export function addDeadLetterRoutes(app: FastifyInstance, context: ApiContext): void {
  const { redis, clock } = context.ports
  const one = '/api/workflow/:id/dead_letters/:letter'
  app.get('/api/workflow/:id/dead_letters', async request =>
    (await listDeadLetters(redis, await workflowOf(context, request))).map(withoutStack),
  )
  app.get(one, async request =>
    withoutStack(await showDeadLetter(redis, await workflowOf(context, request), param(request, 'letter'))),
  )
  app.post(`${one}/requeue`, async request => {
    const id = param(request, 'letter')
    const { queue, read } = await requeueDeadLetter(redis, await workflowOf(context, request), id, clock)
    return { id, queue, read }
  })
  app.delete(one, async (request, reply) => {
    const workflow = await workflowOf(context, request)
    const id = param(request, 'letter')
    if ((await dropDeadLetters(redis, workflow, [id])) > 0) return reply.code(204).send()
    throw new EngineError('DEAD_LETTER_UNKNOWN', `Cannot find dead letter "${id}" of workflow "${workflow}"`)
  })
  app.get('/api/workflow/:id/queues', async request =>
    listQueues(redis, await workflowOf(context, request), clock.now()),
  )
}

/** A workflow that is defined no more may still have left something. */
async function workflowOf({ catalogue, ports }: ApiContext, request: FastifyRequest): Promise<string> {
  const id = param(request, 'id')
  const isDefined = (await catalogue.list()).some(entry => entry.id === id)
  if (!isDefined) await requireKnownWorkflow(ports.redis, id)
  return id
}

function withoutStack({ error: { stack: _, ...error }, ...letter }: DeadLetter) {
  return { ...letter, error }
}
