/**
 * Everything the engine needs from outside, and nothing else. The daemon adapts a real host to these interfaces,
 * the simulator implements them with a fake one; the engine is handed them through constructors and sees no host.
 */
import type { Json } from './json.ts'
import type { Keyspace } from './memory-redis/keyspace.ts'
import type { ExitCause, FromWorker, LoopTask, ToWorker, WorkerHealth } from './run/pool-protocol.ts'

/**
 * Time. `now` is the wall clock, for stamps and schedules, and may jump; `monotonic` is for durations and never does.
 */
export interface Clock {
  /** Milliseconds since the epoch, UTC. */
  now(): number
  /** Milliseconds since some fixed moment of this process. */
  monotonic(): number
  /** Resolves after `ms` milliseconds (at most `limits.timerMsMax`); rejects with `signal.reason` when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /**
   * Resolves when the wall clock shows `epochMs` or later, however it gets there; rejects with `signal.reason` when
   * aborted. May be late by seconds after somebody set the clock.
   */
  until(epochMs: number, signal?: AbortSignal): Promise<void>
}

/** Chance. Each name is a stream of its own, so that one more draw in one place shifts nothing in another. */
export interface Random {
  /** A number in [0, 1). */
  draw(stream: string): number
  /** A random text of 22 characters or more, never the same twice: holders, runs, tokens. */
  nonce(stream: string): string
}

export type Reply = null | number | string | Reply[]

/**
 * One atomic operation on Redis, in two languages that the contract suite holds together: Lua for a real server,
 * TypeScript over the keys in memory for the embedded and the simulated one. Both see the same keys and arguments.
 */
export interface Script {
  readonly name: string
  readonly lua: string
  /** Runs on the keys in memory. Must check everything before its first write: nothing rolls back. */
  run(db: Keyspace, keys: readonly string[], args: readonly string[]): Reply
}

/** Redis, as narrow as the stores need it. Every method rejects with a `REDIS_…` EngineError. */
export interface Redis {
  /** Runs a script. May run twice after a lost reply: scripts are idempotent by token. */
  call(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply>
  hget(key: string, field: string): Promise<string | null>
  hgetall(key: string): Promise<Record<string, string>>
  lrange(key: string, start: number, stop: number): Promise<string[]>
  llen(key: string): Promise<number>
  smembers(key: string): Promise<string[]>
  /**
   * Takes one wake-up from the list at `key`, waiting at most `timeoutMs` (`limits.timerMsMax`): true when there was one,
   * or may have been one that got lost with a connection. False when the time is over or `signal` aborts.
   */
  wait(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean>
  close(): Promise<void>
}

/** The process that holds a lease, so that another on the same machine can tell that it is gone. */
export type HolderIdentity = { boot: string; pid: number; start: string }

export interface Host {
  identity(): HolderIdentity
  /** True only when that process ran on this machine, in this boot, and is certainly no longer alive. */
  isGone(identity: HolderIdentity): boolean
  /** Resolves within seconds of `isGone` becoming true, which may be never; rejects when `signal` aborts. */
  gone(identity: HolderIdentity, signal: AbortSignal): Promise<void>
}

export type HttpRequest = {
  method: string
  url: string
  headers: Record<string, string>
  body?: string
  timeoutMs: number
  signal: AbortSignal
}
export type HttpResponse = { status: number; headers: Record<string, string>; body: string }

export interface Http {
  /** Rejects with `HTTP_FAILED` when there is no answer at all. */
  request(request: HttpRequest): Promise<HttpResponse>
}

/** Files below one directory. Any path that leads out of it (`..`, absolute, a link) is `FILE_OUTSIDE`. */
export interface Files {
  /** At most `bytesMax` bytes from byte `offset`; an empty array at the end of the file. */
  read(path: string, offset: number, bytesMax: number): Promise<Uint8Array>
  /** `w` replaces the file, `a` appends; missing folders are made. */
  write(path: string, content: string, mode: 'w' | 'a'): Promise<void>
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  write(level: LogLevel, message: string, fields: Record<string, Json>): void
}

/** What a worker tells whoever had it started: messages in order, and at last, once, how it ended. */
export type WorkerListener = {
  message(message: FromWorker): void
  exited(cause: ExitCause): void
}

export interface LoopWorker {
  /** Arrives in order, or not at all. */
  send(message: ToWorker): void
  health(): WorkerHealth
  /** `ask`: it may still do something about it (SIGTERM); `force`: it may not (SIGKILL). */
  terminate(how: 'ask' | 'force'): void
}

/** Where loops run that are not to run in this very thread: each in a worker of its own. */
export interface Pools {
  /** Never throws: what goes wrong is how the worker ended. The task is data, and crosses by value. */
  start(task: LoopTask, listener: WorkerListener): LoopWorker
}

export type Ports = {
  clock: Clock
  random: Random
  redis: Redis
  host: Host
  http: Http
  files: Files
  log: Log
}
