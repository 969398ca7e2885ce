/**
 * Who may ask for what over HTTP: every route by the scope it takes, in one table; `routes-guard.ts` holds it. A route that is
 * not in the table keeps the daemon from starting, so that none is open by having been forgotten.
 *
 * `read` sees what is defined and what it does; `run` operates it; `admin` changes it, throws data away, or runs what is not
 * defined (a node with any form is any file and any address).
 */
import type { Scope } from '../engine/store/api-keys.ts'

/** `open` takes nothing; at a `webhook` the workflows decide. */
export type Access = Scope | 'open' | 'webhook'

/** By method and path, as they are registered. HEAD is as GET. */
export const accessTable: Readonly<Record<string, Access>> = {
  'GET /health/live': 'open',
  'GET /health/ready': 'open',
  'GET /metrics': 'read',
  'GET /docs': 'open',
  'GET /docs/openapi.json': 'open',
  'GET /api/openapi.json': 'open',

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

/** Throws when the table does not know the route. */
export function accessOf(method: string, url: string): Access {
  const route = `${method === 'HEAD' ? 'GET' : method} ${url}`
  const access = Object.hasOwn(accessTable, route) ? accessTable[route] : undefined
  if (access === undefined)
    throw new Error(`The route ${route} is not in the table of routes-access.ts: who may ask for it?`)
  return access
}
