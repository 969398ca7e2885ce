/**
 * Who may ask for what over HTTP: every route by the scope it takes, in one table, and the hook that holds it. A route that
 * is not in the table keeps the daemon from starting, so that none is open by having been forgotten.
 *
 * `read` sees what is defined and what it does; `run` operates it; `admin` changes it, throws data away, or runs what is not
 * defined (a node with any form is any file and any address).
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { EngineError } from '../engine/errors.ts'
import type { Redis } from '../engine/ports.ts'
import { type ApiKey, listApiKeys, type Scope } from '../engine/store/api-keys.ts'
import { keyOf, mayDo, recognise } from './api-keys.ts'
import { crossSiteFault } from './cross-site.ts'
import { ApiError } from './http-errors.ts'
import { isLoopback, parseListen } from './listen.ts'

/** `open` takes nothing; at a `webhook` the workflows decide. */
export type Access = Scope | 'open' | 'webhook'

/** By method and path, as they are registered. HEAD is as GET. */
export const accessTable: Readonly<Record<string, Access>> = {
  'GET /health/live': 'open',
  'GET /health/ready': 'open',
  'GET /metrics': 'read',

  'GET /api/nodes': 'read',
  'GET /api/nodes/flat': 'read',
  'GET /api/nodes/count': 'read',
  'GET /api/nodes/:type': 'read',
  'GET /api/nodes/:type/form': 'read',
  'POST /api/nodes/:type/form/update': 'read',
  'POST /api/nodes/:type/field-options': 'read',
  'POST /api/nodes/:type/execute': 'admin',
  'POST /api/nodes/:type/reset-session': 'admin',

  'GET /api/workflow': 'read',
  'POST /api/workflow': 'admin',
  'GET /api/workflow/:id': 'read',
  'PUT /api/workflow/:id': 'admin',
  'PATCH /api/workflow/:id': 'admin',
  'DELETE /api/workflow/:id': 'admin',
  'GET /api/workflow/:id/rawconfig': 'read',
  'GET /api/workflow/:id/canvas_data': 'read',
  'POST /api/workflow/:id/duplicate': 'admin',
  'POST /api/workflow/:id/activate': 'run',
  'POST /api/workflow/:id/deactivate': 'run',

  'GET /api/workflow/:id/nodes': 'read',
  'POST /api/workflow/:id/nodes/add': 'admin',
  'POST /api/workflow/:id/nodes/:node/position': 'admin',
  'PUT /api/workflow/:id/nodes/:node/position': 'admin',
  'PATCH /api/workflow/:id/nodes/:node/position': 'admin',
  'POST /api/workflow/:id/nodes/:node/remove': 'admin',
  'DELETE /api/workflow/:id/nodes/:node/remove': 'admin',
  'GET /api/workflow/:id/nodes/:node/form': 'read',
  'POST /api/workflow/:id/nodes/:node/form': 'admin',
  'PUT /api/workflow/:id/nodes/:node/form': 'admin',
  'PATCH /api/workflow/:id/nodes/:node/form': 'admin',
  'GET /api/workflow/:id/connections': 'read',
  'POST /api/workflow/:id/connections/add': 'admin',
  'POST /api/workflow/:id/connections/:connection/remove': 'admin',
  'DELETE /api/workflow/:id/connections/:connection/remove': 'admin',

  'GET /api/workflow/:id/start_execution': 'run',
  'POST /api/workflow/:id/start_execution': 'run',
  'GET /api/workflow/:id/stop_execution': 'run',
  'POST /api/workflow/:id/stop_execution': 'run',
  'GET /api/workflow/:id/task_status': 'read',
  'POST /api/workflow/:id/task_status': 'read',
  'POST /api/workflow/:id/pause': 'run',
  'POST /api/workflow/:id/resume': 'run',

  'POST /api/workflow/:id/execute_and_save_node': 'admin',
  'POST /api/workflow/:id/execute_for_each_iteration': 'admin',
  'POST /api/workflow/:id/clear_node_output': 'admin',
  'GET /api/workflow/:id/nodes/:node/input': 'read',
  'GET /api/workflow/:id/nodes/:node/output': 'read',
  'POST /dev/execute': 'admin',
  'POST /api/dev/execute': 'admin',

  'GET /api/workflow/:id/execute': 'run',
  'POST /api/workflow/:id/execute': 'run',
  'PUT /api/workflow/:id/execute': 'run',
  'PATCH /api/workflow/:id/execute': 'run',
  'DELETE /api/workflow/:id/execute': 'run',

  'POST /api/webhooks/:webhook': 'webhook',
  'POST /api/webhooks/test/:webhook': 'webhook',
  'GET /api/webhooks/test/:webhook': 'read',

  'GET /api/workflow/:id/dead_letters': 'read',
  'GET /api/workflow/:id/dead_letters/:letter': 'read',
  'POST /api/workflow/:id/dead_letters/:letter/requeue': 'run',
  'DELETE /api/workflow/:id/dead_letters/:letter': 'admin',
  'GET /api/workflow/:id/queues': 'read',

  'GET /ws/workflow/:id': 'read',
}

/** `optional`: who gives no key is somebody on this machine, and may do all. */
export type KeyPolicy = 'optional' | 'required'
/** Who asks: the holder of a key, somebody on this machine, or nobody that is known. */
export type Asker = ApiKey | 'local' | undefined

declare module 'fastify' {
  interface FastifyRequest {
    asker: Asker
  }
}

/** Before any route is added. Adding one that is not in the table throws. */
export function guardRoutes(app: FastifyInstance, redis: Redis, policy: KeyPolicy): void {
  app.decorateRequest('asker', undefined)
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) accessOf(one, url)
  })
  app.addHook('onRequest', async request => {
    const { url } = request.routeOptions
    // what is nowhere is answered so to anybody
    const access = url === undefined ? 'open' : accessOf(request.method, url)
    request.asker = await askerOf(request, redis, { policy, access })
    if (access !== 'open' && access !== 'webhook') requireScope(request.asker, access)
  })
}

/** Whether a key is asked for, and of whom, follows from where the daemon listens and from `auth`. */
export function keyPolicy({ listen, auth }: { listen: string; auth: KeyPolicy }): KeyPolicy {
  return isLoopback(parseListen(listen).host) ? auth : 'required'
}

/** Rejects with `USAGE` when nobody could get in, which is what a daemon without any key beyond loopback would be for. */
export async function requireAnyKey(redis: Redis, config: { listen: string; auth: KeyPolicy }): Promise<void> {
  if (keyPolicy(config) === 'optional' || (await listApiKeys(redis)).length > 0) return
  const why = config.auth === 'required' ? '"auth" is "required"' : 'other machines can reach it'
  throw new EngineError(
    'USAGE',
    `Cannot listen at ${config.listen}: ${why}, which takes keys, and there are none; make one: theoneeye keys add NAME --scope admin, with the --redis or --data of the daemon`,
  )
}

/** May take what a webhook without a secret of its own gives. */
export function isTrusted(asker: Asker): boolean {
  return asker === 'local' || (asker !== undefined && mayDo(asker, 'run'))
}

/** Where no key is asked for, one that is not ours is the sender's own affair; elsewhere it is refused, also on loopback. */
async function askerOf(
  request: FastifyRequest,
  redis: Redis,
  { policy, access }: { policy: KeyPolicy; access: Access },
): Promise<Asker> {
  // what is open answers also without Redis
  const given = access === 'open' ? undefined : keyOf(request.headers)
  const key = given === undefined ? undefined : await recognise(redis, given)
  if (key !== undefined) return key
  if (given !== undefined && access !== 'webhook')
    throw new ApiError(401, 'KEY_INVALID', 'Cannot answer the request: its key is not valid; it may have been revoked')
  if (policy === 'required') return undefined
  const fault = crossSiteFault(request)
  if (fault !== undefined) throw new ApiError(403, 'CROSS_SITE', `Cannot answer the request: ${fault}`)
  return 'local'
}

function requireScope(asker: Asker, scope: Scope): void {
  if (asker === 'local') return
  if (asker === undefined)
    throw new ApiError(
      401,
      'KEY_MISSING',
      'Cannot answer the request: it has no key; send "Authorization: Bearer KEY" or "X-Api-Key: KEY"',
    )
  if (!mayDo(asker, scope))
    throw new ApiError(
      403,
      'SCOPE_MISSING',
      `Cannot answer the request: it takes the scope "${scope}", and its key has ${asker.scopes.join(', ')}`,
    )
}

function accessOf(method: string, url: string): Access {
  const route = `${method === 'HEAD' ? 'GET' : method} ${url}`
  const access = Object.hasOwn(accessTable, route) ? accessTable[route] : undefined
  if (access === undefined)
    throw new Error(`The route ${route} is not in the table of routes-access.ts: who may ask for it?`)
  return access
}
