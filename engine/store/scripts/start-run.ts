/**
 * Begins, resumes, adopts or discards a run of a workflow, and declares what this definition has (see declare.ts; also
 * when it resumes what an older version of this program declared). Nothing of a run is ever mixed with another's: state, variables, `ended` and
 * counters go when a new run begins; queues and dead letters stay (1.7).
 *
 * `wished` is what a daemon does on its own: it resumes what is unfinished, begins what never ran or what somebody wished
 * for (with the wish's token, so that of several daemons one begins it), and leaves everything else alone.
 *
 * Arguments: mode (resume|fresh|adopt|wished), run token, seed, time, hash that adopting expects, state fields to drop
 * when adopting, holders that are certainly gone, the declaration.
 * Answers: `new|resumed|adopted\nRUN\nSEED`, `changed\nRUN`, `running\nREPLICA`, `too-new\nSCHEMA`, `retry`,
 * `idle\ncompleted|stop|kill|pause` (wished: nobody wants it to run now).
 */
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { knownWorkflows } from '../keys.ts'
import { type Declaration, declare, declaredHashes, declaredSets, declareLua, readDeclaration } from './declare.ts'
import { Args, preludeLua, requireReturnable, requireType, returnClaims } from './prelude.ts'

const lua = `${preludeLua}
local mode, runToken, seed, time, expected = arg(), arg(), arg(), arg(), arg()
local dropped, goneHolders = list(), list()
${declareLua}
local gone = {}
for _, holder in ipairs(goneHolders) do gone[holder] = true end
local meta = P .. 'meta'
for _, k in ipairs({'desired', 'state', 'runtime', 'ended', 'delays'}) do
  if not is(P .. k, 'hash') then return wrongType end
end
if not declarable() then return wrongType end
local known = redis.call('SMEMBERS', P .. 'replicas')
table.sort(known)
for _, name in ipairs(known) do
  if not is(P .. 'r:' .. name, 'hash') or not claimsReturnable(name) then return wrongType end
end
local stored = redis.call('HGET', meta, 'schema')
if stored and tonumber(stored) > schema then return 'too-new\\n' .. stored end
local status, run = redis.call('HGET', meta, 'status'), redis.call('HGET', meta, 'run')
local current, was = redis.call('HGET', meta, 'hash'), redis.call('HGET', meta, 'seed')
local wish = redis.call('HGET', P .. 'desired', '') or ''
if run and redis.call('HGET', meta, 'run_token') == runToken then return 'new\\n' .. run .. '\\n' .. was end
if mode == 'wished' then
  local token = string.match(wish, '^run:(.+)$')
  if wish == 'stop' or wish == 'kill' then return 'idle\\n' .. wish end
  if status == 'completed' and not token then return 'idle\\ncompleted' end
  if status ~= 'running' and wish == 'pause' then return 'idle\\npause' end
  runToken = token or runToken
end
if mode ~= 'fresh' and status == 'running' and current == hash then
  if tonumber(stored) < schema then declare() end
  return 'resumed\\n' .. run .. '\\n' .. was
end
if (mode == 'resume' or mode == 'wished') and status == 'running' then return 'changed\\n' .. run end
for _, name in ipairs(known) do
  local lease = redis.call('HGET', P .. 'r:' .. name, 'lease_until')
  local holder = redis.call('HGET', P .. 'r:' .. name, 'holder') or ''
  local leased = holder ~= '' and not gone[holder] and lease and tonumber(lease) > timeMs()
  if status == 'running' and leased then return 'running\\n' .. name end
end
if mode == 'adopt' and status == 'running' then
  if current ~= expected then return 'retry' end
  for _, field in ipairs(dropped) do redis.call('HDEL', P .. 'state', field) end
  redis.call('DEL', P .. 'ended')
  for _, name in ipairs(known) do returnClaims(name, 'none') end
  declare()
  return 'adopted\\n' .. run .. '\\n' .. was
end
-- grows first: a full Redis refuses a new run, and says so, before anything is discarded
local number = redis.call('HINCRBY', meta, 'run_no', 1)
redis.call('DEL', P .. 'state', P .. 'runtime', P .. 'ended', P .. 'delays')
for _, name in ipairs(known) do
  if mode == 'fresh' then redis.call('DEL', P .. 'c:' .. name) else returnClaims(name, 'none') end
  local seq = redis.call('HGET', P .. 'r:' .. name, 'seq')
  redis.call('DEL', P .. 'r:' .. name)
  if seq then redis.call('HSET', P .. 'r:' .. name, 'seq', text(tonumber(seq) + 1)) end
end
if mode == 'fresh' then
  for _, queue in ipairs(redis.call('SMEMBERS', P .. 'queues')) do redis.call('DEL', P .. 'q:' .. queue, P .. 'full:' .. queue) end
  redis.call('DEL', P .. 'queues')
end
redis.call('DEL', P .. 'replicas', P .. 'desired')
run = 'run-' .. text(number)
redis.call('HDEL', meta, 'finished_at', 'runtime_version')
redis.call('HSET', meta, 'run', run, 'run_token', runToken, 'seed', seed, 'status', 'running', 'started_at', time)
declare()
return 'new\\n' .. run .. '\\n' .. seed
`

type Beginning = {
  mode: string
  runToken: string
  seed: string
  time: string
  expected: string
  dropped: string[]
  gone: string[]
  declaration: Declaration
}

function readBeginning(args: readonly string[]): Beginning {
  const a = new Args(args)
  const [mode, runToken, seed, time, expected] = [a.next(), a.next(), a.next(), a.next(), a.next()]
  const [dropped, gone] = [a.list(), a.list()]
  return { mode, runToken, seed, time, expected, dropped, gone, declaration: readDeclaration(a) }
}

function requireTypes(db: Keyspace, p: string, known: readonly string[]): void {
  for (const key of ['desired', 'state', 'runtime', 'ended', 'delays', ...declaredHashes])
    requireType(db, p + key, 'hash')
  for (const key of declaredSets) requireType(db, p + key, 'set')
  requireType(db, knownWorkflows, 'set')
  for (const name of known) {
    requireType(db, `${p}r:${name}`, 'hash')
    requireReturnable(db, p, name)
  }
}

function leased(db: Keyspace, p: string, known: readonly string[], gone: readonly string[]): string | undefined {
  return known.find(name => {
    const holder = db.hget(`${p}r:${name}`, 'holder') ?? ''
    const lease = db.hget(`${p}r:${name}`, 'lease_until')
    return holder !== '' && !gone.includes(holder) && lease !== null && Number(lease) > db.timeMs()
  })
}

function adopt(db: Keyspace, p: string, known: readonly string[], d: Beginning): string {
  if (d.dropped.length > 0) for (const field of d.dropped) db.hdel(`${p}state`, field)
  db.del(`${p}ended`)
  for (const name of known) returnClaims(db, p, name, 'none')
  declare(db, p, d.declaration)
  return `adopted\n${db.hget(`${p}meta`, 'run')}\n${db.hget(`${p}meta`, 'seed')}`
}

function begin(db: Keyspace, p: string, known: readonly string[], d: Beginning): string {
  // grows first: a full Redis refuses a new run, and says so, before anything is discarded
  const number = db.hincrby(`${p}meta`, 'run_no', 1)
  db.del(`${p}state`, `${p}runtime`, `${p}ended`, `${p}delays`)
  for (const name of known) {
    if (d.mode === 'fresh') db.del(`${p}c:${name}`)
    else returnClaims(db, p, name, 'none')
    const seq = db.hget(`${p}r:${name}`, 'seq')
    db.del(`${p}r:${name}`)
    if (seq !== null) db.hset(`${p}r:${name}`, 'seq', String(Number(seq) + 1))
  }
  if (d.mode === 'fresh') {
    for (const queue of db.smembers(`${p}queues`)) db.del(`${p}q:${queue}`, `${p}full:${queue}`)
    db.del(`${p}queues`)
  }
  db.del(`${p}replicas`, `${p}desired`)
  const run = `run-${number}`
  db.hdel(`${p}meta`, 'finished_at', 'runtime_version')
  const fields = ['run', run, 'run_token', d.runToken, 'seed', d.seed, 'status', 'running', 'started_at', d.time]
  db.hset(`${p}meta`, ...fields)
  declare(db, p, d.declaration)
  return `new\n${run}\n${d.seed}`
}

/** Why nobody wants the workflow to run now; else the token of the run to begin. */
function wished(db: Keyspace, p: string, token: string): { idle: string } | { token: string } {
  const wish = db.hget(`${p}desired`, '') ?? ''
  const status = db.hget(`${p}meta`, 'status')
  const asked = /^run:(.+)$/.exec(wish)?.[1]
  if (wish === 'stop' || wish === 'kill') return { idle: wish }
  if (status === 'completed' && asked === undefined) return { idle: 'completed' }
  if (status !== 'running' && wish === 'pause') return { idle: 'pause' }
  return { token: asked ?? token }
}

export const startRun: Script = {
  name: 'start-run',
  lua,
  run(db, [p = ''], args) {
    const d = readBeginning(args)
    const { schema, hash } = d.declaration
    const known = db.smembers(`${p}replicas`).sort()
    requireTypes(db, p, known)
    const stored = db.hget(`${p}meta`, 'schema')
    if (stored !== null && Number(stored) > schema) return `too-new\n${stored}`
    const meta = (field: string) => db.hget(`${p}meta`, field)
    const running = meta('status') === 'running'
    if (meta('run_token') === d.runToken) return `new\n${meta('run')}\n${meta('seed')}`
    if (d.mode === 'wished') {
      const wish = wished(db, p, d.runToken)
      if ('idle' in wish) return `idle\n${wish.idle}`
      d.runToken = wish.token
    }
    if (d.mode !== 'fresh' && running && meta('hash') === hash) {
      if (Number(stored) < schema) declare(db, p, d.declaration)
      return `resumed\n${meta('run')}\n${meta('seed')}`
    }
    if ((d.mode === 'resume' || d.mode === 'wished') && running) return `changed\n${meta('run')}`
    const holder = leased(db, p, known, d.gone)
    if (running && holder !== undefined) return `running\n${holder}`
    if (d.mode !== 'adopt' || !running) return begin(db, p, known, d)
    return meta('hash') === d.expected ? adopt(db, p, known, d) : 'retry'
  },
}
