/**
 * `/api/webhooks/{id}`: answered with 202 when the item is durable in every workflow that names the id, running or not. Who
 * that is, is looked up for every request: no restart and no edit forgets a webhook. `/api/webhooks/test/{id}` shows a
 * developer what arrives, and feeds nobody.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import { namesWebhook, type WebhookRequest } from '../engine/run/webhook-intake.ts'
import { type ApiContext, param, plainHeaders, plainQuery, refuseWhileDraining } from './api-context.ts'
import { ApiError, tryLater } from './http-errors.ts'
import { isTrusted } from './routes-guard.ts'
import { keyFault, takersOf } from './webhook-targets.ts'

const webhookPattern = /^[\w-]{1,255}$/
/** Of all test requests, so many are shown again. */
const keptMax = 20

export function addWebhookRoutes(app: FastifyInstance, context: ApiContext): void {
  const { catalogue, intake, ports } = context
  app.post('/api/webhooks/:webhook', async (request, reply) => {
    refuseWhileDraining(context)
    const id = webhookId(request)
    const body = requestOf(request)
    const { named, takers, fault } = takersOf(await catalogue.graphs(), id, signedOf(request, ports.clock.now()))
    if (named.length === 0)
      throw new ApiError(404, 'WEBHOOK_UNKNOWN', `Cannot take the request: no workflow names webhook "${id}"`)
    if (takers.length === 0) throw refusal(fault)
    const answer = await intake.accept(takers, id, body)
    if (answer.status === 'full')
      throw tryLater('QUEUE_FULL', `Cannot take the request: the queue of webhook "${id}" is full; try again later`)
    const subscribers = answer.status === 'accepted' ? answer.subscribers : 0
    const message = `queued in ${subscribers === 1 ? 'one workflow' : `${subscribers} workflows`}`
    return reply.code(202).send({ status: 'accepted', webhook_id: id, subscribers, message })
  })
  addTestRoutes(app, context)
}

function addTestRoutes(app: FastifyInstance, { catalogue, ports }: ApiContext): void {
  const kept: { webhook_id: string; received_at: string; data: JsonObject }[] = []
  app.post('/api/webhooks/test/:webhook', async request => {
    const id = webhookId(request)
    const { query, body, headers, method } = requestOf(request)
    const received = {
      ...{ webhook_id: id, received_at: new Date(ports.clock.now()).toISOString() },
      data: { body, headers, method, query_params: query },
    }
    const signed = signedOf(request, ports.clock.now())
    const { named, takers, fault } = takersOf(await catalogue.graphs(), id, signed)
    if (!signed.isTrusted && takers.length === 0) throw refusal(fault ?? keyFault)
    kept.push(received)
    if (kept.length > keptMax) kept.shift()
    const subscribers = named.map(({ workflow }) => workflow.id)
    return { status: 'shown', ...received, subscribers, ...(fault === undefined ? {} : { would_be_refused: fault }) }
  })
  app.get('/api/webhooks/test/:webhook', async request => {
    const id = webhookId(request)
    const subscribers = (await catalogue.graphs()).filter(graph => namesWebhook(graph, id))
    return {
      webhook_id: id,
      subscribers: subscribers.map(({ workflow }) => workflow.id),
      received: kept.filter(({ webhook_id }) => webhook_id === id).reverse(),
    }
  })
}

function refusal(fault: string | undefined): ApiError {
  const code = fault === keyFault ? 'KEY_MISSING' : 'SIGNATURE_INVALID'
  return new ApiError(401, code, `Cannot take the request: ${fault}`)
}

function webhookId(request: FastifyRequest): string {
  const id = param(request, 'webhook')
  if (webhookPattern.test(id)) return id
  throw new ApiError(
    404,
    'WEBHOOK_UNKNOWN',
    'Cannot take the request: a webhook has 1 to 255 letters, digits, "-" or "_"',
  )
}

function requestOf(request: FastifyRequest): WebhookRequest {
  const key = request.headers['idempotency-key']
  if (typeof key === 'string' && (key.length > 255 || key === '')) {
    throw new ApiError(
      400,
      'VALIDATION_ERROR',
      'Cannot use the header Idempotency-Key: it must have 1 to 255 characters',
    )
  }
  return {
    ...{ body: unwrapped((request.body ?? {}) as Json), headers: plainHeaders(request), method: request.method },
    ...{ query: plainQuery(request), ...(typeof key === 'string' ? { key } : {}) },
  }
}

/** `{"input": {…}}` is how the existing clients send it. */
function unwrapped(body: Json): Json {
  return isJsonObject(body) && isJsonObject(body.input) && Object.keys(body).length === 1 ? body.input : body
}

function signedOf(request: FastifyRequest, now: number) {
  const header = (name: string) => {
    const value = request.headers[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    ...{ body: request.rawBody ?? Buffer.alloc(0), now },
    ...{ signature: header('x-signature-256'), timestamp: header('x-timestamp') },
    isTrusted: isTrusted(request.asker),
  }
}
