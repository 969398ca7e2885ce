/**
 * Who runs a replica of a loop. A lease is a time on the server's own clock, which only ever permits take-over; whether a
 * commit counts is decided by the holder's nonce and the seq alone.
 *
 * acquire: loop, replica, holder, token, lease ms, boot, pid, start, a holder known to be gone (or ''), blame|spare, the loop's
 *   hash, run, seed
 *   → `acquired\nSEQ\nITERATIONS\nRETURNED\npause or nothing`, `held\nHOLDER\nBOOT\nPID\nSTART\nMS LEFT`, `changed` (another
 *   run); or, and then the lease of the one that is gone is given back: `ended\nSTATUS OF THE RUN`, `outdated\nSTATUS OF
 *   THE RUN` (another definition of the loop), `yield\nMS LEFT`
 * renew: lease ms, list of (replica name, holder) → one line each: `1|0` and what the loop shall be doing (a wish, or
 *   `yield`: let go of it); then a line each: the workflow's wish, the status of the run
 * release: loop, replica, holder, token, seq, what happens to claims (return|keep) → `released\nRETURNED`
 * wake: wake-up keys without the prefix, which are given back by one who can do nothing with what was taken there → `ok`
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import {
  Args,
  advance,
  fence,
  preludeLua,
  type ReturnMark,
  requireReturnable,
  requireType,
  returnClaims,
  ring,
  ringKey,
  ringWaiting,
} from './prelude.ts'

const acquireLua = `${preludeLua}
local loop, replica, holder, token, leaseMs = arg(), arg(), arg(), arg(), int()
local boot, pid, start, gone, blame, hash, run, seed = arg(), arg(), arg(), arg(), arg(), arg(), arg(), arg()
local name = loop .. ':' .. replica
local r = P .. 'r:' .. name
for _, k in ipairs({'ended', 'meta', 'desired', 'loops', 'yields'}) do if not is(P .. k, 'hash') then return wrongType end end
if not is(r, 'hash') or not claimsReturnable(name) then return wrongType end
if redis.call('HGET', r, 'last_token') == token then return redis.call('HGET', r, 'last_answer') end
if redis.call('HGET', P .. 'meta', 'run') ~= run or redis.call('HGET', P .. 'meta', 'seed') ~= seed then return 'changed' end
local status = redis.call('HGET', P .. 'meta', 'status')
local current = redis.call('HGET', r, 'holder') or ''
local mark = 'none'
if current ~= '' and current == gone and blame == 'blame' then
  mark = 'suspect'
  if redis.call('HGET', r, 'alone') == '1' then mark = 'charge' end
end
local function giveBack()
  if current == '' or current ~= gone then return end
  returnClaims(name, mark)
  redis.call('HDEL', r, 'lease_until')
  redis.call('HSET', r, 'holder', '')
end
if redis.call('HGET', P .. 'ended', loop) == run then
  giveBack()
  return 'ended\\n' .. status
end
if redis.call('HGET', P .. 'loops', loop) ~= hash then
  giveBack()
  return 'outdated\\n' .. status
end
local yieldMs = tonumber(redis.call('HGET', P .. 'yields', loop) or '0') - timeMs()
if yieldMs > 0 then
  giveBack()
  return 'yield\\n' .. text(yieldMs)
end
local left = tonumber(redis.call('HGET', r, 'lease_until') or '0') - timeMs()
if current ~= '' and current ~= holder and current ~= gone and left > 0 then
  local who = redis.call('HMGET', r, 'boot', 'pid', 'start')
  return 'held\\n' .. current .. '\\n' .. who[1] .. '\\n' .. who[2] .. '\\n' .. who[3] .. '\\n' .. text(left)
end
local returned = returnClaims(name, mark)
local wish = ''
if redis.call('HGET', P .. 'desired', '') == 'pause' or redis.call('HGET', P .. 'desired', loop) == 'pause' then wish = 'pause' end
local seq = tonumber(redis.call('HGET', r, 'seq') or '0') + 1
local answer = 'acquired\\n' .. text(seq) .. '\\n' .. (redis.call('HGET', r, 'iterations') or '0') .. '\\n' .. text(returned) .. '\\n' .. wish
redis.call('HSET', r, 'holder', holder, 'boot', boot, 'pid', pid, 'start', start, 'lease_until', text(timeMs() + leaseMs),
  'alone', '0', 'seq', text(seq), 'last_token', token, 'last_answer', answer)
return answer
`

export const acquire: Script = {
  name: 'acquire',
  lua: acquireLua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, replica, holder, token, leaseMs] = [a.next(), a.next(), a.next(), a.next(), a.int()]
    const [boot, pid, start, gone] = [a.next(), a.next(), a.next(), a.next()]
    const [blame, hash, run, seed] = [a.next(), a.next(), a.next(), a.next()]
    const name = `${loop}:${replica}`
    const r = `${p}r:${name}`
    const read = ['ended', 'meta', 'desired', 'loops', 'yields'].map(key => p + key)
    for (const key of [r, ...read]) requireType(db, key, 'hash')
    requireReturnable(db, p, name)
    if (db.hget(r, 'last_token') === token) return db.hget(r, 'last_answer')
    if (db.hget(`${p}meta`, 'run') !== run || db.hget(`${p}meta`, 'seed') !== seed) return 'changed'
    const status = db.hget(`${p}meta`, 'status')
    const current = db.hget(r, 'holder') ?? ''
    const mark = current !== '' && current === gone && blame === 'blame' ? blameMark(db, r) : 'none'
    const instead = insteadOf(db, p, { loop, run, hash, status })
    if (instead !== undefined) {
      if (current !== '' && current === gone) giveBack(db, p, name, mark)
      return instead
    }
    const leftMs = Number(db.hget(r, 'lease_until') ?? '0') - db.timeMs()
    if (current !== '' && current !== holder && current !== gone && leftMs > 0) {
      return ['held', current, db.hget(r, 'boot'), db.hget(r, 'pid'), db.hget(r, 'start'), leftMs].join('\n')
    }
    const returned = returnClaims(db, p, name, mark)
    const wish = ['', loop].some(of => db.hget(`${p}desired`, of) === 'pause') ? 'pause' : ''
    const seq = Number(db.hget(r, 'seq') ?? '0') + 1
    const answer = ['acquired', seq, db.hget(r, 'iterations') ?? '0', returned, wish].join('\n')
    const lease = String(db.timeMs() + leaseMs)
    db.hset(r, 'holder', holder, 'boot', boot, 'pid', pid, 'start', start, 'lease_until', lease)
    db.hset(r, 'alone', '0', 'seq', String(seq), 'last_token', token, 'last_answer', answer)
    return answer
  },
}

/** Why nobody gets the lease now. */
function insteadOf(
  db: Keyspace,
  p: string,
  { loop, run, hash, status }: { loop: string; run: string; hash: string; status: string | null },
): string | undefined {
  if (db.hget(`${p}ended`, loop) === run) return `ended\n${status}`
  if (db.hget(`${p}loops`, loop) !== hash) return `outdated\n${status}`
  const yieldMs = Number(db.hget(`${p}yields`, loop) ?? '0') - db.timeMs()
  return yieldMs > 0 ? `yield\n${yieldMs}` : undefined
}

/** The lease of one that is gone; what it had claimed goes back to its queues. */
function giveBack(db: Keyspace, p: string, name: string, mark: ReturnMark): void {
  returnClaims(db, p, name, mark)
  db.hdel(`${p}r:${name}`, 'lease_until')
  db.hset(`${p}r:${name}`, 'holder', '')
}

/** A claim that was held alone is charged with the death of its holder; several are only suspects. */
function blameMark(db: Keyspace, replica: string): ReturnMark {
  return db.hget(replica, 'alone') === '1' ? 'charge' : 'suspect'
}

const renewLua = `${preludeLua}
local leaseMs, leases = int(), list()
for _, k in ipairs({'desired', 'yields', 'meta'}) do if not is(P .. k, 'hash') then return wrongType end end
for i = 1, #leases, 2 do if not is(P .. 'r:' .. leases[i], 'hash') then return wrongType end end
local lines = {}
for i = 1, #leases, 2 do
  local r = P .. 'r:' .. leases[i]
  local held = redis.call('HGET', r, 'holder') == leases[i + 1]
  if held then
    redis.call('HDEL', r, 'lease_until')
    redis.call('HSET', r, 'lease_until', text(timeMs() + leaseMs))
  end
  local loop = string.match(leases[i], '^(.*):%d+$')
  local wish = redis.call('HGET', P .. 'desired', loop) or ''
  if tonumber(redis.call('HGET', P .. 'yields', loop) or '0') > timeMs() then wish = 'yield' end
  lines[#lines + 1] = (held and '1' or '0') .. wish
end
lines[#lines + 1] = redis.call('HGET', P .. 'desired', '') or ''
lines[#lines + 1] = redis.call('HGET', P .. 'meta', 'status') or ''
return table.concat(lines, '\\n')
`

export const renew: Script = {
  name: 'renew',
  lua: renewLua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [leaseMs, leases] = [a.int(), a.list()]
    for (const key of ['desired', 'yields', 'meta']) requireType(db, p + key, 'hash')
    for (let i = 0; i < leases.length; i += 2) requireType(db, `${p}r:${leases[i]}`, 'hash')
    const lines: string[] = []
    for (let i = 0; i < leases.length; i += 2) {
      const name = leases[i] as string
      const held = db.hget(`${p}r:${name}`, 'holder') === leases[i + 1]
      // removed first, so that a full Redis does not cost its holders their leases (S2)
      if (held) {
        db.hdel(`${p}r:${name}`, 'lease_until')
        db.hset(`${p}r:${name}`, 'lease_until', String(db.timeMs() + leaseMs))
      }
      const loop = name.slice(0, name.lastIndexOf(':'))
      const yields = Number(db.hget(`${p}yields`, loop) ?? '0') > db.timeMs()
      lines.push(`${held ? 1 : 0}${yields ? 'yield' : (db.hget(`${p}desired`, loop) ?? '')}`)
    }
    return [...lines, db.hget(`${p}desired`, '') ?? '', db.hget(`${p}meta`, 'status') ?? ''].join('\n')
  },
}

const wakeLua = `${preludeLua}
for _, key in ipairs(list()) do ringKey(P .. key) end
return 'ok'
`

export const wake: Script = {
  name: 'wake',
  lua: wakeLua,
  run(db, [p = ''], args) {
    for (const key of new Args(args).list()) ringKey(db, p + key)
    return 'ok'
  },
}

const releaseLua = `${preludeLua}
local loop, replica, holder, token, seq, claims = arg(), arg(), arg(), arg(), arg(), arg()
local name = loop .. ':' .. replica
local r = P .. 'r:' .. name
if not is(r, 'hash') or not claimsReturnable(name) then return wrongType end
local stop = fence(r, holder, token, seq)
if stop then return stop end
redis.call('HDEL', r, 'lease_until')
local returned = 0
if claims == 'return' then returned = returnClaims(name, 'none') end
redis.call('HSET', r, 'holder', '', 'alone', '0')
ring(loop)
ringWaiting(name)
return advance(r, token, seq, 'released\\n' .. text(returned))
`

export const release: Script = {
  name: 'release',
  lua: releaseLua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, replica, holder, token, seq, claims] = [a.next(), a.next(), a.next(), a.next(), a.next(), a.next()]
    const name = `${loop}:${replica}`
    const r = `${p}r:${name}`
    requireType(db, r, 'hash')
    requireReturnable(db, p, name)
    const stop = fence(db, r, { holder, token, seq })
    if (stop !== undefined) return stop
    db.hdel(r, 'lease_until')
    const returned = claims === 'return' ? returnClaims(db, p, name, 'none') : 0
    db.hset(r, 'holder', '', 'alone', '0')
    ring(db, p, loop)
    ringWaiting(db, p, name)
    return advance(db, r, { token, seq }, `released\n${returned}`)
  },
}
