/**
 * Commits finished iterations, in order, each wholly or not at all: its claim leaves the claimed list, its pushes, node
 * state, runtime variables and dead letter appear. Stops in front of the first iteration one of whose targets is full.
 *
 * An iteration fits when each target has room for all it pushes there; more than a whole queue fits into an empty one
 * (else it could never commit). With nothing applied nothing is written but the wish to be woken.
 *
 * With room for all of them it also claims what comes next, in the same step.
 *
 * Arguments: loop, replica, holder, token, seq, most dead letters; targets: (queue, limit)… of all that is pushed to; a
 * wish as `claim` takes it; number of iterations, then each: key of its claim (or ''), outcome (`ok`, `failed`, or `state`
 * for none), pushes (queue, entry)…, writes (kind, name, value)…: `state` and `runtime` (key, JSON or ''), `delay`
 * (field, ''), `letter` (id, JSON). Answers, with the claims behind it, `ok|full\nAPPLIED\nREQUEUED ITEMS\nDEAD LETTERS
 * DROPPED\nVERSION OF RUNTIME VARIABLES\nCLAIMED\nFULL QUEUE`; `lost` when a claim is not there (a bug, or Redis lost it);
 * or as fenced (S3).
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { readWish, requireReadable, runtimeVersion, take, takeLua, withClaims } from './claim.ts'
import { Args, advance, fence, preludeLua, requireType, ringReaders } from './prelude.ts'

const lua = `${preludeLua}
local loop, replica, holder, token, seq, deadLettersMax = arg(), arg(), arg(), arg(), arg(), int()
local r, c = P .. 'r:' .. loop .. ':' .. replica, P .. 'c:' .. loop .. ':' .. replica
for _, key in ipairs({r, P .. 'meta', P .. 'state', P .. 'runtime', P .. 'delays', P .. 'dl', P .. 'bells'}) do
  if not is(key, 'hash') then return wrongType end
end
if not is(c, 'list') or not is(P .. 'dlo', 'list') or not is(P .. 'q:requeue_' .. loop, 'list') then return wrongType end
if not is(P .. 'queues', 'set') then return wrongType end
${takeLua}
local stop = fence(r, holder, token, seq)
if stop then
  local claimed = tonumber(string.match(stop, '^again\\n%a+\\n%d+\\n%d+\\n%d+\\n%d+\\n(%d+)\\n') or 0)
  return withClaims(stop, lastClaims(claimed))
end
local targets, limit, length, pushed = list(), {}, {}, {}
for i = 1, #targets, 2 do
  local queue = targets[i]
  if not is(P .. 'q:' .. queue, 'list') or not is(P .. 'full:' .. queue, 'set') then return wrongType end
  limit[queue], length[queue], pushed[queue] = tonumber(targets[i + 1]), redis.call('LLEN', P .. 'q:' .. queue), {}
end
local wish = readWish()
if not wishReadable(wish) then return wrongType end
local iterations, keys = {}, {}
for i = 1, int() do
  local it = {key = arg(), outcome = arg(), pushes = list(), writes = list()}
  iterations[i] = it
  if it.key ~= '' then keys[#keys + 1] = it.key end
end
-- the seq vouches for what lies between the first and the last
for _, i in ipairs({1, #keys}) do
  local claim = #keys > 0 and redis.call('LINDEX', c, i - 1)
  if #keys > 0 and (not claim or string.match(claim, '^[^\\n]*\\ns?%d+|([^|]*)|') ~= keys[i]) then return withClaims('lost', {}) end
end
local function answer(word, n, dropped, taken, full)
  return word .. '\\n' .. text(n) .. '\\n' .. text(redis.call('LLEN', P .. 'q:requeue_' .. loop)) .. '\\n' .. text(dropped)
    .. '\\n' .. runtimeVersion() .. '\\n' .. text(taken) .. '\\n' .. full
end
local function fullTarget(it)
  local more = {}
  for j = 1, #it.pushes, 2 do more[it.pushes[j]] = (more[it.pushes[j]] or 0) + 1 end
  for j = 1, #it.pushes, 2 do
    local queue = it.pushes[j]
    if limit[queue] > 0 and length[queue] > 0 and length[queue] + more[queue] > limit[queue] then return queue end
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
  redis.call('SADD', P .. 'full:' .. full, loop .. ':' .. replica)
  return withClaims(answer('full', 0, 0, 0, full), {})
end
-- what the group comes to: of what several of its iterations wrote, the last
local totals = {iterations = 0, failed = 0, dead_letters = 0, pushed = 0, claimed = 0}
local written, versions = {state = {}, runtime = {}, delay = {}, letter = {}}, 0
for i = 1, applied do
  local it = iterations[i]
  if it.key ~= '' then totals.claimed = totals.claimed + 1 end
  if it.outcome ~= 'state' then totals.iterations = totals.iterations + 1 end
  if it.outcome == 'failed' then totals.failed = totals.failed + 1 end
  totals.pushed = totals.pushed + #it.pushes / 2
  for j = 1, #it.pushes, 2 do table.insert(pushed[it.pushes[j]], it.pushes[j + 1]) end
  local version = 0
  for j = 1, #it.writes, 3 do
    local kind, name, value = it.writes[j], it.writes[j + 1], it.writes[j + 2]
    if kind == 'runtime' then version = 1 end
    if kind == 'letter' then totals.dead_letters = totals.dead_letters + 1 table.insert(written.letter, name) end
    written[kind][name] = value
  end
  versions = versions + version
end
if totals.claimed > 0 then redis.call('LTRIM', c, totals.claimed, -1) end
local function putAll(key, values)
  for field, value in pairs(values) do if value ~= '' then redis.call('HSET', key, field, value) end end
end
local function dropEmpty(key, values)
  for field, value in pairs(values) do if value == '' then redis.call('HDEL', key, field) end end
end
dropEmpty(P .. 'delays', written.delay)
dropEmpty(P .. 'state', written.state)
dropEmpty(P .. 'runtime', written.runtime)
putAll(P .. 'state', written.state)
putAll(P .. 'runtime', written.runtime)
if versions > 0 then redis.call('HINCRBY', P .. 'meta', 'runtime_version', versions) end
for i = 1, #targets, 2 do
  local queue = targets[i]
  if #pushed[queue] > 0 then
    pushAll(P .. 'q:' .. queue, pushed[queue])
    redis.call('SADD', P .. 'queues', queue)
    ringReaders(queue)
  end
end
for _, id in ipairs(written.letter) do
  redis.call('HSET', P .. 'dl', id, written.letter[id])
  redis.call('RPUSH', P .. 'dlo', id)
end
local dropped = 0
while redis.call('HLEN', P .. 'dl') > deadLettersMax do
  local oldest = redis.call('LPOP', P .. 'dlo')
  if not oldest then break end
  redis.call('HDEL', P .. 'dl', oldest)
  dropped = dropped + 1
end
for field, n in pairs(totals) do if n > 0 then redis.call('HINCRBY', r, field, n) end end
if full then redis.call('SADD', P .. 'full:' .. full, loop .. ':' .. replica) end
local claims = full and {} or take(r, wish)
return withClaims(advance(r, token, seq, answer(full and 'full' or 'ok', applied, dropped, #claims, full or '')), claims)
`

type CommittedIteration = {
  key: string
  outcome: string
  pushes: { queue: string; entry: string }[]
  writes: { kind: string; name: string; value: string }[]
}

function readIteration(a: Args): CommittedIteration {
  const [key, outcome, pushes, writes] = [a.next(), a.next(), a.list(), a.list()]
  return {
    key,
    outcome,
    pushes: rows(pushes, 2).map(([queue, entry]) => ({ queue: queue as string, entry: entry as string })),
    writes: rows(writes, 3).map(([kind, name, value]) => ({
      kind: kind as string,
      name: name as string,
      value: value as string,
    })),
  }
}

function rows(flat: readonly string[], width: number): string[][] {
  return Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width))
}

function readTargets(a: Args): Map<string, number> {
  return new Map(rows(a.list(), 2).map(([queue, limit]) => [queue as string, Number(limit)]))
}

function requireTypes(db: Keyspace, p: string, loop: string): void {
  for (const key of ['meta', 'state', 'runtime', 'delays', 'dl', 'bells']) requireType(db, p + key, 'hash')
  for (const key of ['dlo', `q:requeue_${loop}`]) requireType(db, p + key, 'list')
  requireType(db, `${p}queues`, 'set')
}

function requirePushable(db: Keyspace, p: string, targets: Iterable<string>): void {
  for (const queue of targets) {
    requireType(db, `${p}q:${queue}`, 'list')
    requireType(db, `${p}full:${queue}`, 'set')
  }
}

/** Whether the front of the claimed list is what these iterations processed, by its ends: the seq vouches for the rest. */
function claimsPresent(db: Keyspace, claims: string, iterations: readonly CommittedIteration[]): boolean {
  const keys = iterations.map(it => it.key).filter(key => key !== '')
  const isAt = (i: number) => keyOf(db.lindex(claims, i)) === keys[i]
  return keys.length === 0 || (isAt(0) && isAt(keys.length - 1))
}

function keyOf(claim: string | null): string | undefined {
  return claim?.slice(claim.indexOf('\n') + 1).split('|', 2)[1]
}

/** How many iterations fit, in order, and the queue that stops the next one. */
function fitting(
  iterations: readonly CommittedIteration[],
  targets: ReadonlyMap<string, number>,
  lengths: Map<string, number>,
) {
  for (const [applied, { pushes }] of iterations.entries()) {
    const more = new Map<string, number>()
    for (const { queue } of pushes) more.set(queue, (more.get(queue) ?? 0) + 1)
    for (const { queue } of pushes) {
      const [limit, now] = [targets.get(queue) as number, lengths.get(queue) as number]
      if (limit > 0 && now > 0 && now + (more.get(queue) as number) > limit) return { applied, full: queue }
    }
    for (const [queue, n] of more) lengths.set(queue, (lengths.get(queue) as number) + n)
  }
  return { applied: iterations.length, full: '' }
}

/** Of what several iterations of a group wrote to one name, the last. */
function lastWritten(done: readonly CommittedIteration[], kind: string): [name: string, value: string][] {
  const writes = done.flatMap(it => it.writes).filter(each => each.kind === kind)
  return [...new Map(writes.map(({ name, value }) => [name, value]))]
}

function dropEmpty(db: Keyspace, key: string, values: readonly [string, string][]): void {
  for (const [field, value] of values) if (value === '') db.hdel(key, field)
}

function putAll(db: Keyspace, key: string, values: readonly [string, string][]): void {
  for (const [field, value] of values) if (value !== '') db.hset(key, field, value)
}

/** In the order of the Lua: that decides which write a full Redis refuses (S2). */
function apply(db: Keyspace, p: string, claims: string, done: readonly CommittedIteration[]): void {
  for (const it of done) if (it.key !== '') db.lpop(claims)
  const [state, runtime] = [lastWritten(done, 'state'), lastWritten(done, 'runtime')]
  dropEmpty(db, `${p}delays`, lastWritten(done, 'delay'))
  dropEmpty(db, `${p}state`, state)
  dropEmpty(db, `${p}runtime`, runtime)
  putAll(db, `${p}state`, state)
  putAll(db, `${p}runtime`, runtime)
  const versions = done.filter(it => it.writes.some(each => each.kind === 'runtime')).length
  if (versions > 0) db.hincrby(`${p}meta`, 'runtime_version', versions)
  for (const { queue, entry } of done.flatMap(it => it.pushes)) {
    db.rpush(`${p}q:${queue}`, entry)
    db.sadd(`${p}queues`, queue)
    ringReaders(db, p, queue)
  }
  for (const [id, record] of lastWritten(done, 'letter')) {
    db.hset(`${p}dl`, id, record)
    db.rpush(`${p}dlo`, id)
  }
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
    dead_letters: done.reduce((sum, it) => sum + it.writes.filter(each => each.kind === 'letter').length, 0),
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
    const [loop, replica, holder, token, seq] = [a.next(), a.next(), a.next(), a.next(), a.next()]
    const deadLettersMax = a.int()
    const [r, c] = [`${p}r:${loop}:${replica}`, `${p}c:${loop}:${replica}`]
    requireType(db, r, 'hash')
    requireType(db, c, 'list')
    requireTypes(db, p, loop)
    const stop = fence(db, r, { holder, token, seq })
    if (stop !== undefined) return withClaims(db, c, stop, claimedBefore(stop))
    const targets = readTargets(a)
    requirePushable(db, p, targets.keys())
    const wish = readWish(a)
    requireReadable(db, p, loop, wish)
    const iterations = Array.from({ length: a.int() }, () => readIteration(a))
    if (!claimsPresent(db, c, iterations)) return ['lost']
    const lengths = new Map([...targets.keys()].map(queue => [queue, db.llen(`${p}q:${queue}`)]))
    const { applied, full } = fitting(iterations, targets, lengths)
    const answer = (dropped: number, taken: number) => {
      const requeued = db.llen(`${p}q:requeue_${loop}`)
      return [full === '' ? 'ok' : 'full', applied, requeued, dropped, runtimeVersion(db, p), taken, full].join('\n')
    }
    if (applied === 0 && full !== '') {
      db.sadd(`${p}full:${full}`, `${loop}:${replica}`)
      return [answer(0, 0)]
    }
    const done = iterations.slice(0, applied)
    apply(db, p, c, done)
    const dropped = dropOldest(db, p, deadLettersMax)
    count(db, r, done)
    if (full !== '') db.sadd(`${p}full:${full}`, `${loop}:${replica}`)
    const taken = full === '' ? take(db, p, { loop, replica: r, claims: c }, wish) : 0
    return withClaims(db, c, advance(db, r, { token, seq }, answer(dropped, taken)), taken)
  },
}

/** How many claims came with the answer that is given again. */
function claimedBefore(stop: string): number {
  return Number(stop.match(/^again\n\w+\n\d+\n\d+\n\d+\n\d+\n(\d+)\n/)?.[1] ?? 0)
}
