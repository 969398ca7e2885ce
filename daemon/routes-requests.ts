/** `/api/workflow/{id}/execute`, any method: an `api` workflow answers a request (1.10), many of them side by side. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { EngineError, type ErrorCode } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { Json } from '../engine/json.ts'
import type { Response } from '../engine/node/context.ts'
import { type ApiAnswer, unwrapInput } from '../engine/run/api-runner.ts'
import { type ApiContext, param, plainHeaders, plainQuery, refuseWhileDraining } from './api-context.ts'
import { closedOf } from './dev-call.ts'
import { ApiError, httpErrorOf } from './http-errors.ts'
import { requireSound } from './routes-lifecycle.ts'

export function addRequestRoutes(app: FastifyInstance, context: ApiContext): void {
  app.route({
    method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/api/workflow/:id/execute',
    handler: async (request, reply) => {
      refuseWhileDraining(context)
      const graph = await graphOf(context, param(request, 'id'))
      const { method } = request
      const query = plainQuery(request)
      const { input, timeoutMs } = unwrapInput((request.body ?? query) as Json)
      const answer = await context.requests.execute(graph, {
        ...{ input, method, query, headers: plainHeaders(request), signal: closedOf(reply, context) },
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      })
      return give(answer, reply)
    },
  })
}

async function graphOf({ catalogue }: ApiContext, id: string): Promise<FlowGraph> {
  const entry = await catalogue.get(id)
  if (entry.flow.type !== 'api') {
    const hint = 'it is of type "production"; start it with start_execution'
    throw new EngineError('NOT_SUPPORTED', `Cannot ask workflow "${id}": ${hint}`)
  }
  if (!entry.active) throw new ApiError(409, 'WORKFLOW_INACTIVE', `Cannot ask workflow "${id}": it is deactivated`)
  if (entry.graph === undefined) requireSound(entry)
  return entry.graph as FlowGraph
}

function give(answer: ApiAnswer, reply: FastifyReply): unknown {
  const { workflow_id, execution_time_ms } = answer
  if (answer.success) {
    if (answer.response !== undefined) return respond(answer.response, reply)
    return reply.send({ success: true, workflow_id, output: answer.output, execution_time_ms })
  }
  const { node_id, error, code } = answer
  const told = httpErrorOf(new EngineError(code as ErrorCode, error))
  // what Redis and its queues have no room for may come again; all else is the workflow's or the input's
  if (told.status === 503) return reply.code(503).headers(told.headers).send(told.body)
  const failure = { success: false, workflow_id, node_id, error, execution_time_ms }
  return reply.code(400).send({ ...failure, detail: error, error_code: code })
}

/** What an `http-response` node says, and nothing around it. */
function respond({ status, headers, body }: Response, reply: FastifyReply): unknown {
  const type = Object.entries(headers).find(([key]) => key.toLowerCase() === 'content-type')?.[1]
  const isText = typeof body === 'string' && (type === undefined || !/\bjson\b/i.test(type))
  const fallback = isText ? 'text/plain; charset=utf-8' : 'application/json; charset=utf-8'
  reply.code(status).headers({ 'content-type': type ?? fallback, ...headers })
  if (status === 204 || status === 304) return reply.removeHeader('content-type').send()
  return reply.send(isText ? body : JSON.stringify(body))
}
