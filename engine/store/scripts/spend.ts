/**
 * Counts what somebody asks for within a window of time, over all daemons: a daemon takes a few requests at once out of
 * what is left, and gives them out itself. A new window begins by forgetting all of the last, so that what is kept is
 * bounded by how many ask within one.
 *
 * Arguments: who, token, window in ms, limit, how many are wanted. Records are `USED|GRANTED|TOKEN`; the same token gets
 * the same answer again, unless another daemon took in between: then a few requests are lost, and none is too many.
 * Answers `granted\nHOW MANY\nMS`, or `spent\n0\nMS`: how long the window still lasts.
 */
import type { Script } from '../../ports.ts'
import { Args, preludeLua, requireType } from './prelude.ts'

const lua = `${preludeLua}
local who, token, windowMs, limit, wanted = arg(), arg(), int(), int(), int()
local all = P .. 'rates'
if not is(all, 'hash') then return wrongType end
local now = timeMs()
local window = text(math.floor(now / windowMs))
local left = '\\n' .. text(windowMs - now % windowMs)
if redis.call('HGET', all, '') ~= window then
  redis.call('DEL', all)
  redis.call('HSET', all, '', window)
end
local used, before, last = string.match(redis.call('HGET', all, who) or '0|0|', '^(%d+)|(%d+)|(.*)$')
local granted = tonumber(before)
if last ~= token then
  granted = math.max(0, math.min(wanted, limit - tonumber(used)))
  redis.call('HSET', all, who, text(tonumber(used) + granted) .. '|' .. text(granted) .. '|' .. token)
end
return (granted > 0 and 'granted\\n' or 'spent\\n') .. text(granted) .. left
`

export const spend: Script = {
  name: 'spend',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [who, token, windowMs, limit, wanted] = [a.next(), a.next(), a.int(), a.int(), a.int()]
    const all = `${p}rates`
    requireType(db, all, 'hash')
    const now = db.timeMs()
    const window = String(Math.floor(now / windowMs))
    if (db.hget(all, '') !== window) {
      db.del(all)
      db.hset(all, '', window)
    }
    const [used = '0', before = '0', last = ''] = (db.hget(all, who) ?? '').split('|').filter(Boolean)
    const granted = last === token ? Number(before) : Math.max(0, Math.min(wanted, limit - Number(used)))
    if (last !== token) db.hset(all, who, `${Number(used) + granted}|${granted}|${token}`)
    return `${granted > 0 ? 'granted' : 'spent'}\n${granted}\n${windowMs - (now % windowMs)}`
  },
}
