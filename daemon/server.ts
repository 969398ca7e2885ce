/** The HTTP server: where it listens, how an error looks (spec 4.3). What it answers is in the routes. */
import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import { freezeJson } from '../engine/node/node.ts'
import type { Log } from '../engine/ports.ts'
import { ApiError, httpErrorOf } from './http-errors.ts'
import { formatListen, parseListen } from './listen.ts'

export type Routes = (app: FastifyInstance) => void
export type HttpServer = { /** `http://127.0.0.1:7878` */ url: string; close(): Promise<void> }

/** An item may have a MiB, and what is around it in a request a little more. */
const bodyBytesMax = 1024 * 1024 + 64 * 1024

/** No answer is to be run, framed, guessed at or kept by a browser. A route that serves a page sets its own. */
const answerHeaders = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
}

/** Requests are checked by zod. Where fastify may do it, it loads ajv: a third of what it takes to start. */
const noSchema = (): never => {
  throw new Error('A route has no schema for fastify: requests are checked by zod')
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it came, for signatures. */
    rawBody: Buffer | undefined
  }
}

/** Rejects with `USAGE` when the address can't be listened at. */
export async function startServer(listen: string, routes: readonly Routes[], log?: Log): Promise<HttpServer> {
  const address = parseListen(listen)
  const app = buildServer(routes, log)
  try {
    await app.listen(address)
  } catch (error) {
    throw cannotListen(listen, error)
  }
  const { port } = app.server.address() as { port: number }
  return { url: `http://${formatListen({ host: address.host, port })}`, close: () => app.close() }
}

/** The server without a socket. `log` is told of what is the daemon's own fault. */
export function buildServer(routes: readonly Routes[], log?: Log): FastifyInstance {
  const app = fastify({
    bodyLimit: bodyBytesMax,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
    forceCloseConnections: true,
    genReqId,
    clientErrorHandler: refuseGarbage,
    // what has no route runs no hooks
    frameworkErrors: (error, request, reply) => {
      sign(request, reply)
      void tellError(error, { request, reply, log })
    },
    schemaController: { compilersFactory: { buildValidator: noSchema, buildSerializer: noSchema } },
  })
  app.addHook('onRequest', async (request, reply) => sign(request, reply))
  readBodies(app)
  app.setNotFoundHandler(request => {
    throw new ApiError(404, 'NOT_FOUND', `Not found: there is nothing at ${request.method} ${request.url}`)
  })
  app.setErrorHandler((error, request, reply) => tellError(error, { request, reply, log }))
  for (const add of routes) add(app)
  return app
}

function sign(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(answerHeaders).header('x-request-id', request.id)
}

type Exchange = { request: FastifyRequest; reply: FastifyReply; log: Log | undefined }

async function tellError(error: unknown, { request, reply, log }: Exchange): Promise<void> {
  const { status, body, headers } = httpErrorOf(error)
  if (status >= 500) {
    const where = `${request.method} ${request.routeOptions.url ?? ''}`
    const fields = { code: body.error_code, request: request.id }
    log?.write(status === 500 ? 'error' : 'warn', `${where}: ${messageOf(error)}`, fields)
  }
  await reply.code(status).headers(headers).send(body)
}

/** What is no HTTP at all, or never comes to its end. */
function refuseGarbage(_error: Error, socket: Socket): void {
  if (socket.writable) {
    const body = JSON.stringify(httpErrorOf(new ApiError(400, 'VALIDATION_ERROR', garbage)).body)
    const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`
    socket.write(`${head}\r\n\r\n${body}`)
  }
  socket.destroySoon()
}
const garbage = 'Cannot read the request: it is not HTTP, its head is too large, or it came too slowly'

/** The id that a client or proxy gave, if it is one that a log can take. */
function genReqId({ headers }: { headers: Record<string, string | string[] | undefined> }): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
}

/** JSON is read, checked (depth, `__proto__`) and kept as it came beside it; an empty body is none. All else is text. */
function readBodies(app: FastifyInstance): void {
  app.decorateRequest('rawBody', undefined)
  const parseJson = app.getDefaultJsonParser('error', 'ignore')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    /^application\/(?:[\w.-]+\+)?json\b/,
    { parseAs: 'buffer' },
    (request, body: Buffer, done) => {
      request.rawBody = body
      if (body.length === 0) return done(null, undefined)
      void parseJson(request, body.toString('utf8'), (error, value) => {
        if (error !== null) return done(error)
        done(jsonFault(value), value)
      })
    },
  )
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    request.rawBody = body
    done(null, body.length === 0 ? undefined : body.toString('utf8'))
  })
}

function jsonFault(value: unknown): Error | null {
  try {
    freezeJson(value, () => 'the body')
    return null
  } catch (error) {
    return error as Error
  }
}

function cannotListen(listen: string, error: unknown): EngineError {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'another process listens there; stop it, or set another "listen"',
    EACCES: 'this user may not use that port; take one above 1023',
  }
  const why = reasons[codeOf(error) ?? ''] ?? messageOf(error)
  return new EngineError('USAGE', `Cannot listen at ${listen}: ${why}`, { cause: error })
}
