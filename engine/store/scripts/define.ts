/**
 * Keeps workflow definitions: written only over the version that the writer has seen. The field '' counts every change,
 * for whoever holds copies of them.
 *
 * Arguments: id, version that is replaced (`new`: none may be there; `any`), time, JSON ('' removes).
 * Records are `VERSION\nCREATED\nUPDATED\nJSON`. Answers `ok\nVERSION`, `conflict\nVERSION`, `missing`.
 */
import type { Script } from '../../ports.ts'
import { Args, preludeLua, requireType } from './prelude.ts'

const lua = `${preludeLua}
local id, expected, time, json = arg(), arg(), arg(), arg()
local all = P .. 'definitions'
if not is(all, 'hash') then return wrongType end
local record = redis.call('HGET', all, id)
local version, created = '0', time
if record then version, created = string.match(record, '^(%d+)\\n(%d+)\\n') end
if expected == 'new' and record then return 'conflict\\n' .. version end
if expected ~= 'new' and not record and (json == '' or expected ~= 'any') then return 'missing' end
if expected ~= 'new' and expected ~= 'any' and expected ~= version then return 'conflict\\n' .. version end
local after = text(tonumber(version) + 1)
if json == '' then redis.call('HDEL', all, id)
else redis.call('HSET', all, id, after .. '\\n' .. created .. '\\n' .. time .. '\\n' .. json) end
redis.call('HINCRBY', all, '', 1)
return 'ok\\n' .. after
`

export const define: Script = {
  name: 'define',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [id, expected, time, json] = [a.next(), a.next(), a.next(), a.next()]
    requireType(db, `${p}definitions`, 'hash')
    const record = db.hget(`${p}definitions`, id)
    const [version = '0', created = time] = record?.split('\n', 2) ?? []
    if (expected === 'new' && record !== null) return `conflict\n${version}`
    if (expected !== 'new' && record === null && (json === '' || expected !== 'any')) return 'missing'
    if (expected !== 'new' && expected !== 'any' && expected !== version) return `conflict\n${version}`
    const after = String(Number(version) + 1)
    if (json === '') db.hdel(`${p}definitions`, id)
    else db.hset(`${p}definitions`, id, `${after}\n${created}\n${time}\n${json}`)
    db.hincrby(`${p}definitions`, '', 1)
    return `ok\n${after}`
  },
}
