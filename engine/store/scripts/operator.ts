/**
 * What comes from outside the loops: pushes by hand or webhook, requeued and purged dead letters, purged queues, wishes
 * (pause, stop). No holder is needed; a repeated call changes nothing more.
 *
 * push: token, queue, entries → `pushed\nN`, `full\nLENGTH\nLIMIT`
 * requeue: id, queue, entry → `requeued`, `unknown`
 * purge-dead-letters: ids (none: all) → `purged\nN`;  purge-queue: queue → `purged\nN`
 * desire: loop (or ''), wish (or '' for none), the wish it may replace ('*': any) → `ok\nSTATUS OF THE RUN`, or
 *   `differs\nWISH` when another is there. The wish `run:TOKEN` of an unfinished run is to go on with it: no wish at all.
 */
import { limits } from '../../limits.ts'
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { Args, preludeLua, requireType, ring, ringReaders, ringWriters } from './prelude.ts'

const pushLua = `${preludeLua}
local token, queue, entries = arg(), arg(), list()
local q = P .. 'q:' .. queue
if not is(q, 'list') or not is(P .. 'pushedo', 'list') or not is(P .. 'pushed', 'hash') then return wrongType end
if not is(P .. 'queues', 'set') or not is(P .. 'bells', 'hash') or not is(P .. 'limits', 'hash') then return wrongType end
local limit = tonumber(redis.call('HGET', P .. 'limits', queue) or '0')
local before = redis.call('HGET', P .. 'pushed', token)
if before then return before end
local length = redis.call('LLEN', q)
if limit > 0 and length > 0 and length + #entries > limit then return 'full\\n' .. text(length) .. '\\n' .. text(limit) end
for _, entry in ipairs(entries) do redis.call('RPUSH', q, entry) end
redis.call('SADD', P .. 'queues', queue)
local answer = 'pushed\\n' .. text(#entries)
redis.call('HSET', P .. 'pushed', token, answer)
redis.call('RPUSH', P .. 'pushedo', token)
if redis.call('LLEN', P .. 'pushedo') > ${limits.pushTokensMax} then redis.call('HDEL', P .. 'pushed', redis.call('LPOP', P .. 'pushedo')) end
ringReaders(queue)
return answer
`

export const push: Script = {
  name: 'push',
  lua: pushLua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [token, queue, entries] = [a.next(), a.next(), a.list()]
    for (const key of [`q:${queue}`, 'pushedo']) requireType(db, p + key, 'list')
    for (const key of ['pushed', 'bells', 'limits']) requireType(db, p + key, 'hash')
    requireType(db, `${p}queues`, 'set')
    const limit = limitOf(db, p, queue)
    const before = db.hget(`${p}pushed`, token)
    if (before !== null) return before
    const length = db.llen(`${p}q:${queue}`)
    if (limit > 0 && length > 0 && length + entries.length > limit) return `full\n${length}\n${limit}`
    for (const entry of entries) db.rpush(`${p}q:${queue}`, entry)
    db.sadd(`${p}queues`, queue)
    const answer = `pushed\n${entries.length}`
    db.hset(`${p}pushed`, token, answer)
    if (db.rpush(`${p}pushedo`, token) > limits.pushTokensMax) db.hdel(`${p}pushed`, db.lpop(`${p}pushedo`) as string)
    ringReaders(db, p, queue)
    return answer
  },
}

/** What the workflow that ran last declared; 0: none. */
function limitOf(db: Keyspace, p: string, queue: string): number {
  return Number(db.hget(`${p}limits`, queue) ?? '0')
}

const requeueLua = `${preludeLua}
local id, queue, loop, entry = arg(), arg(), arg(), arg()
if not is(P .. 'dl', 'hash') or not is(P .. 'dlo', 'list') or not is(P .. 'q:' .. queue, 'list') then return wrongType end
if not is(P .. 'bells', 'hash') or not is(P .. 'queues', 'set') then return wrongType end
if redis.call('HEXISTS', P .. 'dl', id) == 0 then return 'unknown' end
redis.call('HDEL', P .. 'dl', id)
redis.call('LREM', P .. 'dlo', 0, id)
redis.call('RPUSH', P .. 'q:' .. queue, entry)
redis.call('SADD', P .. 'queues', queue)
ringReaders(queue)
ring(loop)
return 'requeued'
`

export const requeue: Script = {
  name: 'requeue',
  lua: requeueLua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [id, queue, loop, entry] = [a.next(), a.next(), a.next(), a.next()]
    for (const key of ['dl', 'bells']) requireType(db, p + key, 'hash')
    for (const key of ['dlo', `q:${queue}`]) requireType(db, p + key, 'list')
    requireType(db, `${p}queues`, 'set')
    if (db.hexists(`${p}dl`, id) === 0) return 'unknown'
    db.hdel(`${p}dl`, id)
    db.lrem(`${p}dlo`, id)
    db.rpush(`${p}q:${queue}`, entry)
    db.sadd(`${p}queues`, queue)
    ringReaders(db, p, queue)
    ring(db, p, loop)
    return 'requeued'
  },
}

const purgeDeadLettersLua = `${preludeLua}
local ids = list()
if not is(P .. 'dl', 'hash') or not is(P .. 'dlo', 'list') then return wrongType end
if #ids == 0 then
  local n = redis.call('HLEN', P .. 'dl')
  redis.call('DEL', P .. 'dl', P .. 'dlo')
  return 'purged\\n' .. text(n)
end
local purged = 0
for _, id in ipairs(ids) do
  if redis.call('HDEL', P .. 'dl', id) == 1 then
    redis.call('LREM', P .. 'dlo', 0, id)
    purged = purged + 1
  end
end
return 'purged\\n' .. text(purged)
`

export const purgeDeadLetters: Script = {
  name: 'purge-dead-letters',
  lua: purgeDeadLettersLua,
  run(db, [p = ''], args) {
    const ids = new Args(args).list()
    requireType(db, `${p}dl`, 'hash')
    requireType(db, `${p}dlo`, 'list')
    if (ids.length === 0) {
      const n = db.hlen(`${p}dl`)
      db.del(`${p}dl`, `${p}dlo`)
      return `purged\n${n}`
    }
    const purged = ids.filter(each => db.hdel(`${p}dl`, each) === 1)
    for (const each of purged) db.lrem(`${p}dlo`, each)
    return `purged\n${purged.length}`
  },
}

const purgeQueueLua = `${preludeLua}
local queue = arg()
if not is(P .. 'q:' .. queue, 'list') or not is(P .. 'full:' .. queue, 'set') or not is(P .. 'limits', 'hash') then return wrongType end
local n = redis.call('LLEN', P .. 'q:' .. queue)
redis.call('DEL', P .. 'q:' .. queue)
ringWriters(queue, tonumber(redis.call('HGET', P .. 'limits', queue) or '0'))
return 'purged\\n' .. text(n)
`

export const purgeQueue: Script = {
  name: 'purge-queue',
  lua: purgeQueueLua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const queue = a.next()
    requireType(db, `${p}q:${queue}`, 'list')
    requireType(db, `${p}full:${queue}`, 'set')
    requireType(db, `${p}limits`, 'hash')
    const n = db.llen(`${p}q:${queue}`)
    db.del(`${p}q:${queue}`)
    ringWriters(db, p, queue, limitOf(db, p, queue))
    return `purged\n${n}`
  },
}

const desireLua = `${preludeLua}
local loop, wish, instead = arg(), arg(), arg()
if not is(P .. 'desired', 'hash') or not is(P .. 'meta', 'hash') then return wrongType end
local status = redis.call('HGET', P .. 'meta', 'status') or ''
local answer = 'ok\\n' .. status
local before = redis.call('HGET', P .. 'desired', loop) or ''
if string.sub(wish, 1, 4) == 'run:' then
  if redis.call('HGET', P .. 'meta', 'run_token') == string.sub(wish, 5) then return answer end
  if status == 'running' then wish = '' end
end
if before == wish then return answer end
if instead ~= '*' and before ~= instead then return 'differs\\n' .. before end
if wish == '' then redis.call('HDEL', P .. 'desired', loop) else redis.call('HSET', P .. 'desired', loop, wish) end
return answer
`

export const desire: Script = {
  name: 'desire',
  lua: desireLua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, asked, instead] = [a.next(), a.next(), a.next()]
    for (const key of ['desired', 'meta']) requireType(db, p + key, 'hash')
    const status = db.hget(`${p}meta`, 'status') ?? ''
    const answer = `ok\n${status}`
    const before = db.hget(`${p}desired`, loop) ?? ''
    const isRun = asked.startsWith('run:')
    if (isRun && db.hget(`${p}meta`, 'run_token') === asked.slice('run:'.length)) return answer
    const wish = isRun && status === 'running' ? '' : asked
    if (before === wish) return answer
    if (instead !== '*' && before !== instead) return `differs\n${before}`
    if (wish === '') db.hdel(`${p}desired`, loop)
    else db.hset(`${p}desired`, loop, wish)
    return answer
  },
}
