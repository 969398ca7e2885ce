/**
 * One life of a daemon: the unchanged engine behind simulated ports. When it dies, nothing graceful happens: its ports
 * go dead, so that no continuation of it ever runs again; what Redis holds is all that is left of it.
 */
import { FlowEngine, type RunEnd } from '../engine/flow-engine.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import type { Clock, HolderIdentity, Host, Log, Ports, Random } from '../engine/ports.ts'
import type { EventSink } from '../engine/trace/events.ts'
import type { FaultKind, OperationName } from './faults.ts'
import { isTimeout } from './mishaps.ts'
import { type Due, type Later, type Limit, type MemoryFiles, simFiles, simHttp } from './outside.ts'
import { SimRedis } from './redis.ts'
import type { Wire } from './wire.ts'

/** The part of the engine that a daemon drives. */
export type Engine = {
  start(options?: { mode?: 'resume' }): Promise<unknown>
  stop(): Promise<void>
  readonly done: Promise<RunEnd>
}
export type StartEngine = (options: { graph: FlowGraph; ports: Ports; onEvent: EventSink }) => Engine

export const startFlowEngine: StartEngine = options => new FlowEngine(options)

export type InstanceOptions = {
  /** Which life of which daemon this is, for its draws: `DAEMON.LIFE`, both from 1. */
  name: string
  pid: number
  /** The machine it runs on. */
  boot: string
  graph: FlowGraph
  wire: Wire
  files: MemoryFiles
  startEngine: StartEngine
  isGone(identity: HolderIdentity): boolean
  onEvent: EventSink
  /** The engine ended on its own; never called for one that died. */
  onEnd(end: RunEnd): void
}

/** Sleeps longer than this are meant by somebody, and waiting for them is no standstill. */
const longSleepMs = 20_000

export class Instance {
  readonly identity: HolderIdentity
  readonly #options: InstanceOptions
  readonly #redis: SimRedis
  readonly #engine: Engine
  /** Until when → since when. */
  readonly #longSleeps = new Map<number, number>()
  /** When the last one ended that had really been long. */
  #wokeMs = 0
  /** Of the nodes that do not wait for ever, in milliseconds. */
  readonly #patiences: readonly number[]
  isAlive = true

  constructor(options: InstanceOptions) {
    this.#options = options
    const { pid, boot, wire, graph } = options
    this.identity = { boot, pid, start: String(wire.time.ms) }
    this.#redis = new SimRedis(wire)
    this.#patiences = [...graph.nodes.values()].map(({ timeoutMs }) => timeoutMs).filter(ms => ms > 0)
    const onEvent: EventSink = event => {
      if (this.isAlive) options.onEvent(event)
    }
    this.#engine = options.startEngine({ graph, ports: this.#ports(), onEvent })
  }

  start(): void {
    const end = (result: RunEnd): void => {
      if (!this.isAlive) return
      this.die()
      this.#options.onEnd(result)
    }
    void this.#engine.done.then(end)
    this.#engine.start({ mode: 'resume' }).catch(error => {
      const { name, message, code = 'BUG' } = error as Error & { code?: string }
      end({ status: 'failed', error: { name, code, message } })
    })
  }

  stop(): void {
    void this.#engine.stop()
  }

  die(): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.#redis.die()
    this.#options.wire.local.end()
    for (const begunMs of this.#longSleeps.values()) this.#notesWaking(begunMs)
    this.#longSleeps.clear()
  }

  /** Until when somebody here sleeps on purpose, in milliseconds since the beginning. */
  sleepsUntil(): number {
    return Math.max(this.#wokeMs, ...this.#longSleeps.keys())
  }

  #notesWaking(begunMs: number): void {
    const { ms } = this.#options.wire.time
    if (ms - begunMs >= longSleepMs) this.#wokeMs = ms
  }

  #ports(): Ports {
    const { files, isGone } = this.#options
    const later = this.#later
    const host: Host = { identity: () => this.identity, isGone }
    const log: Log = { write: () => undefined }
    return {
      clock: this.#clock(),
      random: this.#random(),
      redis: this.#redis,
      host,
      log,
      files: simFiles(files, later, () => this.#options.wire.time.ms),
      http: simHttp(files, later, () => this.#options.wire.time.ms),
    }
  }

  #clock(): Clock {
    const { local } = this.#options.wire
    return {
      now: () => local.wall(),
      monotonic: () => local.monotonicMs(),
      sleep: (ms, signal) => this.#sleep(ms, signal),
    }
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const { time, local } = this.#options.wire
      const until = time.ms + ms
      const begunMs = time.ms
      if (ms >= longSleepMs) this.#longSleeps.set(until, begunMs)
      const wake = (): void => {
        this.#longSleeps.delete(until)
        this.#notesWaking(begunMs)
      }
      const abort = (): void => {
        cancel()
        wake()
        reject(signal?.reason)
      }
      const cancel = local.after(ms, () => {
        wake()
        signal?.removeEventListener('abort', abort)
        resolve()
      })
      signal?.addEventListener('abort', abort, { once: true })
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
    const { draws, latencyMsMax, local, server } = this.#options.wire
    const name = server.name(op, '')
    const due: Due = kind => this.#takes(kind, name)
    return new Promise((resolve, reject) => {
      if (this.#crashes('crash-before', name)) return
      limit?.signal.addEventListener('abort', () => reject(limit.signal.reason), { once: true })
      const reply = (settle: () => void, afterMs = 0): void => {
        local.after(Math.max(afterMs, draws.whole('outside', 1, latencyMsMax)), () => {
          if (!this.#crashes('crash-replied', name)) settle()
        })
      }
      local.after(this.#travelMs(due, limit), () => {
        try {
          const result = work(due)
          if (!this.#crashes('crash-applied', name)) reply(() => resolve(result))
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
    const most = Math.min(limit?.timeoutMs ?? Number.POSITIVE_INFINITY, ...this.#patiences) / 10
    return spike === undefined ? draws.whole('outside', 1, latencyMsMax) : Math.min(Number(spike.ms), most)
  }

  #takes(kind: FaultKind, name: OperationName): JsonObject | undefined {
    const { book, fault } = this.#options.wire
    const args = book.take(kind, name)
    if (args !== undefined) fault(kind, name)
    return args
  }

  #crashes(kind: 'crash-before' | 'crash-applied' | 'crash-replied', name: OperationName): boolean {
    if (this.#takes(kind, name) === undefined) return false
    this.#options.wire.crash()
    return true
  }
}
