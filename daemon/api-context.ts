/** What the routes of the API work with, and what many of them read from a request in the same way. */
import { z } from 'zod'
import type { WorkflowStatus } from '../engine/flow-daemon.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { Ports } from '../engine/ports.ts'
import type { ApiRequests } from '../engine/run/api-requests.ts'
import type { DevRunner } from '../engine/run/dev-runner.ts'
import type { WebhookIntake } from '../engine/run/webhook-intake.ts'
import type { Catalogue } from './catalogue.ts'
import { ApiError, tryLater } from './http-errors.ts'
import type { Watching } from './watching.ts'

export type ApiContext = {
  registry: NodeRegistry
  ports: Ports
  catalogue: Catalogue
  dev: DevRunner
  intake: WebhookIntake
  requests: ApiRequests
  watching: Watching
  /** What the workflows that this process serves are doing here. */
  status: () => readonly WorkflowStatus[]
  isDraining: () => boolean
  /** Aborted when what still runs shall end now. */
  ending: AbortSignal
}

/** What `fastify` gives, as much of it as is read outside of the routes. */
type Incoming = { params: unknown; headers: Record<string, string | string[] | undefined>; query: unknown }

export const jsonObject = z.record(z.string(), z.unknown(), 'must be an object') as unknown as z.ZodType<JsonObject>
export const anyJson = z.unknown() as z.ZodType<Json>
const plain = /^[^\p{Cc}]{1,200}$/u
export const name = z
  .string('must be a text')
  .regex(plain, 'must be 1 to 200 characters, none of them a control character')
/** A node's id: the Django clients send numbers. */
export const nodeId = z.preprocess(value => (typeof value === 'number' ? String(value) : value), name)

export function param(request: Incoming, key: string): string {
  return (request.params as Record<string, string>)[key] ?? ''
}

/** The version in `If-Match`, or `any`. */
export function ifMatch({ headers }: Incoming): number | 'any' {
  const text = headers['if-match']
  if (text === undefined || text === '*') return 'any'
  const version = /^(?:W\/)?"?(\d{1,15})"?$/.exec(String(text))?.[1]
  if (version !== undefined) return Number(version)
  throw new ApiError(
    400,
    'VALIDATION_ERROR',
    `Cannot use the header If-Match: it must be a version, as "3", is ${text}`,
  )
}

/** Headers as texts, without those that tell who the client is to us. */
export function plainHeaders({ headers }: Incoming): Record<string, string> {
  const ours = new Set(['authorization', 'proxy-authorization', 'x-api-key'])
  const entries = Object.entries(headers).filter(([key, value]) => value !== undefined && !ours.has(key))
  return Object.fromEntries(entries.map(([key, value]) => [key, [value].flat().join(', ')]))
}

/** The query as plain JSON: a key given twice is a list. */
export function plainQuery({ query }: Incoming): JsonObject {
  return { ...(query as JsonObject) }
}

export function refuseWhileDraining(context: ApiContext): void {
  if (context.isDraining()) throw tryLater('DRAINING', 'Cannot begin: the daemon stops; ask again later')
}
