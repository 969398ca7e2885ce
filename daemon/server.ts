/** The HTTP server: where it listens, how an error looks (spec 4.3). What it answers is in the routes. */
import { type FastifyInstance, fastify } from 'fastify'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import { formatListen, parseListen } from './listen.ts'

export type Routes = (app: FastifyInstance) => void
export type HttpServer = { /** `http://127.0.0.1:7878` */ url: string; close(): Promise<void> }

const bodyBytesMax = 1024 * 1024

/** Rejects with `USAGE` when the address can't be listened at. */
export async function startServer(listen: string, routes: readonly Routes[]): Promise<HttpServer> {
  const address = parseListen(listen)
  const app = fastify({
    bodyLimit: bodyBytesMax,
    routerOptions: { ignoreTrailingSlash: true },
    forceCloseConnections: true,
  })
  app.setNotFoundHandler(async (request, reply) => {
    await reply
      .code(404)
      .send(errorBody('NOT_FOUND', 'Not found', `there is nothing at ${request.method} ${request.url}`))
  })
  app.setErrorHandler(async (error, _request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500
    const what = status < 500 ? 'Bad request' : 'Internal error'
    await reply
      .code(status)
      .send(errorBody(status < 500 ? 'VALIDATION_ERROR' : 'INTERNAL_ERROR', what, messageOf(error)))
  })
  for (const add of routes) add(app)
  try {
    await app.listen(address)
  } catch (error) {
    throw cannotListen(listen, error)
  }
  const { port } = app.server.address() as { port: number }
  return { url: `http://${formatListen({ host: address.host, port })}`, close: () => app.close() }
}

function errorBody(code: string, error: string, detail: string) {
  return { error, detail, error_code: code }
}

function cannotListen(listen: string, error: unknown): EngineError {
  const reasons: Record<string, string> = {
    EADDRINUSE: 'another process listens there; stop it, or set another "listen"',
    EACCES: 'this user may not use that port; take one above 1023',
  }
  const why = reasons[codeOf(error) ?? ''] ?? messageOf(error)
  return new EngineError('USAGE', `Cannot listen at ${listen}: ${why}`, { cause: error })
}
