/**
 * One life of a daemon: the unchanged engine behind simulated ports, and the workers of its loops. When it dies, nothing
 * graceful happens; what Redis holds is all that is left of it, and for a while perhaps a worker that has not noticed.
 */
import { FlowEngine, type RunEnd } from '../engine/flow-engine.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import type { HolderIdentity, Pools, Ports } from '../engine/ports.ts'
import type { ReloadReport } from '../engine/run/reload.ts'
import type { EventSink } from '../engine/trace/events.ts'
import type { RecordOf } from '../engine/trace/trace.ts'
import { ApiEngine } from './api-engine.ts'
import type { PlanCall } from './calls.ts'
import type { Cancel } from './clock.ts'
import { DaemonEngine } from './daemon-engine.ts'
import { type CallAnswer, Front } from './front.ts'
import type { InstanceNews } from './life.ts'
import { observedGraph } from './observed-graph.ts'
import type { MemoryFiles } from './outside.ts'
import type { PlanSettings } from './plan.ts'
import { SimPools, type SimPoolsHost } from './pools.ts'
import { patiencesOf, SimPorts } from './ports.ts'
import type { Wire } from './wire.ts'

/** The part of the engine that a daemon drives. */
export type Engine = {
  start(options?: { mode?: 'resume' }): Promise<unknown>
  stop(): Promise<void>
  resume?(loop: string): Promise<void>
  /** Of a daemon. */
  reloadDaemon?(graph: FlowGraph): Promise<ReloadReport>
  /** It lives on although nothing is left to do. */
  readonly isAtRest?: boolean
  readonly done: Promise<RunEnd>
  /** Where requests of api workflows are recorded beside it. */
  readonly recordOf?: RecordOf
}
export type StartOptions = {
  graph: FlowGraph
  ports: Ports
  pools: Pools
  onEvent: EventSink
  serving: PlanSettings['serving']
  recordOf?: RecordOf | undefined
}
export type StartEngine = (options: StartOptions) => Engine

export const startFlowEngine: StartEngine = ({ serving, ...options }) => {
  if (options.graph.workflow.type === 'api') return new ApiEngine()
  return serving === 'daemon' ? new DaemonEngine(options) : new FlowEngine(options)
}

/** What calls need of the world, beyond what the engine does. */
export type Calling = {
  /** As it stands in its file, and as that was read. */
  workflow: JsonObject
  classes: FlowGraph
  /** What development finds outside. */
  files: MemoryFiles
  onDevWrite(op: string, keys: readonly string[]): void
}

export type InstanceOptions = {
  /** Which life of which daemon this is, for its draws: `DAEMON.LIFE`, both from 1. */
  name: string
  pid: number
  /** The machine it runs on. */
  boot: string
  graph: FlowGraph
  wire: Wire
  pools: Omit<SimPoolsHost, 'name' | 'isGone' | 'onGone'>
  files: MemoryFiles
  calling: Calling
  serving: PlanSettings['serving']
  startEngine: StartEngine
  isGone(identity: HolderIdentity): boolean
  onGone(identity: HolderIdentity, tell: () => void): Cancel
  /** `teller`: who saw it, the daemon itself or one of its workers. */
  onEvent(event: Parameters<EventSink>[0], teller: string): void
  onInstance(news: InstanceNews): void
}

/** How long an operator takes to look after a loop that was given up, in milliseconds. */
const operatorMs = 20_000

/** More than one definition ever has. */
const instancesMax = 1_000_000

export class Instance {
  readonly identity: HolderIdentity
  readonly #options: InstanceOptions
  readonly #host: SimPorts
  readonly #pools: SimPools
  readonly #engine: Engine
  readonly #graph: FlowGraph
  /** Who answers calls, once there was one. */
  #front: Front | undefined
  #devHost: SimPorts | undefined
  #isStopping = false
  #definitions = 0
  readonly #mourners = new Set<() => void>()
  isAlive = true
  /** How the engine ended, if it did on its own. */
  ended: RunEnd | undefined

  constructor(options: InstanceOptions) {
    this.#options = options
    const { name, pid, boot, wire, files, isGone, onGone } = options
    const graph = this.#observed(options.graph)
    this.#graph = graph
    this.identity = { boot, pid, start: String(wire.time.ms) }
    this.#host = new SimPorts({
      name,
      identity: this.identity,
      isGone,
      onGone,
      wire,
      files,
      patiences: patiencesOf(graph),
    })
    this.#pools = new SimPools({ ...options.pools, name, isGone, onGone })
    const onEvent: EventSink = event => {
      this.#see(event)
      if (event.type === 'warning' && event.code === 'LOOP_FAILED' && this.isAlive) this.#mend(event.loop ?? '')
    }
    this.#engine = options.startEngine({
      graph,
      ports: this.#host.ports,
      pools: this.#pools,
      onEvent,
      serving: options.serving,
    })
  }

  start(): void {
    const end = (result: RunEnd): void => {
      this.ended ??= result
    }
    // a process ends when what it was asked is answered too
    void this.#engine.done.then(result =>
      this.#front === undefined ? end(result) : this.#drained().then(() => end(result)),
    )
    this.#engine.start({ mode: 'resume' }).catch(error => {
      const { name, message, code = 'BUG' } = error as Error & { code?: string }
      end({ status: 'failed', error: { name, code, message } })
    })
  }

  #see(event: Parameters<EventSink>[0], teller = this.#pools.teller ?? this.teller): void {
    if (this.isAlive) this.#options.onEvent(event, teller)
  }

  /** What is asked of it is answered first, or given up in time. */
  stop(): void {
    this.#isStopping = true
    void this.#engine.stop()
    void this.#drained()
  }

  async #drained(): Promise<void> {
    await this.#front?.drain(this.#graph.workflow.settings.drain_timeout_seconds * 1000)
  }

  /** Who it is, to those who are told what it does. */
  get teller(): string {
    return this.#options.name
  }

  /** Whether it listens, if only to say that it stops: what runs a workflow from the command line does not. */
  get listens(): boolean {
    return this.isAlive && this.#options.serving === 'daemon'
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Takes a call as soon as it is awake; `tell` is called with the answer unless it dies before. */
  serve(call: PlanCall, signal: AbortSignal, tell: (answer: CallAnswer) => void): void {
    this.#options.wire.local.after(1, () => {
      this.#front ??= this.#makeFront()
      void this.#front.take(call, signal).then(answer => {
        if (this.isAlive) tell(answer)
      })
    })
  }

  #makeFront(): Front {
    const { name, wire, isGone, onGone, calling } = this.#options
    const { workflow, classes, files, onDevWrite } = calling
    const patiences = patiencesOf(this.#graph)
    this.#devHost = new SimPorts({
      ...{ name: `${name}.dev`, identity: this.identity, wire, files, patiences },
      ...{ isGone, onGone },
    })
    return new Front({
      recordOf: this.#engine.recordOf,
      ...{ graph: this.#graph, workflow, classes, onDevWrite },
      ports: this.#host.ports,
      devPorts: this.#devHost.ports,
      // requests run side by side, as replicas do
      onEvent: event => this.#see(event, `${name}/${'run' in event ? event.run : ''}`),
    })
  }

  /** Undefined when it cannot, or died meanwhile. */
  async reload(graph: FlowGraph): Promise<ReloadReport | undefined> {
    const report = await this.#engine.reloadDaemon?.(this.#observed(graph))
    return this.isAlive ? report : undefined
  }

  /** Instances are counted through all definitions that it serves in its life. */
  #observed(graph: FlowGraph): FlowGraph {
    const first = this.#definitions++ * instancesMax
    const { pid, onInstance } = this.#options
    return observedGraph(graph, news => {
      if (this.isAlive) onInstance({ ...news, pid, instance: first + news.instance })
    })
  }

  get isAtRest(): boolean {
    return this.isAlive && this.#engine.isAtRest === true
  }

  die(): void {
    if (!this.isAlive) return
    this.isAlive = false
    this.#host.die()
    this.#devHost?.die()
    this.#pools.orphan()
    for (const tell of this.#mourners) tell()
  }

  /** Calls back when it is dead. */
  onDeath(tell: () => void): Cancel {
    if (this.isAlive) this.#mourners.add(tell)
    else tell()
    return () => this.#mourners.delete(tell)
  }

  /** What the engine has under way in its host, in words. */
  open(): string[] {
    const calls = [...this.#host.open(), ...(this.#devHost?.open() ?? [])]
    return this.#pools.open === 0 ? calls : [...calls, `${this.#pools.open} workers`]
  }

  /** Until when somebody here sleeps on purpose, in milliseconds since the beginning. */
  sleepsUntil(): number {
    return Math.max(this.#host.sleepsUntil(), this.#devHost?.sleepsUntil() ?? 0, this.#pools.sleepsUntil())
  }

  /** An operator finds a loop that was given up, and has it started again. */
  #mend(loop: string): void {
    this.#options.wire.local.after(operatorMs, () => {
      void this.#engine.resume?.(loop).catch(() => undefined)
    })
  }
}
