/**
 * Moves items from a loop's queues to the replica's claimed list. Requeued items come first, then the queues in turn;
 * a suspect (1.6) is claimed alone, so that the next death tells whether it is to blame. What comes after the loop has
 * ended (somebody has an item tried again) waits for the next run. Committing can claim in the same step, so a busy loop
 * makes one round trip for a whole group (see commit.ts).
 *
 * Arguments: loop, replica, holder, token, seq, and the wish: most items, first queue to look at, `chain` when other
 * replicas may sleep, queues as (name, limit) pairs. Answers `claimed\nN\nVERSION OF RUNTIME VARIABLES` and then the
 * claims, `empty\nVERSION OF RUNTIME VARIABLES`, or as fenced (S3).
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { Args, advance, fence, preludeLua, requireType, ring, ringWriters } from './prelude.ts'

/** Needs `loop` and `c`, the claimed list, to be set. */
export const takeLua = `
local function readWish() return {most = int(), first = int(), chain = arg(), sources = list()} end
local function wishReadable(wish)
  if not is(P .. 'q:requeue_' .. loop, 'list') or not is(P .. 'ended', 'hash') then return false end
  for i = 1, #wish.sources, 2 do
    if not is(P .. 'q:' .. wish.sources[i], 'list') or not is(P .. 'full:' .. wish.sources[i], 'set') then return false end
  end
  return true
end
-- Lists are read and cut once for a whole group: a command per item would cost more than the item.
local function take(r, wish)
  local held = redis.call('LINDEX', c, 0)
  local claims, cut, heads = {}, {}, {}
  local ended = redis.call('HGET', P .. 'ended', loop)
  local done = wish.most == 0 or (held and string.find(held, '\\ns') ~= nil) or (ended and ended == redis.call('HGET', P .. 'meta', 'run'))
  local function takeOne(queue)
    if not cut[queue] then cut[queue], heads[queue] = 0, redis.call('LRANGE', P .. 'q:' .. queue, 0, wish.most - 1) end
    local head = heads[queue][cut[queue] + 1]
    if not head then return false end
    local suspect = string.sub(head, 1, 1) == 's'
    if suspect and (#claims > 0 or held) then done = true return false end
    cut[queue] = cut[queue] + 1
    claims[#claims + 1] = queue .. '\\n' .. head
    done = suspect or #claims >= wish.most
    return true
  end
  while not done and takeOne('requeue_' .. loop) do end
  local n, idle, turn = #wish.sources / 2, 0, wish.first
  while not done and idle < n do
    if takeOne(wish.sources[(turn % n) * 2 + 1]) then idle = 0 else idle = idle + 1 end
    turn = turn + 1
  end
  if #claims == 0 then return claims end
  for queue, taken in pairs(cut) do
    if taken > 0 then redis.call('LTRIM', P .. 'q:' .. queue, taken, -1) end
  end
  pushAll(c, claims)
  for i = 1, #wish.sources, 2 do
    ringWriters(wish.sources[i], tonumber(wish.sources[i + 1]))
    if wish.chain == 'chain' and redis.call('LLEN', P .. 'q:' .. wish.sources[i]) > 0 then ring(loop) end
  end
  redis.call('HSET', r, 'alone', (#claims == 1 and not held) and '1' or '0')
  return claims
end
-- the last n claims: those that came with an answer which is given again
local function lastClaims(n) return n > 0 and redis.call('LRANGE', c, -n, -1) or {} end
local function withClaims(head, claims)
  table.insert(claims, 1, head)
  return claims
end
local function runtimeVersion() return redis.call('HGET', P .. 'meta', 'runtime_version') or '0' end
`

const lua = `${preludeLua}
local loop, replica, holder, token, seq = arg(), arg(), arg(), arg(), arg()
local r, c = P .. 'r:' .. loop .. ':' .. replica, P .. 'c:' .. loop .. ':' .. replica
${takeLua}
local wish = readWish()
if not is(r, 'hash') or not is(P .. 'meta', 'hash') or not is(c, 'list') or not wishReadable(wish) then return wrongType end
local stop = fence(r, holder, token, seq)
local before = stop and string.match(stop, '^again\\nclaimed\\n(%d+)$')
if stop and not before then return stop end
local claims = before and lastClaims(tonumber(before)) or take(r, wish)
if #claims == 0 then return 'empty\\n' .. runtimeVersion() end
local answer = 'claimed\\n' .. text(#claims)
if not before then advance(r, token, seq, answer) end
return withClaims(answer .. '\\n' .. runtimeVersion(), claims)
`

/** What a loop wants to claim: at most so many, from its queues in turn. */
export type ClaimWish = { most: number; first: number; chain: string; sources: { queue: string; limit: number }[] }

export function readWish(a: Args): ClaimWish {
  const [most, first, chain, pairs] = [a.int(), a.int(), a.next(), a.list()]
  const sources = pairs.flatMap((queue, i) => (i % 2 === 0 ? [{ queue, limit: Number(pairs[i + 1]) }] : []))
  return { most, first, chain, sources }
}

export function requireReadable(db: Keyspace, p: string, loop: string, wish: ClaimWish): void {
  requireType(db, `${p}q:requeue_${loop}`, 'list')
  requireType(db, `${p}ended`, 'hash')
  for (const { queue } of wish.sources) {
    requireType(db, `${p}q:${queue}`, 'list')
    requireType(db, `${p}full:${queue}`, 'set')
  }
}

export type Claimer = { loop: string; replica: string; claims: string }

/** Takes what the wish allows; the number taken. */
export function take(db: Keyspace, p: string, by: Claimer, wish: ClaimWish): number {
  const held = db.lindex(by.claims, 0)
  let taken = 0
  const ended = db.hget(`${p}ended`, by.loop)
  const hasEnded = ended !== null && ended === db.hget(`${p}meta`, 'run')
  let done = wish.most === 0 || hasEnded || held?.includes('\ns') === true
  const takeOne = (queue: string): boolean => {
    const head = db.lindex(`${p}q:${queue}`, 0)
    if (head === null) return false
    const suspect = head.startsWith('s')
    done = suspect && (taken > 0 || held !== null)
    if (done) return false
    db.lpop(`${p}q:${queue}`)
    db.rpush(by.claims, `${queue}\n${head}`)
    taken += 1
    done = suspect || taken >= wish.most
    return true
  }
  while (!done && takeOne(`requeue_${by.loop}`));
  const n = wish.sources.length
  for (let idle = 0, turn = wish.first; !done && idle < n; turn++) {
    idle = takeOne(wish.sources[turn % n]?.queue as string) ? 0 : idle + 1
  }
  if (taken === 0) return 0
  for (const { queue, limit } of wish.sources) {
    ringWriters(db, p, queue, limit)
    if (wish.chain === 'chain' && db.llen(`${p}q:${queue}`) > 0) ring(db, p, by.loop)
  }
  db.hset(by.replica, 'alone', taken === 1 && held === null ? '1' : '0')
  return taken
}

/** The answer's first line, and the last `n` claims behind it. */
export function withClaims(db: Keyspace, claims: string, head: string, n: number): string[] {
  return n > 0 ? [head, ...db.lrange(claims, -n, -1)] : [head]
}

export function runtimeVersion(db: Keyspace, p: string): string {
  return db.hget(`${p}meta`, 'runtime_version') ?? '0'
}

export const claim: Script = {
  name: 'claim',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, replica, holder, token, seq] = [a.next(), a.next(), a.next(), a.next(), a.next()]
    const wish = readWish(a)
    const [r, c] = [`${p}r:${loop}:${replica}`, `${p}c:${loop}:${replica}`]
    for (const key of [r, `${p}meta`]) requireType(db, key, 'hash')
    requireType(db, c, 'list')
    requireReadable(db, p, loop, wish)
    const stop = fence(db, r, { holder, token, seq })
    const before = stop?.match(/^again\nclaimed\n(\d+)$/)?.[1]
    if (stop !== undefined && before === undefined) return stop
    const taken = before === undefined ? take(db, p, { loop, replica: r, claims: c }, wish) : Number(before)
    if (taken === 0) return `empty\n${runtimeVersion(db, p)}`
    if (before === undefined) advance(db, r, { token, seq }, `claimed\n${taken}`)
    return withClaims(db, c, `claimed\n${taken}\n${runtimeVersion(db, p)}`, taken)
  },
}
