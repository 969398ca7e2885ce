/**
 * Moves items from a loop's queues to the replica's claimed list. Requeued items come first, then the queues in turn;
 * a suspect (1.6) is claimed alone, so that the next death tells whether it is to blame.
 *
 * Arguments: loop, replica, holder, token, seq, most items, first queue to look at, `chain` when other replicas may
 * sleep, queues as (name, limit) pairs. Answers `claimed\nN\nVERSION OF RUNTIME VARIABLES` and then the claims, `empty`, or as
 * fenced (S3).
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { Args, advance, fence, preludeLua, requireType, ring, ringWriters } from './prelude.ts'

const lua = `${preludeLua}
local loop, replica, holder, token, seq, most, first, chain = arg(), arg(), arg(), arg(), arg(), int(), int(), arg()
local sources = list()
local r, c = P .. 'r:' .. loop .. ':' .. replica, P .. 'c:' .. loop .. ':' .. replica
if not is(r, 'hash') or not is(P .. 'meta', 'hash') or not is(c, 'list') then return wrongType end
local requeue = 'requeue_' .. loop
if not is(P .. 'q:' .. requeue, 'list') then return wrongType end
for i = 1, #sources, 2 do
  if not is(P .. 'q:' .. sources[i], 'list') or not is(P .. 'full:' .. sources[i], 'set') then return wrongType end
end
local function answer(n)
  local claims = redis.call('LRANGE', c, -n, -1)
  table.insert(claims, 1, 'claimed\\n' .. text(n) .. '\\n' .. (redis.call('HGET', P .. 'meta', 'runtime_version') or '0'))
  return claims
end
local stop = fence(r, holder, token, seq)
if stop then
  local n = string.match(stop, '^again\\nclaimed\\n(%d+)$')
  return n and answer(tonumber(n)) or stop
end
local taken, done = 0, false
local function take(queue)
  local head = redis.call('LINDEX', P .. 'q:' .. queue, 0)
  if not head then return false end
  local suspect = string.sub(head, 1, 1) == 's'
  if suspect and taken > 0 then done = true return false end
  redis.call('LPOP', P .. 'q:' .. queue)
  redis.call('RPUSH', c, queue .. '\\n' .. head)
  taken = taken + 1
  done = suspect or taken >= most
  return true
end
while not done and take(requeue) do end
local n, idle, turn = #sources / 2, 0, first
while not done and idle < n do
  if take(sources[(turn % n) * 2 + 1]) then idle = 0 else idle = idle + 1 end
  turn = turn + 1
end
if taken == 0 then return 'empty' end
for i = 1, #sources, 2 do
  ringWriters(sources[i], tonumber(sources[i + 1]))
  if chain == 'chain' and redis.call('LLEN', P .. 'q:' .. sources[i]) > 0 then ring(loop) end
end
redis.call('HSET', r, 'alone', (taken == 1 and redis.call('LLEN', c) == 1) and '1' or '0')
advance(r, token, seq, 'claimed\\n' .. text(taken))
return answer(taken)
`

type ClaimOrder = { loop: string; claims: string; sources: string[]; most: number; first: number }

/** Takes items one by one, as `claim` says; the number taken. */
function takeInTurn(db: Keyspace, p: string, order: ClaimOrder): number {
  let taken = 0
  let done = false
  const take = (queue: string): boolean => {
    const head = db.lindex(`${p}q:${queue}`, 0)
    if (head === null) return false
    const suspect = head.startsWith('s')
    done = suspect && taken > 0
    if (done) return false
    db.lpop(`${p}q:${queue}`)
    db.rpush(order.claims, `${queue}\n${head}`)
    taken += 1
    done = suspect || taken >= order.most
    return true
  }
  while (!done && take(`requeue_${order.loop}`));
  const n = order.sources.length
  for (let idle = 0, turn = order.first; !done && idle < n; turn++) {
    idle = take(order.sources[turn % n] as string) ? 0 : idle + 1
  }
  return taken
}

export const claim: Script = {
  name: 'claim',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, replica, holder, token, seq] = [a.next(), a.next(), a.next(), a.next(), a.next()]
    const [most, first, chain, pairs] = [a.int(), a.int(), a.next(), a.list()]
    const sources = pairs.filter((_, i) => i % 2 === 0)
    const [r, c] = [`${p}r:${loop}:${replica}`, `${p}c:${loop}:${replica}`]
    for (const key of [r, `${p}meta`]) requireType(db, key, 'hash')
    for (const key of [c, `${p}q:requeue_${loop}`]) requireType(db, key, 'list')
    for (const queue of sources) {
      requireType(db, `${p}q:${queue}`, 'list')
      requireType(db, `${p}full:${queue}`, 'set')
    }
    const version = () => db.hget(`${p}meta`, 'runtime_version') ?? '0'
    const answer = (n: number) => [`claimed\n${n}\n${version()}`, ...db.lrange(c, -n, -1)]
    const stop = fence(db, r, { holder, token, seq })
    if (stop !== undefined) {
      return stop.startsWith('again\nclaimed\n') ? answer(Number(stop.slice('again\nclaimed\n'.length))) : stop
    }
    const taken = takeInTurn(db, p, { loop, claims: c, sources, most, first })
    if (taken === 0) return 'empty'
    for (const [i, queue] of sources.entries()) {
      ringWriters(db, p, queue, Number(pairs[i * 2 + 1]))
      if (chain === 'chain' && db.llen(`${p}q:${queue}`) > 0) ring(db, p, loop)
    }
    db.hset(r, 'alone', taken === 1 && db.llen(c) === 1 ? '1' : '0')
    advance(db, r, { token, seq }, `claimed\n${taken}`)
    return answer(taken)
  },
}
