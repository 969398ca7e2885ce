/**
 * The keys of the HTTP API, as Redis knows them: who holds what scopes, and a digest to recognise the key by. The key
 * itself is never here. They are kept by the script `define`, under a prefix of their own: it adds without overwriting
 * and removes what is there, which is all that keys need.
 */
import type { Redis } from '../ports.ts'
import { apiKeyPrefix, apiKeys } from './keys.ts'
import { define } from './scripts/define.ts'

export const scopes = ['read', 'run', 'admin'] as const
export type Scope = (typeof scopes)[number]

/** `createdAt` in epoch milliseconds; `digest` in hex. */
export type ApiKey = { id: string; name: string; scopes: readonly Scope[]; digest: string; createdAt: number }

/** `taken` when there is a key of this id already. */
export async function addApiKey(redis: Redis, { id, createdAt, ...body }: ApiKey): Promise<'added' | 'taken'> {
  return (await change(redis, id, ['new', String(createdAt), JSON.stringify(body)])) === 'ok' ? 'added' : 'taken'
}

export async function findApiKey(redis: Redis, id: string): Promise<ApiKey | undefined> {
  // the field '' counts changes
  const record = id === '' ? null : await redis.hget(apiKeys, id)
  return record === null ? undefined : decode(id, record)
}

/** Oldest first. */
export async function listApiKeys(redis: Redis): Promise<ApiKey[]> {
  const records = Object.entries(await redis.hgetall(apiKeys)).filter(([id]) => id !== '')
  return records.map(([id, record]) => decode(id, record)).sort((a, b) => a.createdAt - b.createdAt)
}

/** False when there is no such key. */
export async function revokeApiKey(redis: Redis, id: string, now: number): Promise<boolean> {
  return id !== '' && (await change(redis, id, ['any', String(now), ''])) === 'ok'
}

async function change(redis: Redis, id: string, rest: readonly string[]): Promise<string | undefined> {
  return String(await redis.call(define, [apiKeyPrefix], [id, ...rest])).split('\n')[0]
}

function decode(id: string, record: string): ApiKey {
  const [version, createdAt, updatedAt] = record.split('\n', 3)
  const json = record.slice(`${version}\n${createdAt}\n${updatedAt}\n`.length)
  return { id, createdAt: Number(createdAt), ...(JSON.parse(json) as Omit<ApiKey, 'id' | 'createdAt'>) }
}
