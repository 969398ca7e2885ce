/**
 * What stands before every route: who asks, how often, and whether that may be. Pages of other sites and who asks too often
 * are refused first; then the table of scopes decides.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { EngineError } from '../engine/errors.ts'
import { limits } from '../engine/limits.ts'
import type { Ports, Redis } from '../engine/ports.ts'
import { type ApiKey, listApiKeys, type Scope } from '../engine/store/api-keys.ts'
import { keyOf, mayDo, recognise } from './api-keys.ts'
import type { DaemonConfig } from './config-schema.ts'
import { crossSiteFault } from './cross-site.ts'
import { ApiError } from './http-errors.ts'
import { isLoopback, parseListen } from './listen.ts'
import { askerAt, RateLimits } from './rate-limits.ts'
import { type Access, accessOf } from './routes-access.ts'

/** `optional`: who gives no key is somebody on this machine, and may do all. */
export type KeyPolicy = 'optional' | 'required'
export type AccessPolicy = {
  keys: KeyPolicy
  /** Whose pages may ask, as `https://app.example.com`. */
  origins: readonly string[]
  /** Of each; 0: as many as they like; undefined: so too on this machine, and elsewhere what `limits.ts` says. */
  requestsPerMinute?: number | undefined
  webhooksPerMinute?: number | undefined
}
/** Who asks: the holder of a key, somebody on this machine, somebody whose key is none, or without any. */
export type Asker = ApiKey | 'local' | 'impostor' | undefined

type Kind = 'requests' | 'webhooks'

declare module 'fastify' {
  interface FastifyRequest {
    asker: Asker
  }
}

/** Before any route is added. Adding one that is not in the table of scopes throws. */
export function guardRoutes(app: FastifyInstance, ports: Ports, policy: AccessPolicy): void {
  const rates = new RateLimits(ports)
  app.decorateRequest('asker', undefined)
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) accessOf(one, url)
  })
  app.addHook('onRequest', async (request, reply) => {
    if (answersPage(request, reply, policy.origins)) return reply.code(204).send()
    const { url } = request.routeOptions
    // what is nowhere is answered so to anybody, and what is open answers also without Redis
    const access = url === undefined ? 'open' : accessOf(request.method, url)
    if (access === 'open') return requireOwnSite(request, policy)
    const key = keyOf(request.headers)
    // whoever gives no key waits for nothing here
    const asker = key === undefined ? undefined : await holderOf(key, ports.redis, access)
    request.asker = asker ?? strangerOf(request, policy)
    const kind = access === 'webhook' ? 'webhooks' : 'requests'
    const limit = limitOf(request.asker, kind, policy)
    if (limit > 0) await requirePatience(request, rates, { kind, limit })
    if (access !== 'webhook') requireScope(request.asker, access)
  })
}

export function accessPolicy({ listen, auth, cors_origins, rate_limit }: DaemonConfig): AccessPolicy {
  const { requests_per_minute: requestsPerMinute, webhooks_per_minute: webhooksPerMinute } = rate_limit
  return { keys: keyPolicy({ listen, auth }), origins: cors_origins, requestsPerMinute, webhooksPerMinute }
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
  return asker === 'local' || (typeof asker === 'object' && mayDo(asker, 'run'))
}

/** Where no key is asked for, one that is not ours is the sender's own affair; elsewhere it is wrong, also on loopback. */
async function holderOf(key: string, redis: Redis, access: Access): Promise<Asker> {
  return (await recognise(redis, key)) ?? (access === 'webhook' ? undefined : 'impostor')
}

function strangerOf(request: FastifyRequest, policy: AccessPolicy): Asker {
  if (policy.keys === 'required') return undefined
  requireOwnSite(request, policy)
  return 'local'
}

/** Where nothing else tells a page of another site from its user. */
function requireOwnSite(request: FastifyRequest, { keys, origins }: AccessPolicy): void {
  const fault = keys === 'required' ? undefined : crossSiteFault(request, origins)
  if (fault !== undefined) throw new ApiError(403, 'CROSS_SITE', `Cannot answer the request: ${fault}`)
}

function limitOf(asker: Asker, kind: Kind, policy: AccessPolicy): number {
  const isHook = kind === 'webhooks'
  const told = isHook ? policy.webhooksPerMinute : policy.requestsPerMinute
  if (told !== undefined || asker === 'local') return told ?? 0
  return isHook ? limits.webhooksPerMinute : limits.requestsPerMinute
}

async function requirePatience(
  { asker, ip }: FastifyRequest,
  rates: RateLimits,
  { kind, limit }: { kind: Kind; limit: number },
): Promise<void> {
  const who = typeof asker === 'object' ? `key ${asker.id}` : askerAt(ip)
  const seconds = await rates.count(`${kind} ${who}`, limit)
  if (seconds === 0) return
  const message = `Cannot answer the request: at most ${limit} ${kind} a minute; ask again in ${seconds} s`
  throw new ApiError(429, 'RATE_LIMITED', message, { retryAfterS: seconds })
}

function requireScope(asker: Asker, scope: Scope): void {
  if (asker === 'local') return
  if (asker === 'impostor')
    throw new ApiError(401, 'KEY_INVALID', 'Cannot answer the request: its key is not valid; it may have been revoked')
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

/** Lets the pages of configured origins read answers (CORS). True when the request only asks whether it may (preflight). */
function answersPage({ headers, method }: FastifyRequest, reply: FastifyReply, origins: readonly string[]): boolean {
  if (origins.length === 0) return false
  reply.header('vary', 'Origin')
  if (headers.origin === undefined || !origins.includes(headers.origin)) return false
  reply.headers({
    'access-control-allow-origin': headers.origin,
    'access-control-expose-headers': 'ETag, Retry-After, X-Request-Id',
  })
  if (method !== 'OPTIONS' || headers['access-control-request-method'] === undefined) return false
  reply.headers({
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers': 'Authorization, Content-Type, Idempotency-Key, If-Match, X-Api-Key, X-Request-Id',
    'access-control-max-age': '600',
  })
  return true
}
