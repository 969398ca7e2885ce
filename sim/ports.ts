/**
 * The simulated host of one process, a daemon or a worker of one: the engine's ports over simulated time, wire and
 * outside. When it dies, nothing graceful happens: its ports go dead, so that no continuation of it ever runs again.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import type { Clock, HolderIdentity, Host, Log, Ports, Random } from '../engine/ports.ts'
import type { Cancel } from './clock.ts'
import type { FaultKind, OperationName } from './faults.ts'
import { isTimeout } from './mishaps.ts'
import { type Due, type Later, type Limit, type MemoryFiles, simFiles, simHttp } from './outside.ts'
import { SimRedis } from './redis.ts'
import type { Wire } from './wire.ts'

export type SimPortsOptions = {
  /** Which life of whom this is, for its draws. */
  name: string
  identity: HolderIdentity
  isGone(identity: HolderIdentity): boolean
  /** Calls back when it is gone. */
  onGone(identity: HolderIdentity, tell: () => void): Cancel
  wire: Wire
  files: MemoryFiles
  /** Of the nodes that do not wait for ever, in milliseconds. */
  patiences: readonly number[]
}

/** How long the nodes of a workflow wait that do not wait for ever, in milliseconds. */
export function patiencesOf(graph: FlowGraph): number[] {
  return [...graph.nodes.values()].map(({ timeoutMs }) => timeoutMs).filter(ms => ms > 0)
}

/** How long it takes to see that a process is gone, at most. */
const goneLookMsMax = 1_000
/** Sleeps longer than this are meant by somebody, and waiting for them is no standstill. */
const longSleepMs = 20_000

export class SimPorts {
  readonly ports: Ports
  readonly #options: SimPortsOptions
  readonly #redis: SimRedis
  readonly #longSleeps = new Set<{ untilMs: number; begunMs: number }>()
  /** When the last one ended that had really been long. */
  #wokeMs = 0
  #sleeps = 0

  constructor(options: SimPortsOptions) {
    this.#options = options
    this.#redis = new SimRedis(options.wire)
    this.ports = this.#makePorts()
  }

  die(): void {
    this.#redis.die()
    this.#options.wire.local.end()
    for (const { begunMs } of this.#longSleeps) this.#notesWaking(begunMs)
    this.#longSleeps.clear()
  }

  /** What is under way here, in words. */
  open(): string[] {
    const calls = this.#redis.open()
    return this.#sleeps === 0 ? calls : [...calls, `${this.#sleeps} sleeps`]
  }

  /** Until when somebody here sleeps on purpose, in milliseconds since the beginning. */
  sleepsUntil(): number {
    return Math.max(this.#wokeMs, ...[...this.#longSleeps].map(({ untilMs }) => untilMs))
  }

  #notesWaking(begunMs: number): void {
    const { ms } = this.#options.wire.time
    if (ms - begunMs >= longSleepMs) this.#wokeMs = ms
  }

  #makePorts(): Ports {
    const { files, identity, isGone } = this.#options
    const later = this.#later
    const now = (): number => this.#options.wire.time.ms
    const host: Host = { identity: () => identity, isGone, gone: this.#gone }
    const log: Log = { write: () => undefined }
    return {
      clock: this.#clock(),
      random: this.#random(),
      redis: this.#redis,
      host,
      log,
      files: simFiles(files, later, now),
      http: simHttp(files, later, now),
    }
  }

  #clock(): Clock {
    const { local } = this.#options.wire
    return {
      now: () => local.wall(),
      monotonic: () => local.monotonicMs(),
      sleep: (ms, signal) => this.#sleep(ms, signal, wake => local.after(ms, wake)),
      until: (epochMs, signal) => this.#sleep(epochMs - local.wall(), signal, wake => local.until(epochMs, wake)),
    }
  }

  #sleep(ms: number, signal: AbortSignal | undefined, set: (wake: () => void) => Cancel): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const { time } = this.#options.wire
      const begunMs = time.ms
      const own = { untilMs: begunMs + ms, begunMs }
      if (ms >= longSleepMs) this.#longSleeps.add(own)
      this.#sleeps += 1
      const wake = (): void => {
        this.#sleeps -= 1
        this.#longSleeps.delete(own)
        this.#notesWaking(begunMs)
      }
      const abort = (): void => {
        cancel()
        wake()
        reject(signal?.reason)
      }
      const cancel = set(() => {
        wake()
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      signal?.addEventListener('abort', abort, { once: true })
    })
  }

  readonly #gone: Host['gone'] = (other, signal) => {
    const { onGone, wire } = this.#options
    return new Promise((resolve, reject) => {
      const look = (): number => wire.draws.whole('gone', 1, goneLookMsMax)
      const cancel = onGone(other, () => wire.local.after(look(), resolve))
      signal.addEventListener('abort', () => {
        cancel()
        reject(signal.reason)
      })
    })
  }

  #random(): Random {
    const { name, wire } = this.#options
    return {
      draw: stream => wire.draws.unit(`daemon ${name} ${stream}`),
      nonce: stream => wire.draws.text(`daemon ${name} ${stream}`),
    }
  }

  readonly #later: Later = (op, work, limit) => {
    const { draws, latencyMsMax, local, server, dies } = this.#options.wire
    const name = server.name(op, '')
    const due: Due = kind => this.#takes(kind, name)
    return new Promise((resolve, reject) => {
      if (dies('before', name)) return
      limit?.signal.addEventListener('abort', () => reject(limit.signal.reason), { once: true })
      const reply = (settle: () => void, afterMs = 0): void => {
        local.after(Math.max(afterMs, draws.whole('outside', 1, latencyMsMax)), () => {
          if (!dies('replied', name)) settle()
        })
      }
      local.after(this.#travelMs(due, limit), () => {
        try {
          const result = work(due)
          if (!dies('applied', name)) reply(() => resolve(result))
        } catch (error) {
          reply(() => reject(error), isTimeout(error) ? limit?.timeoutMs : 0)
        }
      })
    })
  }

  /** How long it takes to get there; never so long that whoever waits gives up: that is `http-timeout`. */
  #travelMs(due: Due, limit: Limit | undefined): number {
    const { draws, latencyMsMax } = this.#options.wire
    const spike = due('latency')
    const most = Math.min(limit?.timeoutMs ?? Number.POSITIVE_INFINITY, ...this.#options.patiences) / 10
    return spike === undefined ? draws.whole('outside', 1, latencyMsMax) : Math.min(Number(spike.ms), most)
  }

  #takes(kind: FaultKind, name: OperationName): JsonObject | undefined {
    const { book, fault } = this.#options.wire
    const args = book.take(kind, name)
    if (args !== undefined) fault(kind, name)
    return args
  }
}
