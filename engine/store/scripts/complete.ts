/**
 * Ends a loop, and with it its whole cycle, when nothing can come any more: all writers from outside have ended, and
 * the queues and all replicas' claims of the cycle are empty. One script, so that nothing slips in between (1.7).
 *
 * Arguments: loop, replica, holder, token, seq, run, time, loops of the cycle, queues,
 * replicas whose claims must be empty, loops that must have ended, loops to wake.
 * Answers `completed`, `workflow` (it was the last), `waiting`, `ended` (somebody else did it), or as fenced (S3).
 */
import type { Script } from '../../ports.ts'
import { Args, advance, fence, preludeLua, requireType, ring } from './prelude.ts'

const lua = `${preludeLua}
local loop, replica, holder, token, seq, run, time = arg(), arg(), arg(), arg(), arg(), arg(), arg()
local cycle, queues, replicas, upstream, wake = list(), list(), list(), list(), list()
local r = P .. 'r:' .. loop .. ':' .. replica
if not is(r, 'hash') or not is(P .. 'ended', 'hash') or not is(P .. 'meta', 'hash') or not is(P .. 'loops', 'hash') then return wrongType end
for _, queue in ipairs(queues) do if not is(P .. 'q:' .. queue, 'list') then return wrongType end end
for _, name in ipairs(replicas) do if not is(P .. 'c:' .. name, 'list') then return wrongType end end
local stop = fence(r, holder, token, seq)
if stop then return stop end
if redis.call('HGET', P .. 'ended', loop) == run then return 'ended' end
for _, queue in ipairs(queues) do if redis.call('LLEN', P .. 'q:' .. queue) > 0 then return 'waiting' end end
for _, name in ipairs(replicas) do if redis.call('LLEN', P .. 'c:' .. name) > 0 then return 'waiting' end end
for _, writer in ipairs(upstream) do if redis.call('HGET', P .. 'ended', writer) ~= run then return 'waiting' end end
for _, member in ipairs(cycle) do redis.call('HSET', P .. 'ended', member, run) end
local answer = 'completed'
if redis.call('HLEN', P .. 'ended') >= redis.call('HLEN', P .. 'loops') then
  redis.call('HSET', P .. 'meta', 'status', 'completed', 'finished_at', time)
  answer = 'workflow'
end
for _, other in ipairs(wake) do ring(other) end
return advance(r, token, seq, answer)
`

export const complete: Script = {
  name: 'complete',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, replica, holder, token, seq] = [a.next(), a.next(), a.next(), a.next(), a.next()]
    const [run, time] = [a.next(), a.next()]
    const [cycle, queues, replicas, upstream, wake] = [a.list(), a.list(), a.list(), a.list(), a.list()]
    const r = `${p}r:${loop}:${replica}`
    for (const key of [r, `${p}ended`, `${p}meta`, `${p}loops`]) requireType(db, key, 'hash')
    for (const queue of queues) requireType(db, `${p}q:${queue}`, 'list')
    for (const name of replicas) requireType(db, `${p}c:${name}`, 'list')
    const stop = fence(db, r, { holder, token, seq })
    if (stop !== undefined) return stop
    const ended = (name: string) => db.hget(`${p}ended`, name) === run
    if (ended(loop)) return 'ended'
    if (queues.some(queue => db.llen(`${p}q:${queue}`) > 0)) return 'waiting'
    if (replicas.some(name => db.llen(`${p}c:${name}`) > 0)) return 'waiting'
    if (!upstream.every(ended)) return 'waiting'
    for (const member of cycle) db.hset(`${p}ended`, member, run)
    const last = db.hlen(`${p}ended`) >= db.hlen(`${p}loops`)
    if (last) db.hset(`${p}meta`, 'status', 'completed', 'finished_at', time)
    for (const other of wake) ring(db, p, other)
    return advance(db, r, { token, seq }, last ? 'workflow' : 'completed')
  },
}
