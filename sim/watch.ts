/**
 * Watches what an operation does to the lists and dead letters of a keyspace, at the keys themselves: the engine's own
 * events have no part in it. The moves of one operation are handed out together when it is over.
 */
import type { Keyspace } from '../engine/memory-redis/keyspace.ts'

export type Move = {
  /** The whole key. */
  key: string
  kind: 'in' | 'out'
  /** The list element; of a hash the field. */
  value: string
}

const deadLetters = /:dl$/
const lists = /:[qc]:/

/** Calls `collect` for every element that enters or leaves a queue, a claimed list or the dead letters. */
export function watchKeys(db: Keyspace, collect: (move: Move) => void): void {
  const { rpush, lpush, lpop, rpop, lrem, del, hset, hdel } = bound(db)
  const pushed = (key: string, values: readonly string[]): void => {
    if (lists.test(key)) for (const value of values) collect({ key, kind: 'in', value })
  }
  const popped = (key: string, value: string | null): string | null => {
    if (value !== null && lists.test(key)) collect({ key, kind: 'out', value })
    return value
  }
  db.rpush = (key, ...values) => {
    const length = rpush(key, ...values)
    pushed(key, values)
    return length
  }
  db.lpush = (key, ...values) => {
    const length = lpush(key, ...values)
    pushed(key, values)
    return length
  }
  db.lpop = key => popped(key, lpop(key))
  db.rpop = key => popped(key, rpop(key))
  db.lrem = (key, value) => {
    const removed = lrem(key, value)
    for (let i = 0; i < removed; i++) popped(key, value)
    return removed
  }
  db.del = (...keys) => {
    for (const key of keys) {
      if (db.type(key) === 'list') for (const value of db.lrange(key, 0, -1)) popped(key, value)
      if (deadLetters.test(key)) for (const value of db.hkeys(key)) collect({ key, kind: 'out', value })
    }
    return del(...keys)
  }
  db.hset = (key, ...pairs) => {
    const fields = deadLetters.test(key) ? pairs.filter((_, i) => i % 2 === 0) : []
    const fresh = fields.filter(field => db.hexists(key, field) === 0)
    const added = hset(key, ...pairs)
    for (const value of fresh) collect({ key, kind: 'in', value })
    return added
  }
  db.hdel = (key, ...fields) => {
    const there = deadLetters.test(key) ? fields.filter(field => db.hexists(key, field) === 1) : []
    const removed = hdel(key, ...fields)
    for (const value of there) collect({ key, kind: 'out', value })
    return removed
  }
}

type Watched = 'rpush' | 'lpush' | 'lpop' | 'rpop' | 'lrem' | 'del' | 'hset' | 'hdel'

function bound(db: Keyspace): Pick<Keyspace, Watched> {
  return {
    rpush: db.rpush.bind(db),
    lpush: db.lpush.bind(db),
    lpop: db.lpop.bind(db),
    rpop: db.rpop.bind(db),
    lrem: db.lrem.bind(db),
    del: db.del.bind(db),
    hset: db.hset.bind(db),
    hdel: db.hdel.bind(db),
  }
}
