/**
 * The Redises that must not differ: the keys in memory, the embedded one with its journal, a real server (plain, and
 * through a proxy that loses replies), and ioredis-mock running our Lua. An arm runs a script and shows all its keys.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis as Client } from 'ioredis'
import MockClient from 'ioredis-mock'
import { type EmbeddedRedis, openEmbeddedRedis } from '../../daemon/embedded-redis.ts'
import { connectRedis, type RealRedis } from '../../daemon/redis.ts'
import { toRedisError } from '../../daemon/redis-errors.ts'
import { systemClock } from '../../daemon/system-ports.ts'
import { messageOf } from '../../engine/errors.ts'
import type { KeyDump } from '../../engine/memory-redis/keyspace.ts'
import { MemoryServer } from '../../engine/memory-redis/server.ts'
import type { Reply, Script } from '../../engine/ports.ts'
import type { RedisServer } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

export interface Arm {
  readonly name: string
  /** Empties everything. */
  reset(): Promise<void>
  call(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply>
  /** Takes one wake-up that is there. */
  take(key: string): Promise<boolean>
  dump(): Promise<KeyDump[]>
  /** From now on the server is, or is no more, at maxmemory. Arms without it never are. */
  setFull?(full: boolean): Promise<void>
  /** Whatever may happen to this arm between two operations without changing its keys. */
  disturb?(): Promise<void>
  close(): Promise<void>
}

export class MemoryArm implements Arm {
  readonly name = 'memory'
  #server = new MemoryServer()
  get db() {
    return this.#server.db
  }
  async reset() {
    this.#server = new MemoryServer()
  }
  async call(script: Script, keys: readonly string[], args: readonly string[]) {
    const outcome = this.#server.runScript(Date.now(), script, keys, args)
    if (!outcome.ok) throw outcome.error
    return outcome.reply
  }
  async take(key: string) {
    return this.db.lpop(key) !== null
  }
  async dump() {
    return this.db.dump()
  }
  async setFull(full: boolean) {
    this.db.outOfMemory = full
  }
  async close() {}
}

/** `disturb` closes it and opens it again: from the journal, or from a snapshot when it was just compacted. */
export class EmbeddedArm implements Arm {
  readonly name = 'embedded'
  readonly #scripts: readonly Script[]
  #dir = ''
  #redis: EmbeddedRedis | undefined

  constructor(scripts: readonly Script[]) {
    this.#scripts = scripts
  }
  async reset() {
    await this.close()
    this.#dir = mkdtempSync(join(tmpdir(), 'theoneeye-contract-'))
    await this.#open()
  }
  async #open() {
    this.#redis = await openEmbeddedRedis({
      dir: this.#dir,
      clock: systemClock(),
      scripts: this.#scripts,
      compactBytes: 4_000,
    })
  }
  get #opened() {
    return this.#redis as EmbeddedRedis
  }
  call(script: Script, keys: readonly string[], args: readonly string[]) {
    return this.#opened.call(script, keys, args)
  }
  take(key: string) {
    return this.#opened.wait(key, 1_000)
  }
  async dump() {
    return this.#opened.dump()
  }
  async disturb() {
    await this.#opened.close()
    await this.#open()
  }
  async close() {
    await this.#redis?.close()
    if (this.#dir !== '') rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** All keys and their contents in one operation. */
const dumpScript: Script = {
  name: 'dump',
  lua: `
    local out = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
      local kind = redis.call('TYPE', key).ok
      local value
      if kind == 'string' then value = { redis.call('GET', key) }
      elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
      elseif kind == 'hash' then value = redis.call('HGETALL', key)
      elseif kind == 'set' then value = redis.call('SMEMBERS', key)
      else value = {} end
      out[#out + 1] = { key, kind, value }
    end
    return out`,
  run: () => null,
}

export class RealArm implements Arm {
  readonly name: string = 'real'
  protected readonly server: RedisServer
  #admin: Client | undefined
  #redis: RealRedis | undefined

  constructor(server: RedisServer) {
    this.server = server
  }
  async start(url = this.server.url) {
    this.#admin = new Client(this.server.url)
    this.#redis = await connectRedis(url)
  }
  async reset() {
    await this.#admin?.flushall()
  }
  call(script: Script, keys: readonly string[], args: readonly string[]) {
    return (this.#redis as RealRedis).call(script, keys, args)
  }
  take(key: string) {
    return (this.#redis as RealRedis).wait(key, 1_000)
  }
  async dump() {
    const keys = (await this.#admin?.eval(dumpScript.lua, 0)) as [string, string, string[]][]
    return keys.map(([key, type, value]) => canonical(key, type, value)).sort(byKey)
  }
  async setFull(full: boolean) {
    await this.#admin?.config('SET', 'maxmemory', full ? '1' : '0')
  }
  async disturb() {
    await this.#admin?.script('FLUSH')
  }
  async close() {
    this.#admin?.disconnect()
    await this.#redis?.close()
  }
}

/** Every so often the reply is lost with its connection, after the script was applied. */
export class LossyArm extends RealArm {
  override readonly name = 'real, losing replies'
  #proxy: TcpProxy | undefined
  #calls = 0
  override async start() {
    this.#proxy = await TcpProxy.start(this.server.port)
    await super.start(this.#proxy.url)
  }
  override call(script: Script, keys: readonly string[], args: readonly string[]) {
    this.#calls += 1
    if (this.#calls % 7 === 0) this.#proxy?.cutReplyTo('EVALSHA')
    return super.call(script, keys, args)
  }
  get cuts() {
    return this.#proxy?.cuts ?? 0
  }
  override async close() {
    await super.close()
    await this.#proxy?.close()
  }
}

/**
 * A third reading of our Lua, by an interpreter and commands that are neither Redis's nor ours. What it can't do is put
 * around the script: error replies, tables as replies (it returns only literal ones), arrays from calls as tables,
 * false as nil, empty strings. What stays: no WRONGTYPE of its own, no maxmemory, no blocking commands.
 */
export class MockArm implements Arm {
  readonly name = 'ioredis-mock'
  readonly #client = new MockClient({ host: `contract-${process.pid}`, port: 1 })
  async reset() {
    await this.#client.flushall()
  }
  async call(script: Script, keys: readonly string[], args: readonly string[]) {
    try {
      return withoutFalse(await this.#client.eval(wrapForMock(script.lua), keys.length, ...keys, ...args))
    } catch (error) {
      const message = messageOf(error).replace(/^Error trying to loading .*?VM: /, '')
      throw toRedisError(Object.assign(new Error(message), { name: 'ReplyError' }), 'ioredis-mock')
    }
  }
  async take(key: string) {
    return (await this.#client.lpop(key)) !== null
  }
  async dump() {
    const keys: KeyDump[] = []
    for (const key of await this.#client.keys('*')) {
      const type = await this.#client.type(key)
      keys.push(canonical(key, type, await this.#content(key, type)))
    }
    return keys.filter(key => key.value.length > 0 || key.type === 'string').sort(byKey)
  }
  async #content(key: string, type: string): Promise<string[]> {
    if (type === 'hash') return Object.entries(await this.#client.hgetall(key)).flat()
    if (type === 'list') return this.#client.lrange(key, 0, -1)
    if (type === 'set') return this.#client.smembers(key)
    return [(await this.#client.get(key)) as string]
  }
  async close() {
    this.#client.disconnect()
  }
}

function wrapForMock(lua: string): string {
  return `
    local rawCall = redis.call
    redis.call = function(name, ...)
      local reply = rawCall(name, ...)
      if name == 'HGET' and reply == false and rawCall('HEXISTS', ...) == 1 then return '' end
      if type(reply) ~= 'userdata' then return reply end
      local copy = {}
      for i = 1, #reply do copy[i] = reply[i] or false end
      return copy
    end
    redis.error_reply = function(text) return { err = text } end
    local function main()
      ${lua}
    end
    local reply = main()
    if type(reply) ~= 'table' then return reply end
    if reply.err then error(reply.err, 0) end
    return { table.unpack(reply) }`
}

function withoutFalse(reply: unknown): Reply {
  if (Array.isArray(reply)) return reply.map(withoutFalse)
  return reply === false || reply === undefined ? null : (reply as Reply)
}

function canonical(key: string, type: string, value: string[]): KeyDump {
  if (type === 'string') return { key, type, value: value[0] as string }
  if (type === 'list') return { key, type, value }
  if (type === 'set') return { key, type, value: value.sort() }
  const pairs: [string, string][] = []
  for (let i = 0; i < value.length; i += 2) pairs.push([value[i] as string, value[i + 1] as string])
  return { key, type: 'hash', value: pairs.sort((a, b) => (a[0] < b[0] ? -1 : 1)) }
}

function byKey(a: KeyDump, b: KeyDump): number {
  return a.key < b.key ? -1 : 1
}
