/**
 * What every route of the HTTP API is for, takes and answers: the rest of the OpenAPI document is read off this table and
 * the one of scopes. What a route takes are the very schemas that check its requests.
 */
import { z } from 'zod'
import * as answers from './api-answers.ts'
import { jsonObject, name } from './api-context.ts'
import * as dev from './routes-dev.ts'
import * as editing from './routes-editing.ts'
import { ofLoop } from './routes-lifecycle.ts'
import * as nodes from './routes-nodes.ts'
import { copy, page } from './routes-workflows.ts'

export type Operation = {
  summary: string
  /** Of the operation, where the path alone does not make one of its own. */
  id?: string
  query?: z.ZodObject
  /** JSON; `optional` may be left out. */
  body?: z.ZodType
  optional?: true
  /** Of a success; none: no content. Default 200, or 204 where there is no answer. */
  answer?: z.ZodType
  status?: number
  /** It changes a definition: `If-Match` is heeded. */
  guarded?: true
  /** No JSON. */
  type?: string
}

const any = z.unknown()
const object = z.record(z.string(), z.unknown())
const success = z.looseObject({ success: z.boolean() })
const definition = jsonObject.meta({ description: 'A workflow in any of its three shapes, as a file holds it.' })
const position: Operation = {
  summary: 'Moves a node on the canvas.',
  body: editing.moved,
  answer: answers.canvasNode,
  guarded: true,
}
const setForm: Operation = {
  summary: 'Sets values of a node’s form, once they are valid.',
  body: editing.newForm,
  answer: answers.formOfNode,
  guarded: true,
}
const removeNode: Operation = { summary: 'Removes a node, and the edges at it.', guarded: true }
const disconnect: Operation = { summary: 'Removes an edge.', guarded: true }
const start: Operation = { summary: 'Begins a run, on whichever daemon serves the workflow.', answer: answers.task }
const stop: Operation = { summary: 'Drains and stops it.', answer: answers.task }
const taskStatus: Operation = { summary: 'What the workflow is doing; `detail` holds all.', answer: answers.task }
const devExecute: Operation = {
  summary: 'Runs one node of a workflow, or a node without one, as development mode does.',
  body: z.union([dev.ofWorkflow, dev.ofType]),
  answer: answers.devAnswer,
}
const ask: Operation = {
  summary: 'Asks an `api` workflow; an `http-response` node answers as it likes.',
  answer: z.unknown(),
}
const askWith: Operation = { ...ask, body: any, optional: true }
const change = (summary: string): Operation => ({
  summary,
  body: definition,
  answer: answers.definition,
  guarded: true,
})

/** By method and path, as in the table of scopes. */
export const operations: Readonly<Record<string, Operation>> = {
  'GET /health/live': { summary: 'Answers while the daemon does.', answer: z.looseObject({ status: z.string() }) },
  'GET /health/ready': {
    summary: 'Whether it serves its workflows, and why not (503).',
    answer: z.looseObject({ status: z.string(), reasons: z.array(z.string()) }),
  },
  'GET /metrics': { summary: 'Metrics for Prometheus.', answer: z.string(), type: 'text/plain' },
  'GET /docs': { summary: 'This document, to be read.', answer: z.string(), type: 'text/html' },
  'GET /docs/openapi.json': { summary: 'This document.', answer: object },
  'GET /api/openapi.json': { summary: 'This document.', answer: object },

  'GET /api/nodes': {
    summary: 'All node types by category.',
    answer: z.array(z.looseObject({ name: z.string(), nodes: z.array(answers.nodeType) })),
  },
  'GET /api/nodes/flat': { summary: 'All node types.', answer: z.array(answers.nodeType) },
  'GET /api/nodes/count': { summary: 'How many there are.', answer: z.looseObject({ count: z.int() }) },
  'GET /api/nodes/:type': { summary: 'One node type.', answer: answers.nodeType },
  'GET /api/nodes/:type/form': { summary: 'Its form, empty.', answer: answers.nodeForm },
  'POST /api/nodes/:type/form/update': {
    summary: 'Its form after values were filled in: what depends on them is chosen anew.',
    body: nodes.values,
    answer: answers.nodeForm,
  },
  'POST /api/nodes/:type/field-options': {
    summary: 'The choices of one field, by the values of the others.',
    body: nodes.options,
    answer: z.looseObject({ field: z.string(), options: z.array(z.unknown()) }),
  },
  'POST /api/nodes/:type/execute': {
    summary: 'Runs a node without a workflow.',
    body: nodes.execution,
    optional: true,
    answer: answers.devAnswer,
  },
  'POST /api/nodes/:type/reset-session': { summary: 'Ends a session.', body: nodes.session, answer: success },

  'GET /api/workflow': { summary: 'All workflows; with `page`, some of them.', query: page, answer: answers.workflows },
  'POST /api/workflow': { summary: 'Keeps a new workflow.', body: definition, answer: answers.definition, status: 201 },
  'GET /api/workflow/:id': { summary: 'One workflow.', answer: answers.definition },
  'PUT /api/workflow/:id': change('Replaces a definition; nodes and edges that are left out stay.'),
  'PATCH /api/workflow/:id': change('Changes the keys of a definition that are sent.'),
  'DELETE /api/workflow/:id': { summary: 'Removes a definition.', guarded: true },
  'GET /api/workflow/:id/rawconfig': { summary: 'The definition in rawconfig shape.', answer: answers.definition },
  'GET /api/workflow/:id/canvas_data': { summary: 'The definition in canvas_data shape.', answer: answers.canvas },
  'POST /api/workflow/:id/duplicate': {
    summary: 'Keeps a copy.',
    body: copy,
    optional: true,
    answer: answers.definition,
    status: 201,
  },
  'POST /api/workflow/:id/activate': {
    summary: 'It may run, and takes webhooks.',
    answer: answers.definition,
    guarded: true,
  },
  'POST /api/workflow/:id/deactivate': { summary: 'It may not.', answer: answers.definition, guarded: true },

  'GET /api/workflow/:id/nodes': { summary: 'Its nodes.', answer: z.array(answers.canvasNode) },
  'POST /api/workflow/:id/nodes/add': {
    summary: 'Adds a node.',
    body: editing.newNode,
    answer: answers.canvasNode,
    status: 201,
    guarded: true,
  },
  'POST /api/workflow/:id/nodes/:node/position': position,
  'PUT /api/workflow/:id/nodes/:node/position': position,
  'PATCH /api/workflow/:id/nodes/:node/position': position,
  'POST /api/workflow/:id/nodes/:node/remove': removeNode,
  'DELETE /api/workflow/:id/nodes/:node/remove': removeNode,
  'GET /api/workflow/:id/nodes/:node/form': { summary: 'The form of a node.', answer: answers.formOfNode },
  'POST /api/workflow/:id/nodes/:node/form': setForm,
  'PUT /api/workflow/:id/nodes/:node/form': setForm,
  'PATCH /api/workflow/:id/nodes/:node/form': setForm,
  'GET /api/workflow/:id/connections': { summary: 'Its edges.', answer: z.array(answers.connection) },
  'POST /api/workflow/:id/connections/add': {
    summary: 'Joins two nodes.',
    body: editing.newConnection,
    answer: answers.connection,
    status: 201,
    guarded: true,
  },
  'POST /api/workflow/:id/connections/:connection/remove': disconnect,
  'DELETE /api/workflow/:id/connections/:connection/remove': disconnect,

  'GET /api/workflow/:id/start_execution': start,
  'POST /api/workflow/:id/start_execution': start,
  'GET /api/workflow/:id/stop_execution': stop,
  'POST /api/workflow/:id/stop_execution': stop,
  'GET /api/workflow/:id/task_status': taskStatus,
  'POST /api/workflow/:id/task_status': taskStatus,
  'POST /api/workflow/:id/pause': {
    summary: 'Pauses the workflow, or one loop.',
    body: ofLoop,
    optional: true,
    answer: answers.task,
  },
  'POST /api/workflow/:id/resume': {
    summary: 'Goes on; a loop also when it was given up.',
    body: ofLoop,
    optional: true,
    answer: answers.task,
  },

  'POST /api/workflow/:id/execute_and_save_node': {
    summary: 'Runs a node in development, and keeps its form values.',
    body: dev.execution,
    answer: answers.devAnswer,
  },
  'POST /api/workflow/:id/execute_for_each_iteration': {
    summary: 'Runs a for-each one element on.',
    body: dev.execution,
    answer: answers.devAnswer,
  },
  'POST /api/workflow/:id/clear_node_output': {
    summary: 'Forgets what a node put out.',
    body: dev.ofNode,
    answer: success,
  },
  'GET /api/workflow/:id/nodes/:node/input': {
    summary: 'What a node would run on.',
    query: dev.session,
    answer: z.looseObject({ node_id: z.string(), session_id: z.string(), input_data: object.nullable() }),
  },
  'GET /api/workflow/:id/nodes/:node/output': {
    summary: 'What a node put out last.',
    query: dev.session,
    answer: z.looseObject({ node_id: z.string(), session_id: z.string(), output: object.nullable() }),
  },
  'POST /dev/execute': { ...devExecute, id: 'postDevExecuteAlias' },
  'POST /api/dev/execute': devExecute,

  'GET /api/workflow/:id/execute': ask,
  'POST /api/workflow/:id/execute': askWith,
  'PUT /api/workflow/:id/execute': askWith,
  'PATCH /api/workflow/:id/execute': askWith,
  'DELETE /api/workflow/:id/execute': ask,

  'POST /api/webhooks/:webhook': {
    summary: 'Queues the request in every workflow that names the webhook.',
    body: any,
    optional: true,
    answer: answers.accepted,
    status: 202,
  },
  'POST /api/webhooks/test/:webhook': {
    summary: 'Shows what arrives, and feeds nobody.',
    body: any,
    optional: true,
    answer: z.looseObject({ status: z.literal('shown'), webhook_id: name }),
  },
  'GET /api/webhooks/test/:webhook': {
    summary: 'What arrived there lately.',
    answer: z.looseObject({ webhook_id: name, received: z.array(object) }),
  },

  'GET /api/workflow/:id/dead_letters': { summary: 'What failed.', answer: z.array(answers.deadLetter) },
  'GET /api/workflow/:id/dead_letters/:letter': {
    summary: 'One item that failed, and why.',
    answer: answers.deadLetter,
  },
  'POST /api/workflow/:id/dead_letters/:letter/requeue': {
    summary: 'Has it tried again.',
    answer: z.looseObject({ id: z.string(), queue: z.string(), read: z.boolean() }),
  },
  'DELETE /api/workflow/:id/dead_letters/:letter': { summary: 'Throws it away.' },
  'GET /api/workflow/:id/queues': { summary: 'What waits where.', answer: z.array(answers.queue) },

  'GET /ws/workflow/:id': {
    summary: 'A WebSocket: `state_sync`, then events as they happen; `?last_event_id=` comes back to where it was.',
    query: z.object({ last_event_id: z.string().optional() }),
    status: 101,
    answer: any,
  },
}
