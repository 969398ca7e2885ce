/**
 * A daemon's sign of life, and what it is told in return: once a second, one call for all its workflows, so that any
 * number of them costs one round trip. These keys lie outside any workflow's slot: with Redis Cluster this is the one
 * call that would have to be cut up.
 *
 * attend: daemon, what it says of itself (or '' to leave), after how many ms one is stale, prefixes of
 *   workflows → list: `ok`, then for each workflow `STATUS\nRUN\nHASH\nWISH`, and lines `LOOP\tWISH`, where
 *   something is wished of a loop; `yield` is to let go of it
 * time: → epoch milliseconds of the server, for those who show how long a lease still lasts
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { knownDaemons, knownWorkflows } from '../keys.ts'
import { Args, preludeLua, requireType } from './prelude.ts'

const attendLua = `${preludeLua}
local id, about, staleMs, prefixes = arg(), arg(), int(), list()
local daemons, workflows = '${knownDaemons}', '${knownWorkflows}'
if not is(daemons, 'hash') or not is(workflows, 'set') then return wrongType end
for _, p in ipairs(prefixes) do if not is(p .. 'meta', 'hash') or not is(p .. 'desired', 'hash') or not is(p .. 'yields', 'hash') then return wrongType end end
redis.call('HDEL', daemons, id)
local all = redis.call('HGETALL', daemons)
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '^(%d+)|') or '0') < timeMs() - staleMs then redis.call('HDEL', daemons, all[i]) end
end
if about ~= '' then redis.call('HSET', daemons, id, text(timeMs()) .. '|' .. about) end
local answer = {'ok'}
for _, p in ipairs(prefixes) do
  local meta = p .. 'meta'
  local run = redis.call('HGET', meta, 'run') or ''
  local lines = {redis.call('HGET', meta, 'status') or '', run, redis.call('HGET', meta, 'hash') or '', redis.call('HGET', p .. 'desired', '') or ''}
  local loops = redis.call('HKEYS', p .. 'desired')
  table.sort(loops)
  for _, loop in ipairs(loops) do
    if loop ~= '' then lines[#lines + 1] = loop .. '\\t' .. redis.call('HGET', p .. 'desired', loop) end
  end
  local yields = redis.call('HKEYS', p .. 'yields')
  table.sort(yields)
  for _, loop in ipairs(yields) do
    if (tonumber(redis.call('HGET', p .. 'yields', loop)) or 0) > timeMs() then lines[#lines + 1] = loop .. '\\tyield' end
  end
  answer[#answer + 1] = table.concat(lines, '\\n')
  if run ~= '' and redis.call('SISMEMBER', workflows, p) == 0 then redis.call('SADD', workflows, p) end
end
return answer
`

export const attend: Script = {
  name: 'attend',
  lua: attendLua,
  run(db, _keys, args) {
    const a = new Args(args)
    const [id, about, staleMs, prefixes] = [a.next(), a.next(), a.int(), a.list()]
    requireType(db, knownDaemons, 'hash')
    requireType(db, knownWorkflows, 'set')
    for (const key of prefixes.flatMap(p => [`${p}meta`, `${p}desired`, `${p}yields`])) requireType(db, key, 'hash')
    signOfLife(db, { id, about, staleMs })
    return ['ok', ...prefixes.map(p => tell(db, p))]
  },
}

function signOfLife(db: Keyspace, daemon: { id: string; about: string; staleMs: number }): void {
  // removed first, so that a full Redis does not make a daemon look dead (S2)
  db.hdel(knownDaemons, daemon.id)
  for (const [id, value] of Object.entries(db.hgetall(knownDaemons))) {
    const seen = Number(/^(\d+)\|/.exec(value)?.[1] ?? '0')
    if (seen < db.timeMs() - daemon.staleMs) db.hdel(knownDaemons, id)
  }
  if (daemon.about !== '') db.hset(knownDaemons, daemon.id, `${db.timeMs()}|${daemon.about}`)
}

function tell(db: Keyspace, p: string): string {
  const meta = (field: string): string => db.hget(`${p}meta`, field) ?? ''
  const [desired, yields] = [`${p}desired`, `${p}yields`]
  const lines = [meta('status'), meta('run'), meta('hash'), db.hget(desired, '') ?? '']
  for (const loop of db.hkeys(desired).sort()) if (loop !== '') lines.push(`${loop}\t${db.hget(desired, loop)}`)
  for (const loop of db.hkeys(yields).sort())
    if (Number(db.hget(yields, loop)) > db.timeMs()) lines.push(`${loop}\tyield`)
  if (meta('run') !== '' && db.sismember(knownWorkflows, p) === 0) db.sadd(knownWorkflows, p)
  return lines.join('\n')
}

export const time: Script = {
  name: 'time',
  lua: `${preludeLua}
return text(timeMs())
`,
  run: db => String(db.timeMs()),
}
