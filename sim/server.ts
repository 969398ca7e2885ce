/**
 * The simulated Redis server: keys in memory, one operation at a time, at one moment of its own clock. It can be
 * loading, read-only or full for a while, and it can restart: with everything, or without what it had not yet made
 * durable. A copy of the invariants' books goes with each copy of the keys, so that a loss is accounted for exactly.
 */
import { EngineError } from '../engine/errors.ts'
import type { KeySnapshot, Keyspace } from '../engine/memory-redis/keyspace.ts'
import { MemoryServer, type Outcome } from '../engine/memory-redis/server.ts'
import type { SimTime } from './clock.ts'
import type { FaultBook, FaultKind, OperationName } from './faults.ts'
import { type Move, watchKeys } from './watch.ts'

/** An operation that the server has carried out, as invariants and traces see it. */
export type Applied = OperationName & {
  /** Milliseconds since the beginning. */
  ms: number
  args: readonly string[]
  outcome: Outcome<unknown>
  moves: readonly Move[]
  db: Keyspace
}

export type ServerHooks = {
  applied(applied: Applied): void
  /** A copy of all books; calling it goes back to them. */
  save(): () => void
  fault(kind: FaultKind, at: OperationName): void
}

export type ServerOptions = {
  time: SimTime
  book: FaultBook
  hooks: ServerHooks
  fsyncMs: number
  lagMs: number
  canLose: boolean
}

/** What hangs on the server and is cut off when it restarts. */
export type Client = { drop(): void }

export type Request = OperationName & { writes: boolean; args: readonly string[]; run: (db: Keyspace) => unknown }

type Copy = { keys: KeySnapshot; restore: () => void; ms: number }
const windows = ['loading', 'readonly', 'oom'] as const

export class SimServer {
  readonly memory = new MemoryServer()
  readonly clients = new Set<Client>()
  readonly operations: OperationName[] = []
  readonly #options: ServerOptions
  readonly #until = { loading: 0, readonly: 0, oom: 0 }
  readonly #counts = new Map<string, number>()
  #moves: Move[] = []
  /** What a restart that loses writes goes back to, and what a replica has that takes over. */
  #durable: Copy
  #replica: Copy

  constructor(options: ServerOptions) {
    this.#options = options
    this.#durable = { keys: new Map(), restore: options.hooks.save(), ms: 0 }
    this.#replica = this.#durable
    watchKeys(this.memory.db, move => this.#moves.push(move))
  }

  /** Counts an operation: which one of its kind and loop it is. */
  name(op: string, loop: string): OperationName {
    const key = `${op}|${loop}`
    const n = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, n)
    const name = { op, loop, n }
    this.operations.push(name)
    return name
  }

  /** Carries an operation out; undefined when the server went down instead, and all connections with it. */
  execute(request: Request): Outcome<unknown> | undefined {
    if (this.#takeRestart(request)) return undefined
    for (const kind of windows) this.#openWindow(kind, request)
    const { time, hooks } = this.#options
    const refused = this.#refusal(request.writes)
    if (refused !== undefined) return { ok: false, error: refused, changed: false }
    this.#makeDurable()
    this.memory.db.outOfMemory = time.ms < this.#until.oom
    this.#moves = []
    const outcome = this.memory.run(time.wall(), request.run)
    const { op, loop, n, args } = request
    hooks.applied({ op, loop, n, args, ms: time.ms, outcome, moves: this.#moves, db: this.memory.db })
    this.memory.deliver(time.wall(), () => undefined)
    return outcome
  }

  /** The restart or fail-over of a plan, if one hits this operation. */
  #takeRestart(request: Request): boolean {
    const { book, hooks, time } = this.#options
    for (const kind of ['failover', 'restart-loses', 'restart'] as const) {
      const args = book.take(kind, request)
      if (args === undefined) continue
      hooks.fault(kind, request)
      if (kind === 'failover') {
        this.#goBackTo(this.#replica)
        this.#until.readonly = time.ms + Number(args.ms)
      } else if (kind === 'restart-loses') this.#goBackTo(this.#durable)
      for (const client of [...this.clients]) client.drop()
      return true
    }
    return false
  }

  /** Whoever is the server now, replicas and disk follow it. */
  #goBackTo(copy: Copy): void {
    this.memory.db.goBackTo(copy.keys)
    copy.restore()
    this.#durable = { ...copy, ms: this.#options.time.ms }
    this.#replica = this.#durable
  }

  #openWindow(kind: (typeof windows)[number], request: Request): void {
    const args = this.#options.book.take(kind, request)
    if (args === undefined) return
    this.#until[kind] = this.#options.time.ms + Number(args.ms)
    this.#options.hooks.fault(kind, request)
  }

  #refusal(writes: boolean): EngineError | undefined {
    const { ms } = this.#options.time
    if (ms < this.#until.loading)
      return new EngineError('REDIS_LOADING', 'LOADING Redis is loading the dataset in memory')
    const isReadonly = writes && ms < this.#until.readonly
    return isReadonly
      ? new EngineError('REDIS_READONLY', "READONLY You can't write against a read only replica.")
      : undefined
  }

  /** As with AOF everysec: at most `fsyncMs` of writes are not yet safe. Copies are made only for plans that lose some. */
  #makeDurable(): void {
    const { time, hooks, fsyncMs, lagMs, canLose } = this.#options
    if (!canLose) return
    const dues = [time.ms - this.#durable.ms >= fsyncMs, time.ms - this.#replica.ms >= lagMs]
    if (!dues.includes(true)) return
    const copy = { keys: this.memory.db.snapshot(), restore: hooks.save(), ms: time.ms }
    if (dues[0] === true) this.#durable = copy
    if (dues[1] === true) this.#replica = copy
  }
}
