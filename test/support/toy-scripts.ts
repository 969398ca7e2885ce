/** Three small scripts, in both languages, for tests of what runs scripts: one token-guarded, one that checks, one of time. */
import type { Script } from '../../engine/ports.ts'

/** Pushes ARGV[2…] to KEYS[1] once per token ARGV[1] (kept in KEYS[2]); answers the length as it was left then. */
export const pushOnce: Script = {
  name: 'toy-push-once',
  lua: `
    local known = redis.call('HGET', KEYS[2], ARGV[1])
    if known then return tonumber(known) end
    local n = redis.call('LLEN', KEYS[1])
    redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', n + #ARGV - 1))
    for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
    return n + #ARGV - 1`,
  run(db, keys, args) {
    const [list, tokens] = keys as [string, string]
    const [token, ...values] = args as [string, ...string[]]
    const known = db.hget(tokens, token)
    if (known !== null) return Number(known)
    const length = db.llen(list) + values.length
    db.hset(tokens, token, String(length))
    for (const value of values) db.rpush(list, value)
    return length
  },
}

/** Moves up to ARGV[1] elements from the front of KEYS[1] to the end of KEYS[2]; answers them. */
export const move: Script = {
  name: 'toy-move',
  lua: `
    local moved = {}
    if redis.call('LLEN', KEYS[2]) < 0 then return moved end
    for i = 1, tonumber(ARGV[1]) do
      local value = redis.call('LPOP', KEYS[1])
      if not value then break end
      redis.call('RPUSH', KEYS[2], value)
      moved[#moved + 1] = value
    end
    return moved`,
  run(db, keys, args) {
    const [from, to] = keys as [string, string]
    const moved: string[] = []
    db.llen(to)
    for (let i = 0; i < Number(args[0]); i++) {
      const value = db.lpop(from)
      if (value === null) break
      db.rpush(to, value)
      moved.push(value)
    }
    return moved
  },
}

/** Notes the server's time under ARGV[1] in the hash KEYS[1] as `lease_until`, counts in the string KEYS[2]. */
export const lease: Script = {
  name: 'toy-lease',
  lua: `
    local t = redis.call('TIME')
    local ms = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
    redis.call('SADD', KEYS[3], ARGV[1])
    redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'lease_until', string.format('%.0f', ms + 10000))
    return { ARGV[1], redis.call('INCRBY', KEYS[2], 1), false }`,
  run(db, keys, args) {
    const [hash, counter, set] = keys as [string, string, string]
    const holder = args[0] as string
    db.sadd(set, holder)
    db.hset(hash, 'holder', holder, 'lease_until', String(db.timeMs() + 10_000))
    return [holder, db.incrby(counter, 1), null]
  },
}

export const toyScripts: readonly Script[] = [pushOnce, move, lease]
