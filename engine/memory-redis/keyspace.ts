/**
 * The keys of a Redis, held in memory: what the embedded and the simulated server share. One synchronous method per
 * command that the scripts use, with Redis's own rules, so that a script is atomic by construction.
 *
 * K1 a key that holds nothing does not exist. K2 a command on a key of another type throws WRONGTYPE and writes nothing.
 * K3 out of memory, the first growing write of a script throws OOM, later ones pass (as Redis does: it can't roll back).
 *
 * Why not ioredis-mock: see README, "Measured": its lists are copied at every push, it has no synchronous calls, and
 * its MULTI is not isolated. It serves as the third arm of the contract suite, running our Lua.
 */
import { EngineError } from '../errors.ts'

type Value = string | ListValue | Map<string, string> | Set<string>
export type KeyType = 'none' | 'string' | 'list' | 'hash' | 'set'

/** A list with cheap ends: items live at `items[head…]`; popped fronts are compacted now and then. */
class ListValue {
  items: string[] = []
  head = 0

  get length(): number {
    return this.items.length - this.head
  }
  pushBack(value: string): void {
    this.items.push(value)
  }
  pushFront(value: string): void {
    if (this.head === 0) this.#makeRoom()
    this.items[--this.head] = value
  }
  popFront(): string | undefined {
    if (this.length === 0) return undefined
    const value = this.items[this.head]
    this.items[this.head++] = ''
    if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return value
  }
  popBack(): string | undefined {
    return this.length === 0 ? undefined : this.items.pop()
  }
  remove(value: string): number {
    const before = this.length
    this.items = this.items.slice(this.head).filter(item => item !== value)
    this.head = 0
    return before - this.length
  }
  copy(): ListValue {
    const list = new ListValue()
    list.items = this.range(0, -1)
    return list
  }
  /** Room in front grows with the list, so that a thousand returned claims do not move it a thousand times. */
  #makeRoom(): void {
    const room = Math.max(16, this.length)
    this.items = [...new Array<string>(room).fill(''), ...this.items]
    this.head = room
  }
  range(start: number, stop: number): string[] {
    const n = this.length
    const from = start < 0 ? Math.max(0, n + start) : start
    const to = stop < 0 ? n + stop : Math.min(stop, n - 1)
    return from > to ? [] : this.items.slice(this.head + from, this.head + to + 1)
  }
}

export class Keyspace {
  /** The server's clock, for `TIME`; set by whoever runs the operations. Milliseconds since the epoch. */
  now: () => number
  /** The server is at `maxmemory`: growing writes are refused as K3 says. */
  outOfMemory = false
  /** Told of every key that a list push went to: for those who wait on it. */
  onPush: ((key: string) => void) | undefined
  readonly #values = new Map<string, Value>()
  /** The last snapshot, and what was written since. */
  #snapshot: KeySnapshot = new Map()
  #written: Set<string> | undefined
  #wroteInScript = false
  #changed = false

  constructor(now: () => number) {
    this.now = now
  }

  /** Marks the start of one atomic operation (for K3 and `changed`). */
  beginScript(): void {
    this.#wroteInScript = false
    this.#changed = false
  }
  /** Whether anything was written since `beginScript`. */
  get changed(): boolean {
    return this.#changed
  }

  timeMs(): number {
    return this.now()
  }

  // --- generic

  type(key: string): KeyType {
    const value = this.#values.get(key)
    if (value === undefined) return 'none'
    if (typeof value === 'string') return 'string'
    if (value instanceof ListValue) return 'list'
    return value instanceof Map ? 'hash' : 'set'
  }
  exists(key: string): number {
    return this.#values.has(key) ? 1 : 0
  }
  del(...keys: string[]): number {
    this.#wroteInScript = true
    const removed = keys.filter(key => this.#remove(key)).length
    if (removed > 0) this.#changed = true
    return removed
  }
  keys(): string[] {
    return [...this.#values.keys()]
  }
  clear(): void {
    this.#values.clear()
    this.#written = undefined
  }

  // --- strings

  get(key: string): string | null {
    const value = this.#values.get(key)
    if (value === undefined) return null
    if (typeof value !== 'string') throw wrongType()
    return value
  }
  set(key: string, value: string): void {
    this.#grow()
    this.#store(key, value)
  }
  incrby(key: string, by: number): number {
    this.#grow()
    const next = toInteger(this.get(key)) + by
    this.#store(key, String(next))
    return next
  }

  // --- hashes

  hget(key: string, field: string): string | null {
    return this.#hash(key)?.get(field) ?? null
  }
  hexists(key: string, field: string): number {
    return this.#hash(key)?.has(field) ? 1 : 0
  }
  hlen(key: string): number {
    return this.#hash(key)?.size ?? 0
  }
  hkeys(key: string): string[] {
    return [...(this.#hash(key)?.keys() ?? [])]
  }
  hgetall(key: string): Record<string, string> {
    return Object.fromEntries(this.#hash(key) ?? [])
  }
  /** `HSET key field value …`: the number of new fields. */
  hset(key: string, ...fieldsAndValues: string[]): number {
    this.#grow()
    const hash = this.#hash(key) ?? new Map<string, string>()
    const before = hash.size
    for (let i = 0; i < fieldsAndValues.length; i += 2) {
      hash.set(fieldsAndValues[i] as string, fieldsAndValues[i + 1] as string)
    }
    this.#store(key, hash)
    return hash.size - before
  }
  hsetnx(key: string, field: string, value: string): number {
    this.#grow()
    return this.#hash(key)?.has(field) ? 0 : this.hset(key, field, value)
  }
  hincrby(key: string, field: string, by: number): number {
    this.#grow()
    const next = toInteger(this.hget(key, field)) + by
    this.hset(key, field, String(next))
    return next
  }
  hdel(key: string, ...fields: string[]): number {
    this.#wroteInScript = true
    const hash = this.#hash(key)
    if (hash === undefined) return 0
    const removed = fields.filter(field => hash.delete(field)).length
    if (removed > 0) this.#writes(key)
    if (hash.size === 0) this.#remove(key)
    return removed
  }

  // --- lists

  llen(key: string): number {
    return this.#list(key)?.length ?? 0
  }
  lindex(key: string, index: number): string | null {
    return this.#list(key)?.range(index, index)[0] ?? null
  }
  lrange(key: string, start: number, stop: number): string[] {
    return this.#list(key)?.range(start, stop) ?? []
  }
  rpush(key: string, ...values: string[]): number {
    const list = this.#growList(key)
    for (const value of values) list.pushBack(value)
    this.onPush?.(key)
    return list.length
  }
  lpush(key: string, ...values: string[]): number {
    const list = this.#growList(key)
    for (const value of values) list.pushFront(value)
    this.onPush?.(key)
    return list.length
  }
  lpop(key: string): string | null {
    return this.#pop(key, list => list.popFront())
  }
  rpop(key: string): string | null {
    return this.#pop(key, list => list.popBack())
  }

  /** Removes every element equal to `value` (`LREM key 0 value`). */
  lrem(key: string, value: string): number {
    this.#wroteInScript = true
    const list = this.#list(key)
    if (list === undefined) return 0
    const removed = list.remove(value)
    if (removed > 0) this.#writes(key)
    if (list.length === 0) this.#remove(key)
    return removed
  }

  // --- sets

  sadd(key: string, ...members: string[]): number {
    this.#grow()
    const set = this.#set(key) ?? new Set<string>()
    const before = set.size
    for (const member of members) set.add(member)
    this.#store(key, set)
    return set.size - before
  }
  srem(key: string, ...members: string[]): number {
    this.#wroteInScript = true
    const set = this.#set(key)
    if (set === undefined) return 0
    const removed = members.filter(member => set.delete(member)).length
    if (removed > 0) this.#writes(key)
    if (set.size === 0) this.#remove(key)
    return removed
  }
  smembers(key: string): string[] {
    return [...(this.#set(key) ?? [])]
  }
  sismember(key: string, member: string): number {
    return this.#set(key)?.has(member) ? 1 : 0
  }

  // --- whole

  /** Every key with its type and content, in canonical order: for snapshots, comparison and loss. */
  dump(): KeyDump[] {
    return this.keys()
      .sort()
      .map(key => {
        const value = this.#values.get(key) as Value
        if (typeof value === 'string') return { key, type: 'string', value }
        if (value instanceof ListValue) return { key, type: 'list', value: value.range(0, -1) }
        if (value instanceof Map) return { key, type: 'hash', value: [...value].sort(byFirst) }
        return { key, type: 'set', value: [...value].sort() }
      })
  }
  load(dump: readonly KeyDump[]): void {
    this.clear()
    for (const part of dump) this.append(part)
  }
  /** Adds a key, or a further part of a list, set or hash: snapshots come in parts. */
  append(part: KeyDump): void {
    this.#written?.add(part.key)
    if (part.type === 'string') this.#values.set(part.key, part.value)
    else if (part.type === 'hash') {
      const hash = this.#hash(part.key) ?? new Map<string, string>()
      for (const [field, value] of part.value) hash.set(field, value)
      this.#values.set(part.key, hash)
    } else if (part.type === 'set') {
      const set = this.#set(part.key) ?? new Set<string>()
      for (const member of part.value) set.add(member)
      this.#values.set(part.key, set)
    } else {
      const list = this.#list(part.key) ?? new ListValue()
      for (const value of part.value) list.pushBack(value)
      this.#values.set(part.key, list)
    }
  }

  /** All keys as they are now, for `goBackTo`; snapshots share what did not change between them. */
  snapshot(): KeySnapshot {
    const next = new Map(this.#written === undefined ? [] : this.#snapshot)
    for (const key of this.#written ?? this.#values.keys()) {
      const value = this.#values.get(key)
      if (value === undefined) next.delete(key)
      else next.set(key, copyOf(value))
    }
    this.#snapshot = next
    this.#written = new Set()
    return next
  }
  goBackTo(snapshot: KeySnapshot): void {
    this.clear()
    for (const [key, value] of snapshot) this.#values.set(key, copyOf(value))
  }

  // --- inside

  #store(key: string, value: Value): void {
    this.#writes(key)
    this.#values.set(key, value)
  }
  #remove(key: string): boolean {
    this.#written?.add(key)
    return this.#values.delete(key)
  }
  #writes(key: string): void {
    this.#changed = true
    this.#written?.add(key)
  }
  /** The list of a push: refused or of a wrong type before anything is made. */
  #growList(key: string): ListValue {
    this.#grow()
    const list = this.#list(key) ?? new ListValue()
    this.#store(key, list)
    return list
  }
  /** As on a server, memory is looked at before the type of the key. */
  #grow(): void {
    if (this.outOfMemory && !this.#wroteInScript) {
      throw new EngineError('REDIS_OUT_OF_MEMORY', "OOM command not allowed when used memory > 'maxmemory'")
    }
    this.#wroteInScript = true
  }
  #pop(key: string, take: (list: ListValue) => string | undefined): string | null {
    this.#wroteInScript = true
    const list = this.#list(key)
    if (list === undefined) return null
    const value = take(list)
    this.#writes(key)
    if (list.length === 0) this.#remove(key)
    return value ?? null
  }
  #hash(key: string): Map<string, string> | undefined {
    const value = this.#values.get(key)
    if (value === undefined || value instanceof Map) return value
    throw wrongType()
  }
  #list(key: string): ListValue | undefined {
    const value = this.#values.get(key)
    if (value === undefined || value instanceof ListValue) return value
    throw wrongType()
  }
  #set(key: string): Set<string> | undefined {
    const value = this.#values.get(key)
    if (value === undefined || value instanceof Set) return value
    throw wrongType()
  }
}

/** Opaque: only the keyspace that it is of looks into it. */
export type KeySnapshot = ReadonlyMap<string, Value>

function copyOf(value: Value): Value {
  if (typeof value === 'string') return value
  if (value instanceof ListValue) return value.copy()
  return value instanceof Map ? new Map(value) : new Set(value)
}

export type KeyDump =
  | { key: string; type: 'string'; value: string }
  | { key: string; type: 'list'; value: string[] }
  | { key: string; type: 'hash'; value: [string, string][] }
  | { key: string; type: 'set'; value: string[] }

function byFirst(a: [string, string], b: [string, string]): number {
  return a[0] < b[0] ? -1 : 1
}

/** Of INCRBY and HINCRBY: integers only, as Redis has them (up to 2^53 here; the engine counts no further). */
function toInteger(text: string | null): number {
  if (text === null) return 0
  if (/^(0|-?[1-9]\d{0,15})$/.test(text)) return Number(text)
  throw new EngineError('REDIS_FAILED', 'ERR value is not an integer or out of range')
}

function wrongType(): EngineError {
  return new EngineError('REDIS_WRONG_TYPE', 'WRONGTYPE Operation against a key holding the wrong kind of value')
}
