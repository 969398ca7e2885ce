/**
 * Commits finished iterations, in order, each wholly or not at all: its claim leaves the claimed list, its pushes, node
 * state, runtime variables and dead letter appear. Stops in front of the first iteration one of whose targets is full.
 *
 * An iteration fits when each target has room for all it pushes there; more than a whole queue fits into an empty one
 * (else it could never commit). With nothing applied nothing is written but the wish to be woken.
 *
 * With room for all of them it also claims what comes next, in the same step.
 *
 * Arguments: loop, replica, holder, token, seq, most dead letters, number of iterations, then each: key of its claim (or
 * ''), pushes (queue, limit, entry)…, state (field, JSON or '')…, runtime (key, JSON or '')…, delay fields…, outcome
 * (`ok`, `failed`, or `state` for none), dead letter id and JSON (or ''); last a wish as `claim` takes it. Answers, with
 * the claims behind it, `ok|full\nAPPLIED\nREQUEUED ITEMS\nDEAD LETTERS DROPPED\nVERSION OF RUNTIME VARIABLES\nCLAIMED\nFULL
 * QUEUE`; `lost` when a claim is not there (a bug, or Redis lost it); or as fenced (S3).
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { readWish, requireReadable, runtimeVersion, take, takeLua, withClaims } from './claim.ts'
import { Args, advance, fence, preludeLua, requireType, ringReaders } from './prelude.ts'

const lua = `${preludeLua}
local loop, replica, holder, token, seq, deadLettersMax, count = arg(), arg(), arg(), arg(), arg(), int(), int()
local r, c = P .. 'r:' .. loop .. ':' .. replica, P .. 'c:' .. loop .. ':' .. replica
for _, key in ipairs({r, P .. 'meta', P .. 'state', P .. 'runtime', P .. 'delays', P .. 'dl', P .. 'bells'}) do
  if not is(key, 'hash') then return wrongType end
end
if not is(c, 'list') or not is(P .. 'dlo', 'list') or not is(P .. 'q:requeue_' .. loop, 'list') then return wrongType end
if not is(P .. 'queues', 'set') then return wrongType end
${takeLua}
local stop = fence(r, holder, token, seq)
if stop then return withClaims(stop, tonumber(string.match(stop, '^again\\n%a+\\n%d+\\n%d+\\n%d+\\n%d+\\n(%d+)\\n') or 0)) end
local iterations, length = {}, {}
for i = 1, count do
  local it = {key = arg(), pushes = list(), state = list(), runtime = list(), delays = list(), outcome = arg(), letter = arg(), record = arg()}
  iterations[i] = it
  for j = 1, #it.pushes, 3 do
    local queue = it.pushes[j]
    if length[queue] == nil then
      if not is(P .. 'q:' .. queue, 'list') or not is(P .. 'full:' .. queue, 'set') then return wrongType end
      length[queue] = redis.call('LLEN', P .. 'q:' .. queue)
    end
  end
end
local wish = readWish()
if not wishReadable(wish) then return wrongType end
local claimed = 0
for _, it in ipairs(iterations) do
  if it.key ~= '' then
    local claim = redis.call('LINDEX', c, claimed)
    if not claim or string.match(claim, '^[^\\n]*\\ns?%d+|([^|]*)|') ~= it.key then return withClaims('lost', 0) end
    claimed = claimed + 1
  end
end
local function answer(word, n, dropped, taken, full)
  return word .. '\\n' .. text(n) .. '\\n' .. text(redis.call('LLEN', P .. 'q:requeue_' .. loop)) .. '\\n' .. text(dropped)
    .. '\\n' .. runtimeVersion() .. '\\n' .. text(taken) .. '\\n' .. full
end
local function fullTarget(it)
  local more = {}
  for j = 1, #it.pushes, 3 do more[it.pushes[j]] = (more[it.pushes[j]] or 0) + 1 end
  for j = 1, #it.pushes, 3 do
    local queue, limit = it.pushes[j], tonumber(it.pushes[j + 1])
    if limit > 0 and length[queue] > 0 and length[queue] + more[queue] > limit then return queue end
  end
  for queue, n in pairs(more) do length[queue] = length[queue] + n end
  return nil
end
local applied, full = 0, nil
for _, it in ipairs(iterations) do
  full = fullTarget(it)
  if full then break end
  applied = applied + 1
end
if applied == 0 and full then
  redis.call('SADD', P .. 'full:' .. full, loop)
  return withClaims(answer('full', 0, 0, 0, full), 0)
end
local function put(key, pairs)
  for j = 1, #pairs, 2 do
    if pairs[j + 1] == '' then redis.call('HDEL', key, pairs[j]) else redis.call('HSET', key, pairs[j], pairs[j + 1]) end
  end
end
local totals, dropped, rung = {iterations = 0, failed = 0, dead_letters = 0, pushed = 0, claimed = 0}, 0, {}
for i = 1, applied do
  local it = iterations[i]
  if it.key ~= '' then
    redis.call('LPOP', c)
    totals.claimed = totals.claimed + 1
  end
  for _, field in ipairs(it.delays) do redis.call('HDEL', P .. 'delays', field) end
  put(P .. 'state', it.state)
  put(P .. 'runtime', it.runtime)
  if #it.runtime > 0 then redis.call('HINCRBY', P .. 'meta', 'runtime_version', 1) end
  for j = 1, #it.pushes, 3 do
    redis.call('RPUSH', P .. 'q:' .. it.pushes[j], it.pushes[j + 2])
    totals.pushed = totals.pushed + 1
    if not rung[it.pushes[j]] then
      rung[it.pushes[j]] = true
      redis.call('SADD', P .. 'queues', it.pushes[j])
      ringReaders(it.pushes[j])
    end
  end
  if it.outcome ~= 'state' then totals.iterations = totals.iterations + 1 end
  if it.outcome == 'failed' then totals.failed = totals.failed + 1 end
  if it.letter ~= '' then
    totals.dead_letters = totals.dead_letters + 1
    redis.call('HSET', P .. 'dl', it.letter, it.record)
    redis.call('RPUSH', P .. 'dlo', it.letter)
  end
end
while redis.call('HLEN', P .. 'dl') > deadLettersMax do
  local oldest = redis.call('LPOP', P .. 'dlo')
  if not oldest then break end
  redis.call('HDEL', P .. 'dl', oldest)
  dropped = dropped + 1
end
for field, n in pairs(totals) do if n > 0 then redis.call('HINCRBY', r, field, n) end end
local taken = full and 0 or take(r, wish)
return withClaims(advance(r, token, seq, answer(full and 'full' or 'ok', applied, dropped, taken, full or '')), taken)
`

type CommittedIteration = {
  key: string
  pushes: { queue: string; limit: number; entry: string }[]
  state: string[]
  runtime: string[]
  delays: string[]
  outcome: string
  letter: string
  record: string
}

function readIteration(a: Args): CommittedIteration {
  const key = a.next()
  const flat = a.list()
  const pushes: CommittedIteration['pushes'] = []
  for (let i = 0; i < flat.length; i += 3) {
    pushes.push({ queue: flat[i] as string, limit: Number(flat[i + 1]), entry: flat[i + 2] as string })
  }
  const [state, runtime, delays] = [a.list(), a.list(), a.list()]
  return { key, pushes, state, runtime, delays, outcome: a.next(), letter: a.next(), record: a.next() }
}

function requireTypes(db: Keyspace, p: string, loop: string, iterations: readonly CommittedIteration[]): void {
  for (const key of ['meta', 'state', 'runtime', 'delays', 'dl', 'bells']) requireType(db, p + key, 'hash')
  for (const key of ['dlo', `q:requeue_${loop}`]) requireType(db, p + key, 'list')
  requireType(db, `${p}queues`, 'set')
  for (const { queue } of iterations.flatMap(it => it.pushes)) {
    requireType(db, `${p}q:${queue}`, 'list')
    requireType(db, `${p}full:${queue}`, 'set')
  }
}

/** Whether the front of the claimed list is what these iterations claim to have processed. */
function claimsPresent(db: Keyspace, claims: string, iterations: readonly CommittedIteration[]): boolean {
  const keys = iterations.map(it => it.key).filter(key => key !== '')
  const front = db.lrange(claims, 0, keys.length - 1)
  return keys.every((key, i) => front[i]?.slice(front[i].indexOf('\n') + 1).split('|', 2)[1] === key)
}

/** How many iterations fit, in order, and the queue that stops the next one. */
function fitting(db: Keyspace, p: string, iterations: readonly CommittedIteration[]) {
  const length = new Map<string, number>()
  for (const [applied, { pushes }] of iterations.entries()) {
    const more = new Map<string, number>()
    for (const { queue } of pushes) more.set(queue, (more.get(queue) ?? 0) + 1)
    for (const { queue, limit } of pushes) {
      const now = length.get(queue) ?? db.llen(`${p}q:${queue}`)
      if (limit > 0 && now > 0 && now + (more.get(queue) as number) > limit) return { applied, full: queue }
    }
    for (const [queue, n] of more) length.set(queue, (length.get(queue) ?? db.llen(`${p}q:${queue}`)) + n)
  }
  return { applied: iterations.length, full: '' }
}

function put(db: Keyspace, key: string, pairs: readonly string[]): void {
  for (let i = 0; i < pairs.length; i += 2) {
    const [field, value] = [pairs[i] as string, pairs[i + 1] as string]
    if (value === '') db.hdel(key, field)
    else db.hset(key, field, value)
  }
}

function apply(db: Keyspace, p: string, claims: string, it: CommittedIteration): void {
  if (it.key !== '') db.lpop(claims)
  for (const field of it.delays) db.hdel(`${p}delays`, field)
  put(db, `${p}state`, it.state)
  put(db, `${p}runtime`, it.runtime)
  if (it.runtime.length > 0) db.hincrby(`${p}meta`, 'runtime_version', 1)
  for (const { queue, entry } of it.pushes) {
    db.rpush(`${p}q:${queue}`, entry)
    db.sadd(`${p}queues`, queue)
    ringReaders(db, p, queue)
  }
  if (it.letter === '') return
  db.hset(`${p}dl`, it.letter, it.record)
  db.rpush(`${p}dlo`, it.letter)
}

function dropOldest(db: Keyspace, p: string, most: number): number {
  let dropped = 0
  for (; db.hlen(`${p}dl`) > most; dropped++) {
    const oldest = db.lpop(`${p}dlo`)
    if (oldest === null) break
    db.hdel(`${p}dl`, oldest)
  }
  return dropped
}

function count(db: Keyspace, replica: string, done: readonly CommittedIteration[]): void {
  const totals = {
    iterations: done.filter(it => it.outcome !== 'state').length,
    failed: done.filter(it => it.outcome === 'failed').length,
    dead_letters: done.filter(it => it.letter !== '').length,
    pushed: done.reduce((sum, it) => sum + it.pushes.length, 0),
    claimed: done.filter(it => it.key !== '').length,
  }
  for (const [field, n] of Object.entries(totals)) if (n > 0) db.hincrby(replica, field, n)
}

export const commit: Script = {
  name: 'commit',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, replica, holder, token, seq, deadLettersMax] = [
      a.next(),
      a.next(),
      a.next(),
      a.next(),
      a.next(),
      a.int(),
    ]
    const iterations = Array.from({ length: a.int() }, () => readIteration(a))
    const [r, c] = [`${p}r:${loop}:${replica}`, `${p}c:${loop}:${replica}`]
    requireType(db, r, 'hash')
    requireType(db, c, 'list')
    requireTypes(db, p, loop, [])
    const stop = fence(db, r, { holder, token, seq })
    if (stop !== undefined) return withClaims(db, c, stop, claimedBefore(stop))
    requireTypes(db, p, loop, iterations)
    const wish = readWish(a)
    requireReadable(db, p, loop, wish)
    if (!claimsPresent(db, c, iterations)) return ['lost']
    const { applied, full } = fitting(db, p, iterations)
    const answer = (dropped: number, taken: number) => {
      const requeued = db.llen(`${p}q:requeue_${loop}`)
      return [full === '' ? 'ok' : 'full', applied, requeued, dropped, runtimeVersion(db, p), taken, full].join('\n')
    }
    if (applied === 0 && full !== '') {
      db.sadd(`${p}full:${full}`, loop)
      return [answer(0, 0)]
    }
    const done = iterations.slice(0, applied)
    for (const it of done) apply(db, p, c, it)
    const dropped = dropOldest(db, p, deadLettersMax)
    count(db, r, done)
    const taken = full === '' ? take(db, p, { loop, replica: r, claims: c }, wish) : 0
    return withClaims(db, c, advance(db, r, { token, seq }, answer(dropped, taken)), taken)
  },
}

/** How many claims came with the answer that is given again. */
function claimedBefore(stop: string): number {
  return Number(stop.match(/^again\n\w+\n\d+\n\d+\n\d+\n\d+\n(\d+)\n/)?.[1] ?? 0)
}
