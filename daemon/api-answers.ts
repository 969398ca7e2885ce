/** What the HTTP API answers, as the OpenAPI document tells it. Objects may have more than is named here. */
import { z } from 'zod'

const text = z.string()
const object = z.record(z.string(), z.unknown())
const count = z.int().min(0)
/** ISO 8601. */
const moment = z.string().nullable()

export const failure = z.looseObject({
  error: text,
  detail: text,
  error_code: text,
  details: z.unknown().optional(),
  form: z.array(object).optional(),
})

export const field = z.looseObject({
  ...{ tag: text, name: text, label: text, type: text.nullable() },
  options: z.array(z.looseObject({ value: z.unknown(), label: text })),
  value: z.unknown(),
  errors: z.array(text),
  required: z.boolean(),
  help: text,
  depends_on: z.array(text),
})

const port = z.looseObject({ id: text, label: text })
export const nodeType = z.looseObject({
  ...{ identifier: text, name: text, type: text, description: text, has_form: z.boolean(), category: text },
  input_ports: z.array(port),
  output_ports: z.array(port),
  form: z.array(field),
})
export const nodeForm = z.looseObject({ node: nodeType, form: z.array(field) })

export const workflow = z.looseObject({
  ...{ id: text, name: text, description: text, category: text },
  workflow_type: z.enum(['production', 'api']),
  status: z.enum(['active', 'inactive']),
  env: object,
  tags: z.array(z.unknown()),
  runs_count: count,
  last_run: moment,
  runtime_state: text,
  created_at: moment,
  updated_at: moment,
  version: count,
  read_only: z.boolean(),
  problems: z.array(text),
})
export const definition = workflow.extend({ nodes: z.array(object), connections: z.array(object).optional() })
export const workflows = z.union([
  z.array(workflow),
  z.looseObject({ count, next: text.nullable(), previous: text.nullable(), results: z.array(workflow) }),
])
export const canvas = z.looseObject({ nodes: z.array(object), edges: z.array(object), workflow: object })

export const canvasNode = z.looseObject({
  id: text,
  node_type: object,
  position: z.looseObject({ x: z.number(), y: z.number() }),
  form_values: object,
})
export const connection = z.looseObject({ id: text })
export const formOfNode = z.looseObject({ node: canvasNode, form: z.array(field) })

export const taskStatus = z.enum(['PENDING', 'STARTED', 'SUCCESS', 'FAILURE', 'REVOKED'])
export const task = z.looseObject({ task_id: text.nullable(), status: taskStatus })

export const devAnswer = z.looseObject({
  success: z.boolean(),
  ...{ node_id: text, node_type: text, input_data: object, form_values: object, session_id: text },
  duration_ms: z.number(),
  output: object.nullable().optional(),
})

export const deadLetter = z.looseObject({
  ...{ id: text, time: z.number(), loop: text, iteration: count, node: text, deliveries: count },
  error: z.looseObject({ name: text, code: text, message: text }),
  item: z.looseObject({ id: text, data: object, metadata: object }),
  queue: text.nullable(),
})
export const queue = z.looseObject({ name: text, length: count, claimed: count, oldest_age: z.number().nullable() })

export const accepted = z.looseObject({
  status: z.literal('accepted'),
  webhook_id: text,
  subscribers: count,
  message: text,
})
