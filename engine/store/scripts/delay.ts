/**
 * Stores when a delay ends, once: a redelivered item finds the first answer and waits only for the rest (1.3).
 * Arguments: loop, replica, holder, token, seq, field, wake-up time. Answers `delay\nTIME`, or as fenced (S3).
 */
import type { Script } from '../../ports.ts'
import { Args, advance, fence, preludeLua, requireType } from './prelude.ts'

const lua = `${preludeLua}
local loop, replica, holder, token, seq, field, time = arg(), arg(), arg(), arg(), arg(), arg(), arg()
local r = P .. 'r:' .. loop .. ':' .. replica
if not is(r, 'hash') or not is(P .. 'delays', 'hash') then return wrongType end
local stop = fence(r, holder, token, seq)
if stop then return stop end
redis.call('HSETNX', P .. 'delays', field, time)
return advance(r, token, seq, 'delay\\n' .. redis.call('HGET', P .. 'delays', field))
`

export const delay: Script = {
  name: 'delay',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [loop, replica, holder, token, seq] = [a.next(), a.next(), a.next(), a.next(), a.next()]
    const [field, time] = [a.next(), a.next()]
    const r = `${p}r:${loop}:${replica}`
    requireType(db, r, 'hash')
    requireType(db, `${p}delays`, 'hash')
    const stop = fence(db, r, { holder, token, seq })
    if (stop !== undefined) return stop
    db.hsetnx(`${p}delays`, field, time)
    return advance(db, r, { token, seq }, `delay\n${db.hget(`${p}delays`, field)}`)
  },
}
