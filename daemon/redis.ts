/**
 * A real Redis behind the `Redis` port, over ioredis. One connection for commands; wake-ups have one of their own
 * (redis-waits.ts), since a blocking command holds up everything behind it.
 *
 * R1 a command whose reply was lost is sent again: scripts are idempotent by token, reads anyway. R2 every call settles:
 * with its reply, an error of the server, or `REDIS_UNAVAILABLE` after at most `callMsMax`. R3 a socket that swallows
 * everything is replaced when nothing has come back for `silenceMsMax`. R4 a wrong password is said at once when
 * connecting; later it fails each call until the server takes it again.
 */
import { createHash } from 'node:crypto'
import { Redis as Client, type RedisOptions } from 'ioredis'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { Redis, Reply, Script } from '../engine/ports.ts'
import { toRedisError } from './redis-errors.ts'
import { parseRedisUrl, type RedisAddress } from './redis-url.ts'
import { Waits } from './redis-waits.ts'

export type ConnectOptions = {
  /** Milliseconds until a connection must stand, its data loaded; default 10,000. */
  connectMsMax?: number
  /** Milliseconds after which a call that was not answered, through all reconnections, is given up; default 30,000. */
  callMsMax?: number
  /** Milliseconds without any reply after which a connection counts as dead; default 10,000. */
  silenceMsMax?: number
}

/** As the server tells; `unknown` is what this user may not ask. */
export type ServerDescription = {
  version: string
  role: string
  cluster: string
  appendonly: string
  appendfsync: string
  /** When snapshots are made, e.g. `3600 1 300 100`; empty: never. */
  save: string
  /** Bytes; 0: no limit. */
  maxmemory: string
  maxmemoryPolicy: string
}

const retryMsMin = 50
const retryMsMax = 2_000

/** Doubles from attempt to attempt; half of it is drawn, so that the clients of a restarted server do not come all at once. */
export function reconnectMs(attempt: number, draw: number): number {
  return Math.min(retryMsMin * 2 ** Math.min(attempt, 10), retryMsMax) * (0.5 + draw / 2)
}

/**
 * Connects to `redis://` or `rediss://[user:password@]host[:port][/db]`.
 * Rejects with `USAGE` (the URL), `REDIS_UNAVAILABLE`, `REDIS_AUTH`, `REDIS_LOADING`.
 */
export async function connectRedis(url: string, options: ConnectOptions = {}): Promise<RealRedis> {
  const address = parseRedisUrl(url)
  const settings = { connectMsMax: 10_000, callMsMax: 30_000, silenceMsMax: 10_000, ...options }
  const redis = new RealRedis(address, settings)
  await redis.connect()
  return redis
}

export class RealRedis implements Redis {
  readonly #address: RedisAddress
  readonly #settings: Required<ConnectOptions>
  readonly #client: Client
  readonly #waits: Waits
  readonly #shas = new WeakMap<Script, string>()
  readonly #open = new Set<(error: EngineError) => void>()
  readonly #watch: NodeJS.Timeout
  #connected = false
  #lastReply = 0
  #lastError: unknown
  #closed: Promise<void> | undefined

  constructor(address: RedisAddress, settings: Required<ConnectOptions>) {
    this.#address = address
    this.#settings = settings
    this.#client = new Client({
      ...clientOptions(address),
      commandTimeout: settings.callMsMax,
      maxRetriesPerRequest: 20,
      retryStrategy: attempt => (this.#connected ? reconnectMs(attempt, Math.random()) : null),
      // A fail-over leaves us at a replica: the next connection finds the master. The call itself fails, and says so.
      reconnectOnError: error => /\bREADONLY\b/.test(error.message),
    })
    this.#client.on('error', error => {
      this.#lastError = error
    })
    this.#waits = new Waits({
      connect: () => new Client({ ...clientOptions(address), enableReadyCheck: false, retryStrategy: () => null }),
      unblock: id => this.#send(client => client.client('UNBLOCK', id)),
      typeOf: key => this.#send(client => client.type(key)),
      giveBack: key => this.#send(client => client.rpush(key, '1')),
      toError: error => toRedisError(error, address.where),
    })
    this.#watch = setInterval(() => this.#replaceSilent(), Math.max(50, settings.silenceMsMax / 4))
    this.#watch.unref()
  }

  /** Called once, by `connectRedis`. */
  async connect(): Promise<void> {
    const late = setTimeout(() => void this.#giveUp(), this.#settings.connectMsMax)
    try {
      await this.#client.connect()
      this.#connected = true
    } catch (error) {
      await this.close()
      throw toRedisError(this.#lastError ?? error, this.#address.where, 'connect to')
    } finally {
      clearTimeout(late)
    }
  }

  async call(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> {
    const tail = [keys.length, ...keys, ...args]
    try {
      return (await this.#send(client => client.call('EVALSHA', [this.#sha(script), ...tail]))) as Reply
    } catch (error) {
      if (!(error instanceof EngineError) || !messageOf(error.cause).startsWith('NOSCRIPT')) throw error
    }
    return (await this.#send(client => client.call('EVAL', [script.lua, ...tail]))) as Reply
  }
  hget(key: string, field: string): Promise<string | null> {
    return this.#send(client => client.hget(key, field))
  }
  hgetall(key: string): Promise<Record<string, string>> {
    return this.#send(client => client.hgetall(key))
  }
  lrange(key: string, start: number, stop: number): Promise<string[]> {
    return this.#send(client => client.lrange(key, start, stop))
  }
  llen(key: string): Promise<number> {
    return this.#send(client => client.llen(key))
  }
  smembers(key: string): Promise<string[]> {
    return this.#send(client => client.smembers(key))
  }

  /**
   * False when the time is over, `signal` is aborted, the connection is closed, or Redis can't be reached for so long.
   * A wake-up may be lost with a connection: who waits must look for itself when the time is over.
   */
  wait(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#closed !== undefined) return Promise.reject(this.#closedError())
    return this.#waits.wait(key, timeoutMs, signal)
  }

  /** What matters for keeping data, as far as the server tells. */
  async describe(): Promise<ServerDescription> {
    const config = async (name: string): Promise<string> => {
      const reply = await this.#unlessForbidden(client => client.config('GET', name), undefined)
      return (reply as string[] | undefined)?.[1] ?? 'unknown'
    }
    const [info, appendfsync, save] = await Promise.all([
      this.#unlessForbidden(client => client.info(), ''),
      config('appendfsync'),
      config('save'),
    ])
    const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'unknown'
    const switched = (name: string) => ({ '0': 'no', '1': 'yes' })[field(name)] ?? 'unknown'
    return {
      version: field('redis_version'),
      role: field('role'),
      cluster: switched('cluster_enabled'),
      appendonly: switched('aof_enabled'),
      appendfsync,
      save,
      maxmemory: field('maxmemory'),
      maxmemoryPolicy: field('maxmemory_policy'),
    }
  }

  /**
   * Whether this user may wait for wake-ups, tried at a key that must not exist, on an element that is there: where there
   * is none, a server takes a tenth of a second to see that the time is over.
   */
  async mayWait(key: string): Promise<boolean> {
    const ignore = (): undefined => undefined
    const [, may] = await Promise.all([
      this.#send(client => client.rpush(key, '1')).then(ignore, ignore),
      this.#unlessForbidden(client => client.blpop(key, 0.001).then(() => true), false),
      this.#send(client => client.del(key)).then(ignore, ignore),
    ])
    return may
  }

  /** Whoever hosts Redis for others may forbid INFO or CONFIG: then nobody can tell. */
  async #unlessForbidden<T>(command: (client: Client) => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await this.#send(command)
    } catch (error) {
      if (codeOf(error) === 'REDIS_AUTH' || codeOf(error) === 'REDIS_FAILED') return otherwise
      throw error
    }
  }

  /** Ends waiting and calls under way; never hangs. */
  close(): Promise<void> {
    this.#closed ??= this.#shut()
    return this.#closed
  }

  // --- inside

  #sha(script: Script): string {
    const known = this.#shas.get(script)
    if (known !== undefined) return known
    const sha = createHash('sha1').update(script.lua).digest('hex')
    this.#shas.set(script, sha)
    return sha
  }

  /** ioredis forgets commands of a connection that ends while it reconnects; closing settles them here (R2). */
  #send<T>(command: (client: Client) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) return Promise.reject(this.#closedError())
    if (this.#open.size === 0) this.#lastReply = performance.now()
    return new Promise<T>((resolve, reject) => {
      this.#open.add(reject)
      command(this.#client).then(
        reply => {
          this.#answered(reject)
          resolve(reply)
        },
        error => {
          this.#answered(reject)
          reject(toRedisError(error, this.#address.where))
        },
      )
    })
  }

  /** A server that accepts but is not ready may be loading its data; INFO is answered even then. */
  async #giveUp(): Promise<void> {
    const info = this.#client.status === 'connect' ? this.#client.info('persistence') : Promise.resolve('')
    const text = await Promise.race([
      info.catch(messageOf),
      new Promise<string>(resolve => setTimeout(resolve, 500, '')),
    ])
    if (/^loading:1/m.test(text)) this.#lastError = new Error('LOADING Redis is loading the dataset in memory')
    this.#client.disconnect()
  }

  #answered(reject: (error: EngineError) => void): void {
    this.#open.delete(reject)
    this.#lastReply = performance.now()
  }

  #replaceSilent(): void {
    const silent = performance.now() - this.#lastReply > this.#settings.silenceMsMax
    if (this.#open.size === 0 || !silent || this.#client.status !== 'ready') return
    this.#lastReply = performance.now()
    this.#client.stream.destroy(new Error(`no reply for ${this.#settings.silenceMsMax} ms`))
  }

  async #shut(): Promise<void> {
    clearInterval(this.#watch)
    this.#waits.close()
    this.#connected = false
    this.#client.disconnect()
    const error = this.#closedError()
    for (const reject of this.#open) reject(error)
    this.#open.clear()
  }

  #closedError(): EngineError {
    return new EngineError('REDIS_UNAVAILABLE', `Cannot use Redis at ${this.#address.where}: the connection is closed`)
  }
}

function clientOptions(address: RedisAddress): RedisOptions {
  return {
    host: address.host,
    port: address.port,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.tls ? { tls: {} } : {}),
    db: address.db,
    lazyConnect: true,
    connectTimeout: 5_000,
    disconnectTimeout: 500,
    disableClientInfo: true,
    keepAlive: 10_000,
  }
}
