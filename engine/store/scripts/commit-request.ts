/**
 * Commits one request of an `api` workflow, wholly or not at all: what it pushed, runtime variables, its count. No lease
 * is needed, since requests share nothing but these keys; a repeated token gets its first answer and changes nothing.
 * More than a whole queue fits into an empty one, as with `commit`.
 *
 * Arguments: token, loop, outcome (`ok`, `failed`), pushes (queue, limit, entry)…, runtime (key, JSON or '')….
 * Answers: `ok`, `full\nQUEUE`.
 */
import { limits } from '../../limits.ts'
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { Args, preludeLua, requireType, ringReaders } from './prelude.ts'

const lua = `${preludeLua}
local token, loop, outcome, pushes, runtime = arg(), arg(), arg(), list(), list()
local r = P .. 'r:' .. loop .. ':0'
for _, key in ipairs({r, P .. 'meta', P .. 'runtime', P .. 'pushed', P .. 'bells'}) do
  if not is(key, 'hash') then return wrongType end
end
if not is(P .. 'pushedo', 'list') or not is(P .. 'queues', 'set') then return wrongType end
local more = {}
for i = 1, #pushes, 3 do
  if not is(P .. 'q:' .. pushes[i], 'list') then return wrongType end
  more[pushes[i]] = (more[pushes[i]] or 0) + 1
end
if redis.call('HEXISTS', P .. 'pushed', token) == 1 then return 'ok' end
for i = 1, #pushes, 3 do
  local queue, limit = pushes[i], tonumber(pushes[i + 1])
  local length = redis.call('LLEN', P .. 'q:' .. queue)
  if limit > 0 and length > 0 and length + more[queue] > limit then return 'full\\n' .. queue end
end
for i = 1, #runtime, 2 do
  if runtime[i + 1] == '' then redis.call('HDEL', P .. 'runtime', runtime[i])
  else redis.call('HSET', P .. 'runtime', runtime[i], runtime[i + 1]) end
end
if #runtime > 0 then redis.call('HINCRBY', P .. 'meta', 'runtime_version', 1) end
for i = 1, #pushes, 3 do
  redis.call('RPUSH', P .. 'q:' .. pushes[i], pushes[i + 2])
  redis.call('SADD', P .. 'queues', pushes[i])
  ringReaders(pushes[i])
end
redis.call('HINCRBY', r, 'iterations', 1)
if outcome == 'failed' then redis.call('HINCRBY', r, 'failed', 1) end
if #pushes > 0 then redis.call('HINCRBY', r, 'pushed', #pushes / 3) end
redis.call('HSET', P .. 'pushed', token, 'ok')
redis.call('RPUSH', P .. 'pushedo', token)
if redis.call('LLEN', P .. 'pushedo') > ${limits.pushTokensMax} then redis.call('HDEL', P .. 'pushed', redis.call('LPOP', P .. 'pushedo')) end
return 'ok'
`

type Push = { queue: string; limit: number; entry: string }

function readPushes(list: readonly string[]): Push[] {
  const pushes: Push[] = []
  for (let i = 0; i < list.length; i += 3) {
    pushes.push({ queue: list[i] as string, limit: Number(list[i + 1]), entry: list[i + 2] as string })
  }
  return pushes
}

/** The first queue without room for all that this request pushes there. */
function fullQueue(db: Keyspace, p: string, pushes: readonly Push[]): string | undefined {
  const full = pushes.find(({ queue, limit }) => {
    const length = db.llen(`${p}q:${queue}`)
    const more = pushes.filter(push => push.queue === queue).length
    return limit > 0 && length > 0 && length + more > limit
  })
  return full?.queue
}

function setRuntime(db: Keyspace, p: string, pairs: readonly string[]): void {
  for (let i = 0; i < pairs.length; i += 2) {
    const [key, text] = pairs.slice(i, i + 2) as [string, string]
    if (text === '') db.hdel(`${p}runtime`, key)
    else db.hset(`${p}runtime`, key, text)
  }
  if (pairs.length > 0) db.hincrby(`${p}meta`, 'runtime_version', 1)
}

export const commitRequest: Script = {
  name: 'commit-request',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [token, loop, outcome, pushes, runtime] = [a.next(), a.next(), a.next(), readPushes(a.list()), a.list()]
    const r = `${p}r:${loop}:0`
    for (const key of [r, `${p}meta`, `${p}runtime`, `${p}pushed`, `${p}bells`]) requireType(db, key, 'hash')
    requireType(db, `${p}pushedo`, 'list')
    requireType(db, `${p}queues`, 'set')
    for (const { queue } of pushes) requireType(db, `${p}q:${queue}`, 'list')
    if (db.hexists(`${p}pushed`, token) === 1) return 'ok'
    const full = fullQueue(db, p, pushes)
    if (full !== undefined) return `full\n${full}`
    setRuntime(db, p, runtime)
    for (const { queue, entry } of pushes) {
      db.rpush(`${p}q:${queue}`, entry)
      db.sadd(`${p}queues`, queue)
      ringReaders(db, p, queue)
    }
    db.hincrby(r, 'iterations', 1)
    if (outcome === 'failed') db.hincrby(r, 'failed', 1)
    if (pushes.length > 0) db.hincrby(r, 'pushed', pushes.length)
    db.hset(`${p}pushed`, token, 'ok')
    if (db.rpush(`${p}pushedo`, token) > limits.pushTokensMax) db.hdel(`${p}pushed`, db.lpop(`${p}pushedo`) as string)
    return 'ok'
  },
}
