/**
 * Starting and stopping over HTTP: a wish in Redis, for whichever daemon serves the workflow (spec 4.3). The existing
 * clients know tasks; a task is a run here.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { EngineError } from '../engine/errors.ts'
import type { WorkflowStatus } from '../engine/flow-daemon.ts'
import { describeWorkflow, listDaemons, requireKnownLoop, type WorkflowProcess } from '../engine/store/processes.ts'
import { setWish, type Wish } from '../engine/store/wishes.ts'
import { type ApiContext, name, param, refuseWhileDraining } from './api-context.ts'
import type { CatalogueEntry } from './catalogue.ts'
import { ApiError, parsed } from './http-errors.ts'
import { problemsOf } from './workflow-view.ts'

export type TaskStatus = 'PENDING' | 'STARTED' | 'SUCCESS' | 'FAILURE' | 'REVOKED'

export const ofLoop = z.object({ loop: name.optional() })
/** The existing clients use both. */
const actionMethods: ('GET' | 'POST')[] = ['GET', 'POST']

export function addLifecycleRoutes(app: FastifyInstance, context: ApiContext): void {
  const { catalogue } = context
  const action = (verb: string, handler: (request: FastifyRequest, entry: CatalogueEntry) => Promise<unknown>) =>
    app.route({
      method: actionMethods,
      url: `/api/workflow/:id/${verb}`,
      handler: async request => await handler(request, await catalogue.get(param(request, 'id'))),
    })
  action('start_execution', (_request, entry) => start(context, entry))
  action('stop_execution', async (_request, entry) => {
    requireProduction(entry)
    await wish(context, entry, 'stop')
    return { ...(await taskOf(context, entry)), status: 'REVOKED' }
  })
  action('task_status', async (_request, entry) => await taskOf(context, entry))
  for (const verb of ['pause', 'resume'] as const) {
    app.post(`/api/workflow/:id/${verb}`, async request => {
      const entry = requireProduction(await catalogue.get(param(request, 'id')))
      const { loop = '' } = parsed(ofLoop.default({}), request.body)
      if (loop !== '') await requireKnownLoop(context.ports.redis, entry.id, loop)
      await (verb === 'pause' ? wish(context, entry, 'pause', loop) : resume(context, entry, loop))
      return await taskOf(context, entry)
    })
  }
}

async function start(context: ApiContext, entry: CatalogueEntry): Promise<{ task_id: string; status: TaskStatus }> {
  refuseWhileDraining(context)
  requireProduction(entry)
  requireSound(entry)
  if (!entry.active) await context.catalogue.update(entry.id, () => ({ active: true }))
  const token = context.ports.random.nonce('run')
  await wish(context, entry, `run:${token}`)
  return { task_id: token, status: 'PENDING' }
}

async function wish({ ports }: ApiContext, { id }: CatalogueEntry, wanted: Wish, loop = ''): Promise<void> {
  await setWish(ports.redis, { workflow: id, loop }, wanted)
}

/** One loop goes on whether it was paused or given up; a workflow has to be paused. */
async function resume(context: ApiContext, entry: CatalogueEntry, loop: string): Promise<void> {
  const { ports } = context
  const { id } = entry
  if (loop !== '') return await wish(context, entry, `try:${ports.random.nonce('try')}`, loop)
  const answer = await setWish(ports.redis, { workflow: id, loop }, '', 'pause')
  if (!('differs' in answer)) return
  throw new ApiError(
    409,
    'NOT_PAUSED',
    `Cannot resume workflow "${id}": it is not paused; to start it, use start_execution`,
  )
}

/** `detail` is the full state: what Redis tells of all processes, and what this one tells of its loops. */
async function taskOf(context: ApiContext, { id }: CatalogueEntry) {
  const { redis } = context.ports
  const process = await describeWorkflow(redis, id, await listDaemons(redis))
  const here = context.status().find(({ workflow }) => workflow === id)
  const status = statusOf(process, here)
  return { task_id: process.run || null, status, detail: { ...process, here: here === undefined ? null : shown(here) } }
}

function statusOf({ run, status, wish: wanted }: WorkflowProcess, here: WorkflowStatus | undefined): TaskStatus {
  if (here?.status === 'failed') return 'FAILURE'
  if (status === 'completed') return wanted === 'start' ? 'PENDING' : 'SUCCESS'
  if (status === 'stopped') return run === '' ? 'PENDING' : 'REVOKED'
  if (status === 'draining') return 'REVOKED'
  return status === 'idle' ? 'PENDING' : 'STARTED'
}

/** Without the stack of an error. */
function shown({ error, ...status }: WorkflowStatus) {
  return error === undefined ? status : { ...status, error: { code: error.code, message: error.message } }
}

function requireProduction(entry: CatalogueEntry): CatalogueEntry {
  if (entry.flow.type !== 'api') return entry
  const hint = `it is of type "api"; it runs once per request to /api/workflow/${entry.id}/execute`
  throw new EngineError('NOT_SUPPORTED', `Cannot start, stop or pause workflow "${entry.id}": ${hint}`)
}

/** What is broken can't be started; what runs in its place, as it was before, goes on. */
export function requireSound(entry: CatalogueEntry): void {
  if (entry.problems.length === 0) return
  const lines = problemsOf(entry)
  throw new ApiError(422, 'WORKFLOW_INVALID', `Cannot run workflow "${entry.id}": ${lines.join('; ')}`, {
    details: lines,
  })
}
