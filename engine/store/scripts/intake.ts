/**
 * Takes what came from outside into queues: many requests in one step, each on its own, accepted or refused. A request
 * with a key is taken once, however often it is sent; a batch whose reply was lost gets its first answer again.
 *
 * Arguments: batch token, then each: key ('' without one), queue, limit (0: none), entry. Answers one letter each:
 * `p` pushed, `f` full, `d` taken before.
 */
import { limits } from '../../limits.ts'
import type { Keyspace } from '../../memory-redis/keyspace.ts'
import type { Script } from '../../ports.ts'
import { Args, preludeLua, requireType, ringReaders } from './prelude.ts'

const lua = `${preludeLua}
local batch, items = arg(), list()
for _, key in ipairs({'pushed', 'bells', 'batches'}) do if not is(P .. key, 'hash') then return wrongType end end
for _, key in ipairs({'pushedo', 'batcheso'}) do if not is(P .. key, 'list') then return wrongType end end
if not is(P .. 'queues', 'set') then return wrongType end
local length = {}
for i = 1, #items, 4 do
  local queue = items[i + 1]
  if length[queue] == nil then
    if not is(P .. 'q:' .. queue, 'list') then return wrongType end
    length[queue] = redis.call('LLEN', P .. 'q:' .. queue)
  end
end
local before = redis.call('HGET', P .. 'batches', batch)
if before then return before end
local function remember(hash, order, token, value, most)
  redis.call('HSET', P .. hash, token, value)
  redis.call('RPUSH', P .. order, token)
  if redis.call('LLEN', P .. order) > most then redis.call('HDEL', P .. hash, redis.call('LPOP', P .. order)) end
end
local answers, grown = {}, {}
for i = 1, #items, 4 do
  local key, queue, limit = items[i], items[i + 1], tonumber(items[i + 2])
  local answer = 'p'
  if key ~= '' and redis.call('HEXISTS', P .. 'pushed', key) == 1 then answer = 'd'
  elseif limit > 0 and length[queue] >= limit then answer = 'f'
  else
    redis.call('RPUSH', P .. 'q:' .. queue, items[i + 3])
    length[queue] = length[queue] + 1
    if key ~= '' then remember('pushed', 'pushedo', key, 'pushed\\n1', ${limits.pushTokensMax}) end
    if not grown[queue] then
      grown[queue] = true
      redis.call('SADD', P .. 'queues', queue)
      ringReaders(queue)
    end
  end
  answers[#answers + 1] = answer
end
local said = table.concat(answers)
if string.find(said, 'p', 1, true) then remember('batches', 'batcheso', batch, said, ${limits.batchTokensMax}) end
return said
`

type Item = { key: string; queue: string; limit: number; entry: string }

function readItems(list: readonly string[]): Item[] {
  const items: Item[] = []
  for (let i = 0; i < list.length; i += 4) {
    const [key, queue, limit, entry] = list.slice(i, i + 4) as [string, string, string, string]
    items.push({ key, queue, limit: Number(limit), entry })
  }
  return items
}

/** Tokens are remembered up to a number: the oldest goes. */
function remember(db: Keyspace, at: { hash: string; order: string; most: number }, token: string, value: string): void {
  db.hset(at.hash, token, value)
  if (db.rpush(at.order, token) > at.most) db.hdel(at.hash, db.lpop(at.order) as string)
}

function take(db: Keyspace, p: string, { key, queue, limit, entry }: Item): 'p' | 'f' | 'd' {
  if (key !== '' && db.hexists(`${p}pushed`, key) === 1) return 'd'
  if (limit > 0 && db.llen(`${p}q:${queue}`) >= limit) return 'f'
  db.rpush(`${p}q:${queue}`, entry)
  const keys = { hash: `${p}pushed`, order: `${p}pushedo`, most: limits.pushTokensMax }
  if (key !== '') remember(db, keys, key, 'pushed\n1')
  return 'p'
}

export const intake: Script = {
  name: 'intake',
  lua,
  run(db, [p = ''], args) {
    const a = new Args(args)
    const [batch, items] = [a.next(), readItems(a.list())]
    for (const key of ['pushed', 'bells', 'batches']) requireType(db, p + key, 'hash')
    for (const key of ['pushedo', 'batcheso']) requireType(db, p + key, 'list')
    requireType(db, `${p}queues`, 'set')
    for (const { queue } of items) requireType(db, `${p}q:${queue}`, 'list')
    const before = db.hget(`${p}batches`, batch)
    if (before !== null) return before
    const grown = new Set<string>()
    const answers = items.map(item => {
      const answer = take(db, p, item)
      if (answer === 'p' && !grown.has(item.queue)) {
        grown.add(item.queue)
        db.sadd(`${p}queues`, item.queue)
        ringReaders(db, p, item.queue)
      }
      return answer
    })
    const said = answers.join('')
    const batches = { hash: `${p}batches`, order: `${p}batcheso`, most: limits.batchTokensMax }
    if (grown.size > 0) remember(db, batches, batch, said)
    return said
  },
}
