/**
 * The workers of one simulated daemon. Each is a process of its own as far as the engine can tell: it is handed its task
 * as text, has its own way to the server, its own timers, and says everything over a wire that takes its time. It can
 * die, alone or with its daemon, stand still, run out of memory, or be of another version.
 *
 * P1 nothing but text crosses. P2 a thread dies with its daemon at once, a process notices later, and goes on meanwhile.
 * P3 nothing of a dead worker ever runs again; of what it had said, some may still arrive, in order.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { canonicalJson, type Json, type JsonObject } from '../engine/json.ts'
import type { HolderIdentity, LoopWorker, Pools, WorkerListener } from '../engine/ports.ts'
import { LoopInWorker } from '../engine/run/loop-worker.ts'
import type { ExitCause, FromWorker, LoopTask, ToWorker, WorkerHealth } from '../engine/run/pool-protocol.ts'
import { readPulse } from '../engine/run/pulse.ts'
import type { Cancel } from './clock.ts'
import { edited, editOf } from './edits.ts'
import type { FaultKind, OperationName } from './faults.ts'
import { spoil } from './garbage.ts'
import { LocalTime, WorkerTime } from './local-time.ts'
import type { Victim } from './misbehave.ts'
import type { MemoryFiles } from './outside.ts'
import { patiencesOf, SimPorts } from './ports.ts'
import type { Request } from './server.ts'
import type { Moment, Wire } from './wire.ts'

export type SimPoolsHost = {
  /** Which life of which daemon they belong to. */
  name: string
  isGone(identity: HolderIdentity): boolean
  onGone(identity: HolderIdentity, tell: () => void): Cancel
  /** The daemon's own. */
  wire: Wire
  local: LocalTime
  files: MemoryFiles
  graphFor(victim: Victim): FlowGraph
  /** For the trace. */
  tell(line: JsonObject): void
  /** A worker died: what it had begun to tell has no end. */
  forget(teller: string): void
  /** The invariant `supervision` does not hold. */
  broken(expected: string, seen: string): void
}

/** How long a process may take to notice that its daemon is gone, in milliseconds. */
const noticeMsMax = 2_000
/** How long a worker takes to begin, in milliseconds. */
const dispatchMsMax = 60
/** How long a daemon may take to end a process that stands still, in milliseconds of its own time. */
const patienceMs = 45_000
const clean: ExitCause = { code: 0, signal: null, outOfMemory: false, message: null, rssBytes: null }

export class SimPools implements Pools {
  readonly #host: SimPoolsHost
  readonly #workers = new Set<SimWorker>()
  #count = 0
  /** Until when workers that have ended slept on purpose, in milliseconds since the beginning. */
  #sleptMs = 0
  /** The worker that is telling something right now. */
  teller: string | undefined

  constructor(host: SimPoolsHost) {
    this.#host = host
  }

  start(task: LoopTask, listener: WorkerListener): LoopWorker {
    const name = `${this.#host.name}/${++this.#count}`
    const heard: WorkerListener = {
      message: message => {
        this.teller = name
        listener.message(message)
        this.teller = undefined
      },
      exited: cause => {
        this.#workers.delete(worker)
        this.#sleptMs = Math.max(this.#sleptMs, worker.sleepsUntil())
        listener.exited(cause)
      },
    }
    const worker = new SimWorker(this.#host, name, { task: canonicalJson(task as unknown as Json), listener: heard })
    this.#workers.add(worker)
    return worker
  }

  /** The daemon died. */
  orphan(): void {
    for (const worker of this.#workers) worker.orphan()
  }

  /** Workers that have not ended. */
  get open(): number {
    return this.#workers.size
  }

  sleepsUntil(): number {
    return Math.max(this.#sleptMs, ...[...this.#workers].map(worker => worker.sleepsUntil()))
  }
}

/** Messages one way, in order, each as text and each for a while. */
class Line {
  readonly #wire: Wire
  readonly #after: (ms: number, run: () => void) => void
  #waiting: (() => void)[] = []

  constructor(wire: Wire, after: (ms: number, run: () => void) => void) {
    this.#wire = wire
    this.#after = after
  }

  send(deliver: () => void): void {
    this.#waiting.push(deliver)
    const { draws, latencyMsMax } = this.#wire
    this.#after(draws.whole('pool', 1, latencyMsMax), () => this.#waiting.shift()?.())
  }

  cut(): void {
    this.#waiting = []
  }
}

class SimWorker implements LoopWorker {
  readonly #host: SimPoolsHost
  readonly #name: string
  readonly #task: LoopTask
  readonly #listener: WorkerListener
  /** Of its process: the daemon's, or one of its own. */
  readonly #process: LocalTime
  readonly #local: WorkerTime
  readonly #up: Line
  readonly #down: Line
  readonly #pulse = { progressMs: 0, untilMs: 0 }
  #ports: SimPorts | undefined
  #loop: LoopInWorker | undefined
  /** Said to it before it began. */
  #inbox: ToWorker[] = []
  #state: 'alive' | 'dead' = 'alive'
  /** Since when its event loop, or its whole process, has not moved, in milliseconds since the beginning. */
  #stuckMs: number | undefined
  #silentMs: number | undefined
  /** Until when it slept on purpose or was waited for, once it is dead. */
  #sleptMs = 0
  /** It heard that it shall drain; by then a claim may be waiting for its turn. */
  #drains = false
  readonly #lateClaims = new Set<string>()
  /** Whether its daemon has a reason to end it. */
  #mayBeEnded = false

  constructor(host: SimPoolsHost, name: string, { task, listener }: { task: string; listener: WorkerListener }) {
    this.#host = host
    this.#name = name
    this.#task = JSON.parse(task) as LoopTask
    this.#listener = listener
    const { wire, local } = host
    this.#process = this.#task.pool === 'thread' ? local : new LocalTime(wire.time)
    this.#local = new WorkerTime(this.#process)
    this.#up = new Line(wire, (ms, run) => local.after(ms, run))
    this.#down = new Line(wire, (ms, run) => this.#local.after(ms, run))
    const { pool, loop, replica } = this.#task
    host.tell({ ms: wire.time.ms, worker: 'starts', name, pool, loop, replica })
    this.#local.after(wire.draws.whole('dispatch', 1, dispatchMsMax), () => this.#begin())
  }

  send(message: ToWorker): void {
    if (message.kind === 'abort') this.#mayBeEnded = true
    const text = JSON.stringify(message)
    this.#down.send(() => {
      const heard = JSON.parse(text) as ToWorker
      if (heard.kind === 'drain') this.#drains = true
      if (this.#loop === undefined) this.#inbox.push(heard)
      else this.#loop.receive(heard)
    })
  }

  health(): WorkerHealth {
    const { ms } = this.#host.wire.time
    return {
      ...readPulse(this.#pulse, this.#local.monotonicMs()),
      silentMs: this.#silentMs === undefined ? 0 : ms - this.#silentMs,
      blockedMs: this.#stuckMs === undefined ? 0 : ms - this.#stuckMs,
      rssBytes: null,
    }
  }

  terminate(how: 'ask' | 'force'): void {
    if (this.#state === 'dead') return
    if (!this.#mayBeEnded) this.#host.broken('a worker that is well is not ended', `${this.#name} was`)
    // a process that stands still does nothing about a signal that it might handle
    if (how === 'ask' && this.#silentMs !== undefined) return
    this.#host.wire.time.after(1, () =>
      this.#die({ ...clean, code: null, signal: how === 'ask' ? 'SIGTERM' : 'SIGKILL' }),
    )
  }

  /** Its daemon died. */
  orphan(): void {
    this.#host.forget(this.#name)
    if (this.#task.pool === 'thread') this.#end()
    else this.#host.wire.time.after(this.#host.wire.draws.whole('notice', 1, noticeMsMax), () => this.#end())
  }

  sleepsUntil(): number {
    if (this.#state === 'dead') return this.#sleptMs
    // a hung one is waited for as long as anybody may wait for it
    const hung = this.#stuckMs === undefined ? 0 : this.#stuckMs + 320_000
    return Math.max(hung, this.#ports?.sleepsUntil() ?? 0)
  }

  // --- its life

  #begin(): void {
    const { wire, files, graphFor, name, isGone, onGone } = this.#host
    const start = wire.server.name('start', this.#task.loop)
    const own = this.#wire()
    if (own.dies('before', start) || this.#failsToBegin(start)) return
    this.#pulse.progressMs = this.#local.monotonicMs()
    if (this.#takes('worker-version', start)) {
      this.#speakAnotherVersion()
      return
    }
    // it holds no lease itself, so that its identity says nothing
    const identity = { boot: name, pid: 0, start: this.#name }
    const victim: Victim = {
      noted: mood => wire.book.note(mood),
      spoil,
      kill: () => this.#die({ ...clean, code: 1, message: 'a node ended its process' }),
    }
    const graph = graphFor(victim)
    const patiences = patiencesOf(graph)
    this.#ports = new SimPorts({ name: this.#name, identity, isGone, onGone, wire: own, files, patiences })
    this.#loop = new LoopInWorker(this.#task, {
      ports: this.#ports.ports,
      load: () => edited(graph, editOf(this.#task.workflow.hash)),
      pulse: {
        progress: atMs => {
          this.#pulse.progressMs = atMs
        },
        workUntil: atMs => {
          this.#pulse.untilMs = atMs
        },
      },
      post: message => this.#post(message),
    })
    for (const message of this.#inbox) this.#loop.receive(message)
    void this.#loop.done.then(() => this.#local.after(1, () => this.#die(clean)))
  }

  #post(message: FromWorker): void {
    if (this.#state === 'dead') return
    if (message.kind === 'end') this.#mayBeEnded = true
    const text = JSON.stringify(message)
    this.#up.send(() => this.#listener.message(JSON.parse(text) as FromWorker))
  }

  /** What it says is not to be believed: that it has done an iteration that nobody began. */
  #speakAnotherVersion(): void {
    this.#mayBeEnded = true
    const { loop, run, workflow } = this.#task
    const stamp = { time: 0, workflow_id: workflow.name, run: run.id, loop, iteration: 0, duration: 0 }
    this.#post({ kind: 'hello', protocol: 0 })
    this.#post({ kind: 'batch', events: [{ type: 'iteration_completed', ...stamp }], lines: [] })
  }

  #die(cause: ExitCause): void {
    if (this.#state === 'dead') return
    const { wire, tell, forget } = this.#host
    const isClean = cause === clean
    tell({ ms: wire.time.ms, worker: 'ends', name: this.#name, code: cause.code, signal: cause.signal })
    this.#end()
    if (!isClean && wire.draws.chance('dies with its words', 0.5)) this.#up.cut()
    const text = JSON.stringify(cause)
    this.#up.send(() => {
      this.#listener.exited(JSON.parse(text) as ExitCause)
      if (!isClean) forget(this.#name)
    })
  }

  #end(): void {
    if (this.#state === 'dead') return
    this.#sleptMs = Math.min(this.sleepsUntil(), this.#host.wire.time.ms)
    this.#state = 'dead'
    this.#ports?.die()
    this.#local.end()
    this.#down.cut()
  }

  // --- what a plan has in store for it

  #wire(): Wire {
    const { wire } = this.#host
    return {
      ...wire,
      local: this.#local,
      dies: (moment, at) => this.#dies(moment, at) || wire.dies(moment, at),
      strike: request => {
        wire.strike(request)
        this.#strike(request)
        if (request.op === 'claim' && this.#drains) this.#claimsLate(request)
      },
    }
  }

  #failsToBegin(start: OperationName): boolean {
    const { book, time } = this.#host.wire
    const args = this.#takes('worker-fails', start)
    if (args !== undefined) book.last('worker-fails', start.loop, time.ms + Number(args.ms))
    if (!book.lasts('worker-fails', start.loop, time.ms)) return false
    this.#die({ ...clean, code: 1, message: 'it was to die as it begins' })
    return true
  }

  #takes(kind: FaultKind, at: OperationName): JsonObject | undefined {
    const args = this.#host.wire.book.take(kind, at)
    if (args !== undefined) this.#host.wire.fault(kind, at)
    return args
  }

  #dies(moment: Moment, at: OperationName): boolean {
    if (this.#takes(`worker-${moment}`, at) !== undefined) {
      this.#die({ ...clean, code: 1, message: 'it was to die' })
      return true
    }
    if (moment !== 'replied' || this.#takes('worker-oom', at) === undefined) return false
    this.#die({ ...clean, code: 134, outOfMemory: true, rssBytes: 512 * 1024 * 1024 })
    return true
  }

  #strike(request: OperationName): void {
    const hang = this.#takes('worker-hang', request)
    if (hang === undefined || this.#stuckMs !== undefined) return
    const { time } = this.#host.wire
    this.#mayBeEnded = true
    this.#stuckMs = time.ms
    if (this.#task.pool === 'thread' || hang.how === 'loop') {
      this.#local.stick()
      return
    }
    const sinceMs = time.ms
    this.#silentMs = sinceMs
    this.#host.local.after(patienceMs, () => {
      if (this.#state === 'dead' || this.#silentMs !== sinceMs) return
      this.#host.broken('a process that stands still is ended', `${this.#name} was not, for ${patienceMs / 1_000} s`)
    })
    this.#process.pause()
    if (Number(hang.ms) > 0) time.after(Number(hang.ms), () => this.#wake())
  }

  #claimsLate({ args }: Request): void {
    this.#lateClaims.add(args[3] as string)
    if (this.#lateClaims.size < 2) return
    this.#host.broken('a worker that drains begins nothing', `${this.#name} claimed again and again`)
  }

  #wake(): void {
    if (this.#state === 'dead') return
    this.#silentMs = undefined
    this.#stuckMs = undefined
    this.#process.wake()
  }
}
