/**
 * The `Redis` port in this very process: the keys in memory, every change in a journal. For `run` and `dev` without a
 * server; one process at a time.
 *
 * E1 an answer is given only after the change it tells of is in the journal; all operations of one turn of the event loop
 * share one write. E2 so is every answer that could have seen that change. E3 when the journal can't be written, nothing
 * of that turn was acknowledged, and everything from then on is refused. E4 an answer always takes a turn of the event
 * loop, so that a busy workflow never starves timers and signals.
 */
import { EngineError } from '../engine/errors.ts'
import type { KeyDump, Keyspace } from '../engine/memory-redis/keyspace.ts'
import { MemoryServer } from '../engine/memory-redis/server.ts'
import type { Clock, Host, Log, Redis, Reply, Script } from '../engine/ports.ts'
import { type DataDirLock, lockDataDir } from './data-dir.ts'
import { Journal } from './journal.ts'
import { type Entry, encodeEntry } from './journal-lines.ts'
import { systemHost } from './system-ports.ts'

export type EmbeddedOptions = {
  /** Made if missing; locked while open. */
  dir: string
  clock: Clock
  /** Every script that is or was called: the journal knows them by name. */
  scripts: readonly Script[]
  host?: Host
  log?: Log
  /** Bytes of operations after which the journal is compacted; default 16 MiB. */
  compactBytes?: number
}

/**
 * Opens the keys of a data directory as the last process left them.
 * Rejects with `JOURNAL_LOCKED`, `JOURNAL_CORRUPT`, `JOURNAL_FAILED` or `SCHEMA_TOO_NEW`.
 */
export async function openEmbeddedRedis(options: EmbeddedOptions): Promise<EmbeddedRedis> {
  const lock = lockDataDir(options.dir, options.host ?? systemHost())
  try {
    return new EmbeddedRedis(options, lock)
  } catch (error) {
    lock.release()
    throw error
  }
}

type Settle = (failure: unknown) => void

export class EmbeddedRedis implements Redis {
  readonly #clock: Clock
  readonly #server = new MemoryServer()
  readonly #journal: Journal
  readonly #lock: DataDirLock
  readonly #closing = new AbortController()
  #lines = ''
  #answers: Settle[] = []
  #failure: EngineError | undefined
  #closed: Promise<void> | undefined

  constructor(options: EmbeddedOptions, lock: DataDirLock) {
    this.#clock = options.clock
    this.#lock = lock
    const replay = new Replay(this.#server, options)
    this.#journal = new Journal({
      dir: options.dir,
      clock: options.clock,
      log: options.log,
      compactBytes: options.compactBytes,
      replay: entry => replay.apply(entry),
      dump: () => this.#server.db.dump(),
    })
  }

  call(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> {
    const timeMs = this.#clock.now()
    return this.#run(
      db => script.run(db, keys, args),
      timeMs,
      () => [script.name, timeMs, keys, args],
    )
  }
  hget(key: string, field: string): Promise<string | null> {
    return this.#run(db => db.hget(key, field))
  }
  hgetall(key: string): Promise<Record<string, string>> {
    return this.#run(db => db.hgetall(key))
  }
  lrange(key: string, start: number, stop: number): Promise<string[]> {
    return this.#run(db => db.lrange(key, start, stop))
  }
  llen(key: string): Promise<number> {
    return this.#run(db => db.llen(key))
  }
  smembers(key: string): Promise<string[]> {
    return this.#run(db => db.smembers(key))
  }

  /** False when the time is over, `signal` is aborted or the store is closed. */
  async wait(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#server.db.exists(key)) return this.#pop(key)
    if (signal?.aborted) return false
    return this.#waitForPush(key, timeoutMs, signal)
  }

  /** Everything answered is in the journal and synced; the directory is free for the next process. */
  close(): Promise<void> {
    this.#closed ??= this.#shut()
    return this.#closed
  }

  /** Every key, for tests and for inspection. */
  dump(): KeyDump[] {
    return this.#server.db.dump()
  }

  // --- one operation

  #run<T>(operation: (db: Keyspace) => T, timeMs = this.#clock.now(), entry?: () => Entry): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const outcome = this.#server.run(timeMs, operation)
    if (outcome.changed && entry !== undefined) {
      this.#lines += encodeEntry(entry())
      this.#server.deliver(timeMs, key => this.#record(['#pop', timeMs, key]))
    }
    return new Promise<T>((resolve, reject) => {
      this.#answer(failure => {
        if (failure !== undefined) reject(failure)
        else if (outcome.ok) resolve(outcome.reply)
        else reject(outcome.error)
      })
    })
  }

  #record(entry: Entry): void {
    this.#lines += encodeEntry(entry)
  }

  #answer(settle: Settle): void {
    this.#answers.push(settle)
    if (this.#answers.length === 1) setImmediate(() => this.#endTurn())
  }

  #endTurn(): void {
    const answers = this.#answers
    const lines = this.#lines
    this.#answers = []
    this.#lines = ''
    if (lines !== '' && this.#failure === undefined) this.#write(lines)
    for (const settle of answers) settle(this.#failure)
  }

  #write(lines: string): void {
    try {
      this.#journal.append(lines)
    } catch (error) {
      this.#failure = error as EngineError
    }
  }

  // --- waiting

  #pop(key: string): Promise<boolean> {
    const timeMs = this.#clock.now()
    return this.#run(
      db => db.lpop(key) !== null,
      timeMs,
      () => ['#pop', timeMs, key],
    )
  }

  async #waitForPush(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    const stop = new AbortController()
    const abort = () => stop.abort()
    let woken = false
    const unpark = this.#server.park(key, () => {
      woken = true
      this.#answer(abort)
    })
    signal?.addEventListener('abort', abort, { once: true })
    this.#closing.signal.addEventListener('abort', abort, { once: true })
    try {
      await this.#clock.sleep(timeoutMs, stop.signal).catch(() => undefined)
    } finally {
      unpark()
      signal?.removeEventListener('abort', abort)
      this.#closing.signal.removeEventListener('abort', abort)
    }
    if (woken && this.#failure !== undefined) throw this.#failure
    return woken
  }

  async #shut(): Promise<void> {
    this.#closing.abort()
    if (this.#answers.length > 0) this.#endTurn()
    this.#failure ??= new EngineError('REDIS_UNAVAILABLE', 'Cannot use the embedded Redis: it is closed; open it again')
    try {
      await this.#journal.close()
    } finally {
      this.#lock.release()
    }
  }
}

/** Turns the journal's entries back into keys. */
class Replay {
  readonly #server: MemoryServer
  readonly #scripts: ReadonlyMap<string, Script>
  readonly #options: EmbeddedOptions

  constructor(server: MemoryServer, options: EmbeddedOptions) {
    this.#server = server
    this.#options = options
    this.#scripts = new Map(options.scripts.map(script => [script.name, script]))
  }

  apply(entry: Entry): void {
    switch (entry[0]) {
      case '#key':
        this.#server.db.append(entry[1] as KeyDump)
        break
      case '#pop':
        this.#server.run(entry[1] as number, db => db.lpop(entry[2] as string))
        break
      case '#journal':
      case '#end':
        break
      default:
        this.#replay(entry as Extract<Entry, { length: 4 }>)
    }
  }

  /** What threw then throws again, after the same writes: an operation is journalled for what it wrote. */
  #replay(entry: Extract<Entry, { length: 4 }>): void {
    const [name, timeMs, keys, args] = entry
    const script = this.#scripts.get(name)
    if (script !== undefined) this.#server.runScript(timeMs, script, keys, args)
    else
      throw new EngineError(
        'SCHEMA_TOO_NEW',
        `Cannot open the data directory "${this.#options.dir}": its journal has operation "${name}", which this program does not know; use the program that wrote it`,
      )
  }
}
