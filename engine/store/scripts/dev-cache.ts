/**
 * Keeps what a node put out in development mode, under keys of its own that no loop reads; what is older than its time
 * goes when something is kept.
 * Arguments: field, value, oldest time that stays. Values are `TIME\nJSON`; an empty one only removes. Answers `ok`.
 */
import type { Script } from '../../ports.ts'
import { Args, preludeLua, requireType } from './prelude.ts'

const lua = `${preludeLua}
local field, value, oldest = arg(), arg(), int()
if not is(P .. 'out', 'hash') then return wrongType end
local all = redis.call('HGETALL', P .. 'out')
for i = 1, #all, 2 do
  local time = tonumber(string.match(all[i + 1], '^(%d+)\\n') or '0')
  if all[i] == field or time < oldest then redis.call('HDEL', P .. 'out', all[i]) end
end
if value ~= '' then redis.call('HSET', P .. 'out', field, value) end
return 'ok'
`

export const devCache: Script = {
  name: 'dev-cache',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [field, value, oldest] = [a.next(), a.next(), a.int()]
    requireType(db, `${p}out`, 'hash')
    for (const [name, kept] of Object.entries(db.hgetall(`${p}out`))) {
      const time = Number(/^(\d+)\n/.exec(kept)?.[1] ?? '0')
      if (name === field || time < oldest) db.hdel(`${p}out`, name)
    }
    if (value !== '') db.hset(`${p}out`, field, value)
    return 'ok'
  },
}
