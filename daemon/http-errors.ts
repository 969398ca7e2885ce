/**
 * How everything that goes wrong is answered over HTTP (spec 4.3): one shape, a status that tells whose turn it is, and a
 * text for whoever sent the request. What is wrong with the daemon or its host is told in the log, and here only by its
 * code: no stack, no path, no address.
 */
import type { z } from 'zod'
import { codeOf, EngineError, type ErrorCode, errorCodes, messageOf } from '../engine/errors.ts'
import type { Json } from '../engine/json.ts'
import type { FieldDescription } from '../engine/node/form.ts'

export type ErrorBody = {
  /** What could not be done, with what to do. */
  error: string
  /** The same, for clients that look here. */
  detail: string
  error_code: string
  /** What is wrong where: by field, or the problems of a workflow. */
  details?: Json
  /** The form with its errors, as an editor draws it. */
  form?: FieldDescription[]
}
export type HttpError = { status: number; body: ErrorBody; headers: Record<string, string> }

type More = Pick<ErrorBody, 'details' | 'form'> & { /** default: 2 with 503, else none */ retryAfterS?: number }

/** Something wrong with a request that the engine has no code for. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly more: Pick<ErrorBody, 'details' | 'form'>
  readonly retryAfterS: number | undefined

  constructor(status: number, code: string, message: string, { retryAfterS, ...more }: More = {}) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.more = more
    this.retryAfterS = retryAfterS
  }
}

const statuses: Partial<Record<ErrorCode, number>> = {
  WORKFLOW_UNKNOWN: 404,
  LOOP_UNKNOWN: 404,
  NODE_UNKNOWN: 404,
  QUEUE_UNKNOWN: 404,
  DEAD_LETTER_UNKNOWN: 404,
  VERSION_CONFLICT: 409,
  WORKFLOW_CHANGED: 409,
  WORKFLOW_RUNNING: 409,
  PAYLOAD_TOO_LARGE: 413,
  NOT_SUPPORTED: 422,
  NO_INPUT: 422,
  WORKFLOW_INVALID: 400,
  FORM_INVALID: 400,
  OUTPUT_NOT_JSON: 400,
  TEMPLATE_SYNTAX: 400,
  USAGE: 400,
  QUEUE_FULL: 503,
  DRAINING: 503,
  OVERLOADED: 503,
  ITERATION_ABORTED: 503,
  REDIS_UNAVAILABLE: 503,
  REDIS_LOADING: 503,
  REDIS_READONLY: 503,
  REDIS_OUT_OF_MEMORY: 503,
  REDIS_AUTH: 503,
  REDIS_FAILED: 503,
  JOURNAL_FAILED: 503,
}

/** Those of a 503 that tell nothing of the host. */
const isOurs: ReadonlySet<ErrorCode> = new Set(['QUEUE_FULL', 'DRAINING', 'OVERLOADED'])

/** After so long a client may try again. */
const retrySeconds = 2

/** Never throws, whatever was thrown. */
export function httpErrorOf(thrown: unknown): HttpError {
  if (thrown instanceof ApiError) {
    const { status, code, message, more, retryAfterS } = thrown
    return answer(status, code, message, { ...more, ...(retryAfterS === undefined ? {} : { retryAfterS }) })
  }
  if (thrown instanceof EngineError) return ofEngine(thrown)
  const status = Number((thrown as { statusCode?: unknown } | null)?.statusCode)
  if (status === 413) return answer(413, 'PAYLOAD_TOO_LARGE', 'Cannot read the request: its body is too large')
  if (status >= 400 && status < 500) return answer(400, 'VALIDATION_ERROR', ofFramework(thrown))
  return answer(500, 'INTERNAL_ERROR', 'Cannot answer the request: a bug of the daemon; its log has more')
}

/** The value as the schema has it. Throws VALIDATION_ERROR with what is wrong by field. */
export function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const details: Record<string, string[]> = {}
  for (const { path, message } of result.error.issues) {
    const field = path.length === 0 ? 'body' : path.map(String).join('.')
    details[field] = [...(Object.hasOwn(details, field) ? (details[field] ?? []) : []), message]
  }
  const told = Object.entries(details).map(([field, messages]) => `"${field}" ${messages.join(', ')}`)
  throw new ApiError(400, 'VALIDATION_ERROR', `Cannot use the request: ${told.join('; ')}`, { details })
}

export function tryLater(code: string, message: string): ApiError {
  return new ApiError(503, code, message)
}

function ofEngine(error: EngineError): HttpError {
  const status = statuses[error.code] ?? 500
  // these name servers and files
  const isHosts = status === 500 || (status === 503 && !isOurs.has(error.code))
  const advice = status === 503 ? 'try again later' : 'the log of the daemon has more'
  const message = isHosts ? `Cannot answer the request: ${errorCodes[error.code]}; ${advice}` : error.message
  const details = isHosts || !Array.isArray(error.details) ? {} : { details: error.details as Json }
  return answer(status, error.code, message, details)
}

function answer(status: number, code: string, message: string, { retryAfterS, ...more }: More = {}): HttpError {
  const seconds = retryAfterS ?? (status === 503 ? retrySeconds : undefined)
  const headers: Record<string, string> = seconds === undefined ? {} : { 'retry-after': String(seconds) }
  return { status, body: { error: message, detail: message, error_code: code, ...more }, headers }
}

/** What fastify says of a request that it could not read. */
function ofFramework(thrown: unknown): string {
  const told: Record<string, string> = {
    FST_ERR_CTP_INVALID_MEDIA_TYPE: 'its content type cannot be read; send application/json',
    FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'its length is not what it says',
  }
  return `Cannot read the request: ${told[codeOf(thrown) ?? ''] ?? messageOf(thrown)}`
}
