/**
 * What a definition has, written down once by whatever makes it the current one: its loops with their hashes, replicas,
 * node types, queues with the loops that read them. Leases check a loop's hash against this, and a run is complete when
 * as many loops have ended as are declared.
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import { knownWorkflows } from '../keys.ts'
import type { Args } from './prelude.ts'

/** Arguments: schema, hash, nodes JSON, loops as (id, hash), replicas, queues as (name, loops by line, limit). */
export const declareLua = `
local schema, hash, nodes, loops, replicas, queues = int(), arg(), arg(), list(), list(), list()
local function declarable()
  for _, k in ipairs({'meta', 'bells', 'limits', 'loops', 'yields'}) do if not is(P .. k, 'hash') then return false end end
  for _, k in ipairs({'queues', 'replicas'}) do if not is(P .. k, 'set') then return false end end
  return is('${knownWorkflows}', 'set')
end
local function declare()
  redis.call('DEL', P .. 'bells', P .. 'limits', P .. 'loops', P .. 'yields')
  redis.call('HSET', P .. 'meta', 'schema', text(schema), 'hash', hash, 'nodes', nodes)
  redis.call('SADD', '${knownWorkflows}', P)
  for i = 1, #loops, 2 do redis.call('HSET', P .. 'loops', loops[i], loops[i + 1]) end
  for _, name in ipairs(replicas) do redis.call('SADD', P .. 'replicas', name) end
  for i = 1, #queues, 3 do
    redis.call('SADD', P .. 'queues', queues[i])
    redis.call('HSET', P .. 'limits', queues[i], queues[i + 2])
    if queues[i + 1] ~= '' then redis.call('HSET', P .. 'bells', queues[i], queues[i + 1]) end
  end
end
`

export type Declaration = {
  schema: number
  hash: string
  nodes: string
  loops: string[]
  replicas: string[]
  queues: string[]
}

export function readDeclaration(a: Args): Declaration {
  return { schema: a.int(), hash: a.next(), nodes: a.next(), loops: a.list(), replicas: a.list(), queues: a.list() }
}

export const declaredHashes = ['meta', 'bells', 'limits', 'loops', 'yields'] as const
export const declaredSets = ['queues', 'replicas'] as const

export function declare(db: Keyspace, p: string, d: Declaration): void {
  db.del(`${p}bells`, `${p}limits`, `${p}loops`, `${p}yields`)
  db.hset(`${p}meta`, 'schema', String(d.schema), 'hash', d.hash, 'nodes', d.nodes)
  db.sadd(knownWorkflows, p)
  for (let i = 0; i < d.loops.length; i += 2) db.hset(`${p}loops`, d.loops[i] as string, d.loops[i + 1] as string)
  for (const name of d.replicas) db.sadd(`${p}replicas`, name)
  for (let i = 0; i < d.queues.length; i += 3) {
    const [queue, readers, limit] = d.queues.slice(i, i + 3) as [string, string, string]
    db.sadd(`${p}queues`, queue)
    db.hset(`${p}limits`, queue, limit)
    if (readers !== '') db.hset(`${p}bells`, queue, readers)
  }
}
