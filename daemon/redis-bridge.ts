/**
 * The embedded Redis for loops in workers: it lives in one process, so they ask it by message. Scripts go by name; both
 * ends know them. A real Redis needs none of this: each worker has a connection of its own there.
 */
import { codeOf, EngineError, type ErrorCode, messageOf } from '../engine/errors.ts'
import type { Redis, Script } from '../engine/ports.ts'
import { allScripts } from '../engine/store/scripts/index.ts'

type Method = Exclude<keyof Redis, 'close'>
export type RedisRequest = { id: number; method: Method; args: unknown[] } | { id: number; method: 'abort' }
export type RedisReply = { id: number } & ({ value: unknown } | { code: string; message: string })

const scripts = new Map(allScripts.map(script => [script.name, script]))

/** Answers what a worker asks, until it is closed. */
export class RedisForWorker {
  readonly #redis: Redis
  readonly #reply: (reply: RedisReply) => void
  /** Waits that may be given up. */
  readonly #waits = new Map<number, AbortController>()

  constructor(redis: Redis, reply: (reply: RedisReply) => void) {
    this.#redis = redis
    this.#reply = reply
  }

  hear(request: RedisRequest): void {
    const { id } = request
    if (request.method === 'abort') {
      this.#waits.get(id)?.abort()
      return
    }
    this.#run(request).then(
      value => this.#reply({ id, value }),
      error => this.#reply({ id, code: codeOf(error) ?? 'REDIS_FAILED', message: messageOf(error) }),
    )
  }

  close(): void {
    for (const wait of this.#waits.values()) wait.abort()
  }

  async #run({ id, method, args }: RedisRequest & { method: Method }): Promise<unknown> {
    if (method === 'call') {
      const [name, keys, values] = args as [string, string[], string[]]
      return this.#redis.call(scripts.get(name) as Script, keys, values)
    }
    if (method !== 'wait') return (this.#redis[method] as (...all: unknown[]) => Promise<unknown>)(...args)
    const [key, timeoutMs] = args as [string, number]
    const giveUp = new AbortController()
    this.#waits.set(id, giveUp)
    try {
      return await this.#redis.wait(key, timeoutMs, giveUp.signal)
    } finally {
      this.#waits.delete(id)
    }
  }
}

/** The `Redis` port in the worker. */
export class BridgedRedis implements Redis {
  readonly #ask: (request: RedisRequest) => void
  readonly #open = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void }>()
  #count = 0

  constructor(ask: (request: RedisRequest) => void) {
    this.#ask = ask
  }

  hear(reply: RedisReply): void {
    const open = this.#open.get(reply.id)
    this.#open.delete(reply.id)
    if ('value' in reply) open?.resolve(reply.value as never)
    else open?.reject(new EngineError(reply.code as ErrorCode, reply.message))
  }

  call: Redis['call'] = (script, keys, args) => this.#send('call', [script.name, keys, args])
  hget: Redis['hget'] = (key, field) => this.#send('hget', [key, field])
  hgetall: Redis['hgetall'] = key => this.#send('hgetall', [key])
  lrange: Redis['lrange'] = (key, start, stop) => this.#send('lrange', [key, start, stop])
  llen: Redis['llen'] = key => this.#send('llen', [key])
  smembers: Redis['smembers'] = key => this.#send('smembers', [key])

  async wait(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted) return false
    const id = this.#count + 1
    const abort = () => this.#ask({ id, method: 'abort' })
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await this.#send<boolean>('wait', [key, timeoutMs])
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  async close(): Promise<void> {
    this.#open.clear()
  }

  #send<T>(method: Method, args: unknown[]): Promise<T> {
    const id = ++this.#count
    return new Promise<T>((resolve, reject) => {
      this.#open.set(id, { resolve, reject })
      this.#ask({ id, method, args })
    })
  }
}

/** A Redis that is connected to when it is first needed, and again when that failed: an outage ends no worker. */
export function lateRedis(connect: () => Promise<Redis>): Redis {
  let connected: Promise<Redis> | undefined
  const get = async (): Promise<Redis> => {
    connected ??= connect()
    try {
      return await connected
    } catch (error) {
      connected = undefined
      throw error
    }
  }
  return {
    call: async (script, keys, args) => (await get()).call(script, keys, args),
    hget: async (key, field) => (await get()).hget(key, field),
    hgetall: async key => (await get()).hgetall(key),
    lrange: async (key, start, stop) => (await get()).lrange(key, start, stop),
    llen: async key => (await get()).llen(key),
    smembers: async key => (await get()).smembers(key),
    wait: async (key, timeoutMs, signal) => (await get()).wait(key, timeoutMs, signal),
    close: async () => (await connected)?.close(),
  }
}
