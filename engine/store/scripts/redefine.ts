/**
 * Puts another definition in the place of the current one, in the middle of a run: one step, after which no lease is given
 * out to a loop that the old one defined otherwise. Loops whose hash stays are not touched at all. Those that change or go
 * must be held by nobody; while they are, their holders are asked to yield, for a bounded time, so that whoever began a
 * reload and died blocks nobody for long. A queue that would lose its last reader must be empty.
 *
 * A loop that had ended begins again when it changed or when one that changed writes to it (which the caller knows): it
 * may have more to do now.
 *
 * Arguments: hash that is expected, how long to yield (ms), time, state fields to drop, holders that are certainly gone,
 * loops that begin again, the declaration.
 * Answers `redefined`, `adopted` (it is the current one already), `none` (nothing ran yet), `other\nHASH`,
 * `orphans\nQUEUE…`, `held\nREPLICA…`, `too-new\nSCHEMA`.
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { knownWorkflows } from '../keys.ts'
import { type Declaration, declare, declaredHashes, declaredSets, declareLua, readDeclaration } from './declare.ts'
import { Args, preludeLua, requireReturnable, requireType, returnClaims, ring, ringWaiting } from './prelude.ts'

const lua = `${preludeLua}
local expected, yieldMs, time, dropped, goneHolders, again = arg(), int(), arg(), list(), list(), list()
${declareLua}
local meta = P .. 'meta'
for _, k in ipairs({'state', 'ended'}) do if not is(P .. k, 'hash') then return wrongType end end
if not declarable() then return wrongType end
local known = redis.call('SMEMBERS', P .. 'replicas')
table.sort(known)
for _, name in ipairs(known) do
  if not is(P .. 'r:' .. name, 'hash') or not claimsReturnable(name) then return wrongType end
end
local bells = redis.call('HKEYS', P .. 'bells')
table.sort(bells)
for _, queue in ipairs(bells) do if not is(P .. 'q:' .. queue, 'list') then return wrongType end end
local current = redis.call('HGET', meta, 'hash')
if not current then return 'none' end
local stored = tonumber(redis.call('HGET', meta, 'schema') or '0')
if stored > schema then return 'too-new\\n' .. text(stored) end
if current == hash then return 'adopted' end
if current ~= expected then return 'other\\n' .. current end
local claimed = {}
for _, name in ipairs(known) do
  for _, claim in ipairs(redis.call('LRANGE', P .. 'c:' .. name, 0, -1)) do
    claimed[string.sub(claim, 1, string.find(claim, '\\n', 1, true) - 1)] = true
  end
end
local read = {}
for i = 1, #queues, 3 do if queues[i + 1] ~= '' then read[queues[i]] = true end end
local orphans = {}
for _, queue in ipairs(bells) do
  if not read[queue] and (claimed[queue] or redis.call('LLEN', P .. 'q:' .. queue) > 0) then orphans[#orphans + 1] = queue end
end
if #orphans > 0 then return 'orphans\\n' .. table.concat(orphans, '\\n') end
local now = {}
for i = 1, #loops, 2 do now[loops[i]] = loops[i + 1] end
local function stays(loop) return now[loop] and redis.call('HGET', P .. 'loops', loop) == now[loop] end
local gone, held = {}, {}
for _, holder in ipairs(goneHolders) do gone[holder] = true end
for _, name in ipairs(known) do
  local r = P .. 'r:' .. name
  local holder = redis.call('HGET', r, 'holder') or ''
  local left = tonumber(redis.call('HGET', r, 'lease_until') or '0') - timeMs()
  local loop = string.match(name, '^(.*):%d+$')
  if holder ~= '' and not gone[holder] and left > 0 and not stays(loop) then held[#held + 1] = name end
end
if #held > 0 then
  for _, loop in ipairs(redis.call('HKEYS', P .. 'loops')) do
    if not stays(loop) then
      redis.call('HDEL', P .. 'yields', loop)
      redis.call('HSET', P .. 'yields', loop, text(timeMs() + yieldMs))
    end
  end
  return 'held\\n' .. table.concat(held, '\\n')
end
for _, field in ipairs(dropped) do redis.call('HDEL', P .. 'state', field) end
local changed = {}
for _, name in ipairs(known) do
  local loop = string.match(name, '^(.*):%d+$')
  if not stays(loop) then
    local r = P .. 'r:' .. name
    local mark = 'none'
    if gone[redis.call('HGET', r, 'holder') or ''] then
      mark = 'suspect'
      if redis.call('HGET', r, 'alone') == '1' then mark = 'charge' end
    end
    redis.call('HDEL', r, 'lease_until')
    returnClaims(name, mark)
    redis.call('HSET', r, 'holder', '', 'alone', '0')
    if now[loop] then changed[#changed + 1] = name end
  end
end
for _, loop in ipairs(redis.call('HKEYS', P .. 'loops')) do if not now[loop] then redis.call('HDEL', P .. 'ended', loop) end end
local running = redis.call('HGET', meta, 'status') == 'running'
if running then for _, loop in ipairs(again) do redis.call('HDEL', P .. 'ended', loop) end end
declare()
if running and redis.call('HLEN', P .. 'ended') >= redis.call('HLEN', P .. 'loops') then
  redis.call('HSET', meta, 'status', 'completed', 'finished_at', time)
end
for _, name in ipairs(changed) do ringWaiting(name) end
for i = 1, #loops, 2 do ring(loops[i]) end
return 'redefined'
`

type Redefinition = {
  expected: string
  yieldMs: number
  time: string
  dropped: string[]
  gone: string[]
  again: string[]
  declaration: Declaration
}

function read(args: readonly string[]): Redefinition {
  const a = new Args(args)
  const [expected, yieldMs, time] = [a.next(), a.int(), a.next()]
  const [dropped, gone, again] = [a.list(), a.list(), a.list()]
  return { expected, yieldMs, time, dropped, gone, again, declaration: readDeclaration(a) }
}

function requireTypes(db: Keyspace, p: string): void {
  for (const key of ['state', 'ended', ...declaredHashes]) requireType(db, p + key, 'hash')
  for (const key of declaredSets) requireType(db, p + key, 'set')
  requireType(db, knownWorkflows, 'set')
  for (const name of db.smembers(`${p}replicas`)) {
    requireType(db, `${p}r:${name}`, 'hash')
    requireReturnable(db, p, name)
  }
  for (const queue of db.hkeys(`${p}bells`)) requireType(db, `${p}q:${queue}`, 'list')
}

/** Queues that hold items, waiting or claimed, and would lose their last reader. */
function orphansOf(db: Keyspace, p: string, { queues }: Declaration): string[] {
  const claims = db.smembers(`${p}replicas`).flatMap(name => db.lrange(`${p}c:${name}`, 0, -1))
  const claimed = new Set(claims.map(claim => claim.slice(0, claim.indexOf('\n'))))
  const isRead = new Set(queues.filter((_, i) => i % 3 === 0 && queues[i + 1] !== ''))
  const lost = db.hkeys(`${p}bells`).filter(queue => !isRead.has(queue))
  return lost.filter(queue => claimed.has(queue) || db.llen(`${p}q:${queue}`) > 0).sort()
}

function loopOf(replica: string): string {
  return replica.slice(0, replica.lastIndexOf(':'))
}

/** Nobody works for it any more: what it had claimed goes back to its queues. */
function vacate(db: Keyspace, p: string, name: string, gone: readonly string[]): void {
  const r = `${p}r:${name}`
  const isDead = gone.includes(db.hget(r, 'holder') ?? '')
  const mark = db.hget(r, 'alone') === '1' ? 'charge' : 'suspect'
  db.hdel(r, 'lease_until')
  returnClaims(db, p, name, isDead ? mark : 'none')
  db.hset(r, 'holder', '', 'alone', '0')
}

function askToYield(db: Keyspace, p: string, loops: readonly string[], untilMs: number): void {
  for (const loop of loops) {
    // removed first: a full Redis must not keep a reload waiting (S2)
    db.hdel(`${p}yields`, loop)
    db.hset(`${p}yields`, loop, String(untilMs))
  }
}

export const redefine: Script = {
  name: 'redefine',
  lua,
  run(db, [p = ''], args) {
    const d = read(args)
    const { hash, schema, loops } = d.declaration
    requireTypes(db, p)
    const current = db.hget(`${p}meta`, 'hash')
    if (current === null) return 'none'
    const stored = Number(db.hget(`${p}meta`, 'schema') ?? '0')
    if (stored > schema) return `too-new\n${stored}`
    if (current === hash) return 'adopted'
    if (current !== d.expected) return `other\n${current}`
    const orphans = orphansOf(db, p, d.declaration)
    if (orphans.length > 0) return ['orphans', ...orphans].join('\n')
    const now = new Map(loops.flatMap((loop, i) => (i % 2 === 0 ? [[loop, loops[i + 1] as string] as const] : [])))
    const before = db.hgetall(`${p}loops`)
    const stays = (loop: string) => now.has(loop) && before[loop] === now.get(loop)
    const replicas = db.smembers(`${p}replicas`).filter(name => !stays(loopOf(name)))
    const isHeld = (name: string): boolean => {
      const holder = db.hget(`${p}r:${name}`, 'holder') ?? ''
      const leftMs = Number(db.hget(`${p}r:${name}`, 'lease_until') ?? '0') - db.timeMs()
      return holder !== '' && !d.gone.includes(holder) && leftMs > 0
    }
    const held = replicas.filter(isHeld).sort()
    if (held.length > 0) {
      const leaving = Object.keys(before).filter(loop => !stays(loop))
      askToYield(db, p, leaving, db.timeMs() + d.yieldMs)
      return ['held', ...held].join('\n')
    }
    for (const field of d.dropped) db.hdel(`${p}state`, field)
    for (const name of replicas) vacate(db, p, name, d.gone)
    for (const loop of Object.keys(before)) if (!now.has(loop)) db.hdel(`${p}ended`, loop)
    const running = db.hget(`${p}meta`, 'status') === 'running'
    if (running) for (const loop of d.again) db.hdel(`${p}ended`, loop)
    declare(db, p, d.declaration)
    const over = running && db.hlen(`${p}ended`) >= db.hlen(`${p}loops`)
    if (over) db.hset(`${p}meta`, 'status', 'completed', 'finished_at', d.time)
    for (const name of replicas) if (now.has(loopOf(name))) ringWaiting(db, p, name)
    for (const loop of now.keys()) ring(db, p, loop)
    return 'redefined'
  },
}
