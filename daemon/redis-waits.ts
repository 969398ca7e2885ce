/**
 * Wake-ups for any number of loops over one connection: a single BLPOP names every key that is waited for. When a new
 * key joins, the BLPOP is ended from the command connection (CLIENT UNBLOCK) and sent again with all of them.
 *
 * W1 every wait has a timer of its own, so it ends in time whatever the connection does; it may last for many BLPOPs, one
 * after the other, of 5 s at most. W2 an element that arrives for a key nobody waits for any more is given back: another
 * process may wait there. W3 keys are asked for in turn: the one served last goes to the end. W4 a BLPOP that does not
 * come back in its time has a dead connection: it is replaced. W5 what a BLPOP took that never came back is lost:
 * everybody it asked for is told that there may have been something.
 */
import type { Redis as Client } from 'ioredis'
import { type EngineError, messageOf } from '../engine/errors.ts'
import { limits } from '../engine/limits.ts'

export type WaitsHost = {
  connect(): Client
  /** Ends the BLPOP of connection `id`; resolves with 0 when that is not blocked. */
  unblock(id: number): Promise<unknown>
  typeOf(key: string): Promise<string>
  /** Puts an element back that nobody here wants. */
  giveBack(key: string): Promise<unknown>
  toError(error: unknown): EngineError
}

type Waiter = { settle(woken: boolean): void; fail(error: EngineError): void }

const graceMs = 1_000
const retryMs = 200
/** One BLPOP, where a new key can't end it (a user without the right to CLIENT UNBLOCK). */
const sliceMs = 250

export class Waits {
  readonly #host: WaitsHost
  /** In the order they are asked for. */
  readonly #waiters = new Map<string, Set<Waiter>>()
  #client: Client | undefined
  #clientId = 0
  #asked: ReadonlySet<string> | undefined
  #pumping = false
  #poking = false
  #canUnblock = true
  #closed = false

  constructor(host: WaitsHost) {
    this.#host = host
  }

  wait(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (signal?.aborted || this.#closed) return Promise.resolve(false)
    return new Promise((resolve, reject) => {
      const settle = (woken: boolean) => {
        leave()
        resolve(woken)
      }
      const abort = () => settle(false)
      const timer = setTimeout(abort, timeoutMs)
      const waiter: Waiter = {
        settle,
        fail: error => {
          leave()
          reject(error)
        },
      }
      const leave = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        this.#remove(key, waiter)
      }
      signal?.addEventListener('abort', abort, { once: true })
      this.#add(key, waiter)
    })
  }

  close(): void {
    this.#closed = true
    for (const waiter of this.#all()) waiter.settle(false)
    this.#client?.disconnect()
  }

  // --- who waits

  #add(key: string, waiter: Waiter): void {
    const waiting = this.#waiters.get(key) ?? new Set()
    waiting.add(waiter)
    this.#waiters.set(key, waiting)
    if (!this.#pumping) void this.#pump()
    else if (this.#asked !== undefined && !this.#asked.has(key)) void this.#poke()
  }

  #remove(key: string, waiter: Waiter): void {
    const waiting = this.#waiters.get(key)
    waiting?.delete(waiter)
    if (waiting?.size === 0) this.#waiters.delete(key)
  }

  #at(key: string): Waiter[] {
    return [...(this.#waiters.get(key) ?? [])]
  }

  #all(): Waiter[] {
    return [...this.#waiters.keys()].flatMap(key => this.#at(key))
  }

  #deliver(key: string): void {
    const waiting = this.#waiters.get(key)
    const first = waiting?.values().next().value
    if (waiting === undefined || first === undefined) {
      this.#host.giveBack(key).catch(() => undefined)
      return
    }
    this.#waiters.delete(key)
    this.#waiters.set(key, waiting)
    first.settle(true)
  }

  // --- the blocking connection

  /** Runs while anybody waits. */
  async #pump(): Promise<void> {
    this.#pumping = true
    while (this.#waiters.size > 0 && !this.#closed) {
      try {
        const client = await this.#connected()
        const key = await this.#ask(client)
        if (key !== undefined) this.#deliver(key)
      } catch (error) {
        await this.#afterFailure(error)
      }
    }
    this.#pumping = false
  }

  async #connected(): Promise<Client> {
    if (this.#client?.status === 'ready') return this.#client
    this.#client?.disconnect()
    const client = this.#host.connect()
    this.#client = client
    client.on('error', () => undefined)
    await this.#inTime(client.connect(), limits.wakeWaitMs)
    this.#clientId = await this.#inTime(client.client('ID'), limits.wakeWaitMs).catch(error => this.#noUnblock(error))
    return client
  }

  /** One BLPOP over all keys: the key of the element it took, or undefined when none came in time. */
  async #ask(client: Client): Promise<string | undefined> {
    const keys = [...this.#waiters.keys()]
    const timeoutMs = this.#canUnblock ? limits.wakeWaitMs : sliceMs
    this.#asked = new Set(keys)
    try {
      const reply = await this.#inTime(client.blpop(keys, timeoutMs / 1_000), timeoutMs)
      return reply?.[0]
    } catch (error) {
      if (!isWrongType(error)) for (const key of keys) for (const waiter of this.#at(key)) waiter.settle(true)
      throw error
    } finally {
      this.#asked = undefined
    }
  }

  async #inTime<T>(reply: Promise<T>, timeoutMs: number): Promise<T> {
    const timer = setTimeout(() => this.#client?.stream?.destroy(), timeoutMs + graceMs)
    try {
      return await reply
    } finally {
      clearTimeout(timer)
    }
  }

  /** Another type at one key fails the BLPOP of all: those who wait there are told, the others go on. */
  async #afterFailure(error: unknown): Promise<void> {
    if (isWrongType(error)) return this.#failWrongTypes(error)
    await pause(retryMs)
  }

  async #failWrongTypes(error: unknown): Promise<void> {
    for (const key of [...this.#waiters.keys()]) {
      const type = await this.#host.typeOf(key).catch(() => 'list')
      if (type === 'list' || type === 'none') continue
      for (const waiter of this.#at(key)) waiter.fail(this.#host.toError(error))
    }
  }

  /** Ends the BLPOP under way until every key is asked for. One at a time serves all that joined meanwhile. */
  async #poke(): Promise<void> {
    if (this.#poking || !this.#canUnblock) return
    this.#poking = true
    let pauseMs = 1
    while (this.#someoneUnasked() && this.#canUnblock && !this.#closed) {
      const ended = this.#asked
      await this.#host.unblock(this.#clientId).catch(error => this.#noUnblock(error))
      // The BLPOP may not have reached the server yet, or its end not us.
      await pause(pauseMs)
      // once another is under way, those who joined it too late are as urgent as the first were
      pauseMs = this.#asked === ended ? Math.min(pauseMs * 2, retryMs) : 1
    }
    this.#poking = false
  }

  /** A server that refuses (rather than can't be reached) will always refuse. */
  #noUnblock(error: unknown): number {
    const refused = this.#host.toError(error).code
    if (refused === 'REDIS_AUTH' || refused === 'REDIS_FAILED') this.#canUnblock = false
    return 0
  }

  #someoneUnasked(): boolean {
    const asked = this.#asked
    return asked !== undefined && [...this.#waiters.keys()].some(key => !asked.has(key))
  }
}

function isWrongType(error: unknown): boolean {
  return messageOf(error).startsWith('WRONGTYPE')
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
