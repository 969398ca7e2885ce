/**
 * One daemon's way to the simulated server. Operations travel in order, each for a drawn latency, there and back; when
 * the connection drops, what has no reply is sent again with the same arguments, as ioredis does. When the daemon dies,
 * what is on the wire may still arrive, but no promise of it ever settles.
 */
import type { Keyspace } from '../engine/memory-redis/keyspace.ts'
import type { Outcome } from '../engine/memory-redis/server.ts'
import type { Redis, Reply, Script } from '../engine/ports.ts'
import type { OperationName } from './faults.ts'
import type { Request } from './server.ts'
import { SimWaits } from './waits.ts'
import { unavailable, type Wire } from './wire.ts'

type Flight = { request: Request; resolve: (reply: unknown) => void; reject: (error: unknown) => void }

export class SimRedis implements Redis {
  readonly #wire: Wire
  readonly #waits: SimWaits
  /** Sent or to be sent, without a reply yet, in order. */
  readonly #flights = new Set<Flight>()
  /** Goes up when the connection drops: what was on the wire is void. */
  #epoch = 0
  #connected = true
  #state: 'open' | 'closed' | 'dead' = 'open'
  #arrivesMs = 0
  #returnsMs = 0

  constructor(wire: Wire) {
    this.#wire = wire
    this.#waits = new SimWaits(wire)
    wire.server.clients.add(this)
  }

  call(script: Script, [prefix = '']: readonly string[], args: readonly string[]): Promise<Reply> {
    const run = (db: Keyspace) => script.run(db, [prefix], args)
    return this.#send(script.name, loopOf(script.name, args), { run, args, writes: true }) as Promise<Reply>
  }
  hget(key: string, field: string): Promise<string | null> {
    return this.#read('hget', key, db => db.hget(key, field)) as Promise<string | null>
  }
  async hgetall(key: string): Promise<Record<string, string>> {
    const fields = (await this.#read('hgetall', key, db => db.hgetall(key))) as Record<string, string>
    return Object.fromEntries(this.#wire.draws.shuffled(`order ${key}`, Object.entries(fields)))
  }
  lrange(key: string, start: number, stop: number): Promise<string[]> {
    return this.#read('lrange', key, db => db.lrange(key, start, stop)) as Promise<string[]>
  }
  llen(key: string): Promise<number> {
    return this.#read('llen', key, db => db.llen(key)) as Promise<number>
  }
  async smembers(key: string): Promise<string[]> {
    const members = (await this.#read('smembers', key, db => db.smembers(key))) as string[]
    return this.#wire.draws.shuffled(`order ${key}`, members)
  }
  wait(key: string, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    return this.#state === 'closed' ? Promise.reject(unavailable()) : this.#waits.wait(key, timeoutMs, signal)
  }
  async close(): Promise<void> {
    this.#state = 'closed'
    this.#leave()
  }

  /** What still waits for an answer, by name. */
  open(): string[] {
    const calls = [...this.#flights].map(({ request }) => `call "${request.op}"`)
    return this.#waits.open === 0 ? calls : [...calls, `${this.#waits.open} waits for wake-ups`]
  }

  /** The daemon died. What is on its way to the server arrives, or does not. */
  die(): void {
    if (this.#wire.draws.chance('dies with wire', 0.5)) this.#epoch += 1
    this.#state = 'dead'
    this.#leave()
  }

  /** The connection is cut; it comes back, and everything without a reply is sent again. */
  drop(): void {
    if (this.#state !== 'open' || !this.#connected) return
    const { local, draws, comebackMsMax } = this.#wire
    this.#epoch += 1
    this.#connected = false
    this.#waits.drop()
    local.after(draws.whole('comeback', 1, comebackMsMax), () => {
      if (this.#state !== 'open') return
      this.#connected = true
      for (const flight of this.#flights) this.#depart(flight)
    })
  }

  // --- the way there

  #read(op: string, key: string, run: (db: Keyspace) => unknown): Promise<unknown> {
    return this.#send(op, '', { run, args: [key], writes: false })
  }

  #send(op: string, loop: string, work: Omit<Request, keyof OperationName>): Promise<unknown> {
    if (this.#state === 'closed') return Promise.reject(unavailable())
    const { server, book, fault, dies, strike } = this.#wire
    const { n } = server.name(op, loop)
    const request = { op, loop, n, args: work.args, run: work.run, writes: work.writes }
    return new Promise((resolve, reject) => {
      if (this.#state === 'dead') return
      strike(request)
      const flight = { request, resolve, reject }
      if (dies('before', request)) return
      this.#flights.add(flight)
      if (book.take('refused', request) !== undefined) this.#refuse(flight, 'refused')
      else if (book.take('lost-before', request) !== undefined) {
        fault('lost-before', request)
        this.drop()
      } else if (this.#connected) this.#leaves(flight)
    })
  }

  /** Whoever was paused as it sent something sends it when it wakes up. */
  #leaves(flight: Flight): void {
    const { local } = this.#wire
    const epoch = this.#epoch
    if (!local.isPaused) this.#depart(flight)
    else local.after(1, () => epoch === this.#epoch && this.#depart(flight))
  }

  #depart(flight: Flight): void {
    const { time, draws, book, fault, latencyMsMax } = this.#wire
    const spike = book.take('latency', flight.request)
    if (spike !== undefined) fault('latency', flight.request)
    const ms = spike === undefined ? draws.whole('latency', 1, latencyMsMax) : Number(spike.ms)
    this.#arrivesMs = Math.max(this.#arrivesMs, time.ms + ms)
    const epoch = this.#epoch
    time.after(this.#arrivesMs - time.ms, () => {
      if (epoch === this.#epoch && this.#flights.has(flight)) this.#arrive(flight)
    })
  }

  // --- at the server, and back

  #arrive(flight: Flight): void {
    const { server, book, fault, dies, admits } = this.#wire
    if (!admits(flight.request)) return
    const outcome = server.execute(flight.request)
    if (outcome === undefined || this.#state === 'dead') return
    if (dies('applied', flight.request)) return
    if (book.take('refused-applied', flight.request) !== undefined) {
      this.#refuse(flight, 'refused-applied')
    } else if (book.take('reply-lost', flight.request) !== undefined) {
      fault('reply-lost', flight.request)
      this.drop()
    } else this.#answer(flight, outcome)
  }

  #answer(flight: Flight, outcome: Outcome<unknown>): void {
    const { local, draws, latencyMsMax } = this.#wire
    const now = local.monotonicMs()
    this.#returnsMs = Math.max(this.#returnsMs, now + draws.whole('latency', 1, latencyMsMax))
    const epoch = this.#epoch
    local.after(this.#returnsMs - now, () => {
      if (epoch === this.#epoch && this.#state !== 'dead') this.#deliver(flight, outcome)
    })
  }

  #deliver(flight: Flight, outcome: Outcome<unknown>): void {
    if (this.#wire.dies('replied', flight.request)) return
    this.#flights.delete(flight)
    if (outcome.ok) flight.resolve(outcome.reply)
    else flight.reject(outcome.error)
  }

  /** The client's patience ends after a while; nothing more comes of this operation. */
  #refuse(flight: Flight, kind: 'refused' | 'refused-applied'): void {
    const { local, draws, comebackMsMax, fault } = this.#wire
    fault(kind, flight.request)
    this.#flights.delete(flight)
    local.after(draws.whole('patience', 1, comebackMsMax), () => {
      if (this.#state !== 'dead') flight.reject(unavailable())
    })
  }

  #leave(): void {
    this.#waits.die()
    this.#wire.server.clients.delete(this)
  }
}

/** Scripts of a replica name their loop first. */
const ofReplica = new Set(['acquire', 'release', 'claim', 'commit', 'complete', 'delay'])

function loopOf(script: string, args: readonly string[]): string {
  return ofReplica.has(script) ? (args[0] as string) : ''
}
