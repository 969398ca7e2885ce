import { expect, it } from 'vitest'
import { issueKey, keyOf, mayDo, recognise } from '../../daemon/api-keys.ts'
import { listApiKeys, revokeApiKey, type Scope } from '../../engine/store/api-keys.ts'
import { Bench } from '../support/engine-bench.ts'

const wanted = { name: 'ci', scopes: ['read'] as Scope[] }

it('a key is recognised until it is revoked, and is not in Redis', async () => {
  const { redis } = new Bench().ports(1)
  const { id, key } = await issueKey(redis, wanted, 5)
  expect(await recognise(redis, key)).toMatchObject({ id, ...wanted, createdAt: 5 })
  const kept = JSON.stringify(await listApiKeys(redis))
  expect([kept.includes(id), kept.includes(key.slice(-43))]).toEqual([true, false])
  expect([await revokeApiKey(redis, id, 6), await revokeApiKey(redis, id, 7)]).toEqual([true, false])
  expect([await recognise(redis, key), await listApiKeys(redis)]).toEqual([undefined, []])
})

it.each<[string, (key: string) => string]>([
  ['nothing', () => ''],
  ['another secret', key => `${key.slice(0, 16)}${'A'.repeat(43)}`],
  ['another id', key => `oe_000000000000${key.slice(15)}`],
  ['more than the key', key => `${key}A`],
])('%s is no key', async (_, wrong) => {
  const { redis } = new Bench().ports(1)
  const { key } = await issueKey(redis, wanted, 0)
  expect(await recognise(redis, wrong(key))).toBeUndefined()
})

it.each<[Record<string, string>, string | undefined]>([
  [{ authorization: 'Bearer a' }, 'a'],
  [{ authorization: 'api-key a' }, 'a'],
  [{ 'x-api-key': 'a' }, 'a'],
  [{ 'x-api-key': '' }, ''],
  [{ authorization: 'Basic a' }, undefined],
  [{}, undefined],
])('%j gives the key %j', (headers, key) => expect(keyOf(headers)).toBe(key))

it.each<[Scope, Scope, boolean]>([
  ['read', 'read', true],
  ['read', 'run', false],
  ['run', 'read', false],
  ['run', 'admin', false],
  ['admin', 'read', true],
  ['admin', 'admin', true],
])('who holds %s asks for %s: %s', (held, asked, may) => expect(mayDo({ scopes: [held] }, asked)).toBe(may))
