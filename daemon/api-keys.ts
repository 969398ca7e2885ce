/**
 * Keys as people hold them: `oe_ID_SECRET`, 256 random bits, shown once. A digest without salt or stretching is enough for
 * what nobody can guess; comparing it takes as long for any key, and for one that does not exist.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Redis } from '../engine/ports.ts'
import { type ApiKey, addApiKey, findApiKey, type Scope } from '../engine/store/api-keys.ts'

type Headers = Record<string, string | string[] | undefined>

const nobody = digestOf('')

/** Makes a key and keeps its digest; the key is in the answer and nowhere else. Rejects with a `REDIS_…` error. */
export async function issueKey(
  redis: Redis,
  wanted: { name: string; scopes: readonly Scope[] },
  now: number,
): Promise<{ id: string; key: string }> {
  for (;;) {
    const id = randomBytes(6).toString('hex')
    const key = `oe_${id}_${randomBytes(32).toString('base64url')}`
    const digest = digestOf(key).toString('hex')
    if ((await addApiKey(redis, { id, ...wanted, digest, createdAt: now })) === 'added') return { id, key }
  }
}

/** The key that this text is; undefined when it is none. Rejects with a `REDIS_…` error. */
export async function recognise(redis: Redis, text: string): Promise<ApiKey | undefined> {
  const id = /^oe_([0-9a-f]{12})_[\w-]{43}$/.exec(text)?.[1]
  const known = id === undefined ? undefined : await findApiKey(redis, id)
  const expected = known === undefined ? nobody : Buffer.from(known.digest, 'hex')
  return timingSafeEqual(digestOf(text), expected) ? known : undefined
}

/** What a request gives as its key; undefined when it gives none. Other schemes of `Authorization` are not ours. */
export function keyOf(headers: Headers): string | undefined {
  const given = /^(?:bearer|api-key)\s+(.*)$/i.exec(String(headers.authorization ?? ''))?.[1]
  const header = headers['x-api-key']
  return given ?? (header === undefined ? undefined : String(header))
}

/** `admin` may do all; the others only what they name. */
export function mayDo(key: Pick<ApiKey, 'scopes'>, scope: Scope): boolean {
  return key.scopes.includes(scope) || key.scopes.includes('admin')
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
