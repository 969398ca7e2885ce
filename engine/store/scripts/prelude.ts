/**
 * What every script shares, once in Lua and once in TypeScript. A script gets the workflow's key prefix as its only key
 * and its arguments one after another; lists are a count followed by their elements.
 *
 * S1 everything is checked before the first write: Lua does not roll back.
 * S2 removals come before pushes: a full Redis refuses only a script whose first write grows it, so readers drain it.
 * S3 a call names holder, token and seq; the same token gets the stored answer again and changes nothing.
 */
import { EngineError } from '../../errors.ts'
import type { Keyspace, KeyType } from '../../memory-redis/keyspace.ts'

export const preludeLua = `
local P = KEYS[1]
local at = 0
local function arg() at = at + 1 return ARGV[at] end
local function int() return tonumber(arg()) end
local function list() local t = {} for i = 1, int() do t[i] = arg() end return t end
local wrongType = redis.error_reply('WRONGTYPE Operation against a key holding the wrong kind of value')
local function is(key, kind)
  local t = redis.call('TYPE', key)
  if type(t) == 'table' then t = t.ok end
  return t == 'none' or t == kind
end
local function timeMs()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
local function text(n) return string.format('%.0f', n) end
local function ringKey(key)
  if is(key, 'none') then redis.call('RPUSH', key, '1') end
end
local function ring(loop) ringKey(P .. 'bell:' .. loop) end
local function ringWaiting(name) ringKey(P .. 'free:' .. name) end
local function ringReaders(queue)
  local loops = redis.call('HGET', P .. 'bells', queue)
  if loops then for loop in string.gmatch(loops, '[^\\n]+') do ring(loop) end end
end
local function ringWriters(queue, limit)
  local waiting = P .. 'full:' .. queue
  if redis.call('EXISTS', waiting) == 0 or redis.call('LLEN', P .. 'q:' .. queue) > limit / 2 then return end
  local replicas = redis.call('SMEMBERS', waiting)
  redis.call('DEL', waiting)
  for _, name in ipairs(replicas) do ringKey(P .. 'room:' .. name) end
end
local function pushAll(key, values)
  -- unpack puts its values on Lua's stack, which holds some thousands
  for i = 1, #values, 1000 do redis.call('RPUSH', key, unpack(values, i, math.min(i + 999, #values))) end
end
local function fence(r, holder, token, seq)
  local now = redis.call('HMGET', r, 'last_token', 'holder', 'seq')
  if now[1] == token then return 'again\\n' .. redis.call('HGET', r, 'last_answer') end
  if now[2] ~= holder then return 'fenced' end
  if now[3] ~= seq then return 'diverged' end
  return nil
end
local function advance(r, token, seq, answer)
  redis.call('HSET', r, 'seq', text(tonumber(seq) + 1), 'last_token', token, 'last_answer', answer)
  return answer
end
-- puts claims back to the front of their queues, the last one first, so that order is kept
local function returnClaims(name, mark)
  local c = P .. 'c:' .. name
  local claims = redis.call('LRANGE', c, 0, -1)
  redis.call('DEL', c)
  for i = #claims, 1, -1 do
    local cut = string.find(claims[i], '\\n', 1, true)
    local queue, entry = string.sub(claims[i], 1, cut - 1), string.sub(claims[i], cut + 1)
    if mark ~= 'none' then
      local flags, rest = string.match(entry, '^s?(%d+)(|.*)$')
      if mark == 'charge' then flags = text(tonumber(flags) + 1) end
      entry = 's' .. flags .. rest
    end
    redis.call('LPUSH', P .. 'q:' .. queue, entry)
  end
  return #claims
end
-- the queues that claims of this replica came from must be lists before anything is returned to them
local function claimsReturnable(name)
  if not is(P .. 'c:' .. name, 'list') then return false end
  for _, claim in ipairs(redis.call('LRANGE', P .. 'c:' .. name, 0, -1)) do
    local cut = string.find(claim, '\\n', 1, true)
    if not is(P .. 'q:' .. string.sub(claim, 1, cut - 1), 'list') then return false end
  end
  return true
end
`

/** Reads a script's arguments in order, as the Lua prelude does. */
export class Args {
  readonly #args: readonly string[]
  #at = 0
  constructor(args: readonly string[]) {
    this.#args = args
  }
  next(): string {
    return this.#args[this.#at++] as string
  }
  int(): number {
    return Number(this.next())
  }
  list(): string[] {
    const n = this.int()
    this.#at += n
    return this.#args.slice(this.#at - n, this.#at)
  }
}

/** Encodes a list as scripts read it: its length, then its elements. */
export function listArg(values: readonly string[]): string[] {
  return [String(values.length), ...values]
}

export function requireType(db: Keyspace, key: string, kind: KeyType): void {
  const type = db.type(key)
  if (type === 'none' || type === kind) return
  throw new EngineError('REDIS_WRONG_TYPE', 'WRONGTYPE Operation against a key holding the wrong kind of value')
}

/** One wake-up is enough, for however much. */
export function ringKey(db: Keyspace, key: string): void {
  if (db.exists(key) === 0) db.rpush(key, '1')
}

export function ring(db: Keyspace, prefix: string, loop: string): void {
  ringKey(db, `${prefix}bell:${loop}`)
}

/** Wakes one of those who wait for the lease of a replica. */
export function ringWaiting(db: Keyspace, prefix: string, name: string): void {
  ringKey(db, `${prefix}free:${name}`)
}

export function ringReaders(db: Keyspace, prefix: string, queue: string): void {
  for (const loop of db.hget(`${prefix}bells`, queue)?.split('\n') ?? []) {
    if (loop !== '') ring(db, prefix, loop)
  }
}

/** Wakes the replicas that wait for space, once the queue is half empty: waking them at every item would be a ping-pong. */
export function ringWriters(db: Keyspace, prefix: string, queue: string, limit: number): void {
  const waiting = `${prefix}full:${queue}`
  if (db.exists(waiting) === 0 || db.llen(`${prefix}q:${queue}`) > limit / 2) return
  const replicas = db.smembers(waiting)
  db.del(waiting)
  for (const name of replicas) ringKey(db, `${prefix}room:${name}`)
}

/** The answer when the call must not go on: said before, fenced, or diverged; undefined when it may. */
export function fence(db: Keyspace, replica: string, call: { holder: string; token: string; seq: string }) {
  if (db.hget(replica, 'last_token') === call.token) return `again\n${db.hget(replica, 'last_answer')}`
  if (db.hget(replica, 'holder') !== call.holder) return 'fenced'
  if (db.hget(replica, 'seq') !== call.seq) return 'diverged'
  return undefined
}

export function advance(db: Keyspace, replica: string, call: { token: string; seq: string }, answer: string): string {
  db.hset(replica, 'seq', String(Number(call.seq) + 1), 'last_token', call.token, 'last_answer', answer)
  return answer
}

/** `suspect` marks returned claims as suspects, `charge` also counts a delivery against them (1.6). */
export type ReturnMark = 'none' | 'suspect' | 'charge'

export function returnClaims(db: Keyspace, prefix: string, name: string, mark: ReturnMark): number {
  const claims = db.lrange(`${prefix}c:${name}`, 0, -1)
  db.del(`${prefix}c:${name}`)
  for (const claim of claims.toReversed()) {
    const cut = claim.indexOf('\n')
    db.lpush(`${prefix}q:${claim.slice(0, cut)}`, marked(claim.slice(cut + 1), mark))
  }
  return claims.length
}

function marked(entry: string, mark: ReturnMark): string {
  if (mark === 'none') return entry
  const plain = entry.startsWith('s') ? entry.slice(1) : entry
  const cut = plain.indexOf('|')
  const charges = Number(plain.slice(0, cut)) + (mark === 'charge' ? 1 : 0)
  return `s${charges}${plain.slice(cut)}`
}

export function requireReturnable(db: Keyspace, prefix: string, name: string): void {
  requireType(db, `${prefix}c:${name}`, 'list')
  for (const claim of db.lrange(`${prefix}c:${name}`, 0, -1)) {
    requireType(db, `${prefix}q:${claim.slice(0, claim.indexOf('\n'))}`, 'list')
  }
}
