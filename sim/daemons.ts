/**
 * The daemons of a world: one or several on the same Redis, each with a machine, dying and coming back on its own. At the
 * end of a plan's faults only a drawn core of them goes on; the others stay dead for ever.
 *
 * A1 a daemon has at most one life at a time. A2 nobody starts a daemon for a run that is complete.
 */
import type { RunEnd } from '../engine/flow-engine.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import type { HolderIdentity } from '../engine/ports.ts'
import type { ReloadReport } from '../engine/run/reload.ts'
import type { EngineEvent } from '../engine/trace/events.ts'
import type { SimTime } from './clock.ts'
import { type Daemon, lifeOf, nameOf, pidOf, whose } from './daemon.ts'
import { edited } from './edits.ts'
import type { FaultBook, FaultKind, OperationName } from './faults.ts'
import { spoil } from './garbage.ts'
import { type Calling, Instance, type InstanceOptions, type StartEngine } from './instance.ts'
import type { Sent } from './invariants/invariant.ts'
import type { InstanceNews, LifeNews } from './life.ts'
import { LocalTime } from './local-time.ts'
import type { Victim } from './misbehave.ts'
import { Operators, operatorKinds } from './operators.ts'
import type { MemoryFiles } from './outside.ts'
import type { PlanSettings } from './plan.ts'
import type { Draws } from './random.ts'
import type { SimServer } from './server.ts'
import type { Wire } from './wire.ts'

export type DaemonsHost = {
  time: SimTime
  draws: Draws
  server: SimServer
  book: FaultBook
  settings: PlanSettings
  graph: FlowGraph
  /** The workflow as one life of a daemon has it. */
  graphFor(victim: Victim): FlowGraph
  files: MemoryFiles
  calling: Calling
  startEngine: StartEngine
  /** The run is complete, as the server says. */
  isCompleted(): boolean
  fault(kind: FaultKind, at: OperationName): void
  /** For the trace. */
  tell(line: JsonObject): void
  life(news: LifeNews): void
  instance(news: InstanceNews): void
  sent(sent: Sent): void
  /** Somebody died: what was told by then has no end. */
  forget(teller: string): void
  /** `teller`: a life of a daemon, or one of its workers. */
  event(event: EngineEvent, daemon: number, teller: string): void
  /** The invariant `supervision` does not hold. */
  broken(expected: string, seen: string): void
  /** An engine ended with an error that is nobody's but its own. */
  failed(error: unknown): void
}

/** How long operators take to look what became of their wishes after a loss, in milliseconds. */
const operatorsLookMs = 25_000

export class Daemons {
  readonly #host: DaemonsHost
  readonly #all: Daemon[]
  readonly #lives = new Map<string, Instance>()
  #healed = false
  /** The workflow file as somebody left it, for whoever reads it next. */
  #edit = 0
  readonly #operators: Operators
  crashes = 0

  constructor(host: DaemonsHost) {
    this.#host = host
    this.#operators = new Operators(host)
    const { settings, draws } = host
    this.#all = Array.from({ length: settings.instances }, (_, i) => {
      const number = i + 1
      const isApart = number > 1 && draws.chance(`daemon ${number} apart`, settings.elsewhere)
      const boot = `machine-${isApart ? number : 1}`
      return {
        number,
        lives: 0,
        boot,
        instance: undefined,
        local: undefined,
        wakesMs: 0,
        sleptMs: 0,
        state: 'down',
        reloads: 'no',
      }
    })
  }

  /** The first one begins at once, the others soon. */
  start(): void {
    for (const daemon of this.#all) {
      if (daemon.number === 1) this.#begin(daemon)
      else this.#comeback(daemon)
    }
  }

  /** Nobody runs, and nobody is going to. */
  get atRest(): boolean {
    return this.#all.every(({ state, instance }) => {
      return state === 'done' || state === 'dead for ever' || (this.#host.isCompleted() && instance?.isAtRest === true)
    })
  }

  get areAllDead(): boolean {
    return this.#all.every(({ instance }) => instance?.isAlive !== true)
  }

  /** Until when somebody sleeps on purpose, or is paused, in milliseconds since the beginning. */
  sleepsUntil(): number {
    const of = ({ instance, wakesMs, sleptMs }: Daemon) => Math.max(instance?.sleepsUntil() ?? 0, wakesMs, sleptMs)
    return Math.max(0, ...this.#all.map(of))
  }

  /** Faults are over: a core of the daemons is well from now on, and the others never come back. */
  heal(): void {
    if (this.#healed) return
    this.#healed = true
    const { draws, tell, time } = this.#host
    const [first, ...others] = draws.shuffled('core', this.#all) as [Daemon, ...Daemon[]]
    const lost = others.filter(({ number, state }) => draws.chance(`daemon ${number} lost`, 0.5) && state !== 'done')
    for (const daemon of lost) {
      this.#dies(daemon)
      daemon.state = 'dead for ever'
      daemon.wakesMs = 0
    }
    for (const daemon of [first, ...others]) {
      this.#wake(daemon)
      if (daemon.state === 'up') this.#reloadSoon(daemon)
    }
    this.#operators.takeAllBack()
    if (this.#all.length > 1) tell({ ms: time.ms, healed: true, lost: lost.map(({ number }) => number) })
  }

  /** Redis forgot that the run is complete after everybody had gone home: somebody starts it again. */
  startAgain(): void {
    const daemon = this.#all.find(({ state }) => state === 'done') ?? (this.#all[0] as Daemon)
    this.#comeback(daemon)
  }

  /** Buries those who ended on their own, once everything that could run without time passing has run. */
  settle(): void {
    for (const daemon of this.#all) {
      const { instance } = daemon
      if (instance?.ended === undefined || !instance.isAlive) continue
      const open = instance.open()
      instance.die()
      this.#ended(daemon, instance.ended, open)
    }
  }

  /** Redis went back in time: what operators took back may hold again, until they look. */
  lostWrites(): void {
    this.#host.time.after(operatorsLookMs, () => this.#operators.takeAllBack())
  }

  /** One of those that listen to calls, if only to refuse them, drawn by `key`; undefined when nobody does. */
  listener(key: string): Instance | undefined {
    const up = this.#all.flatMap(({ instance }) => (instance?.listens === true ? [instance] : []))
    return up.length === 0 ? undefined : this.#host.draws.pick(`${key} to`, up)
  }

  /** Nothing is left to do for a workflow that has no end of its own: somebody stops everybody who serves it. */
  sendHome(): void {
    for (const daemon of this.#all) {
      const { instance } = daemon
      if (instance?.listens === true && !instance.isStopping) this.#stop(daemon)
    }
  }

  end(): void {
    for (const { instance } of this.#all) instance?.die()
  }

  // --- one life

  #begin(daemon: Daemon): void {
    if (daemon.state === 'dead for ever') return
    if (this.#host.isCompleted()) {
      daemon.state = 'done'
      return
    }
    const { settings, draws, time, tell, graphFor, files, calling, startEngine } = this.#host
    const { number } = daemon
    daemon.lives += 1
    daemon.sleptMs = Math.max(daemon.sleptMs, daemon.instance?.sleepsUntil() ?? 0)
    daemon.state = 'up'
    if (daemon.lives > 1 && draws.chance(`daemon ${number} elsewhere`, settings.elsewhere)) {
      daemon.boot = `machine-${number}.${daemon.lives}`
    }
    const { boot, lives } = daemon
    this.#news(daemon, 'begins')
    tell({ ms: time.ms, daemon: 'starts', number, life: lives, boot })
    const local = new LocalTime(time)
    daemon.local = local
    const wire = this.#wire(daemon, local, () => instance)
    const graph = graphFor(this.#victim(daemon, () => instance))
    const lifeHere = (identity: HolderIdentity): Instance | undefined =>
      identity.boot === boot ? this.#lives.get(lifeOf(identity)) : undefined
    const instance: Instance = new Instance({
      name: nameOf(daemon),
      pid: pidOf(daemon),
      boot,
      graph: edited(graph, this.#edit),
      wire,
      serving: settings.serving,
      pools: this.#pools(wire, local),
      files,
      calling,
      startEngine,
      isGone: identity => lifeHere(identity)?.isAlive === false,
      onGone: (identity, tell) => lifeHere(identity)?.onDeath(tell) ?? (() => undefined),
      onEvent: (event, teller) => {
        this.#readLog(daemon, event)
        this.#host.event(event, number, teller)
      },
      onInstance: news => this.#host.instance(news),
    })
    daemon.instance = instance
    this.#lives.set(lifeOf(instance.identity), instance)
    instance.start()
  }

  #wire(daemon: Daemon, local: LocalTime, instance: () => Instance): Wire {
    const { time, draws, server, book, settings, fault } = this.#host
    const { latencyMsMax, comebackMsMax } = settings
    return {
      time,
      local,
      draws,
      server,
      book,
      latencyMsMax,
      comebackMsMax,
      fault,
      dies: (moment, at) => {
        const kind = `crash-${moment}` as const
        if (book.take(kind, at) === undefined) return false
        fault(kind, at)
        this.#crash(daemon, instance())
        return true
      },
      strike: request => this.#strike(daemon, local, request),
      admits: request => request.op !== 'start-run' || this.#mayStart(daemon, instance()),
    }
  }

  #pools(wire: Wire, local: LocalTime): InstanceOptions['pools'] {
    const { files, graphFor, tell, forget, broken } = this.#host
    return { wire, local, files, graphFor, tell, forget, broken }
  }

  #victim(daemon: Daemon, instance: () => Instance): Victim {
    return { noted: mood => this.#host.book.note(mood), kill: () => this.#crash(daemon, instance()), spoil }
  }

  #crash(daemon: Daemon, instance: Instance): void {
    this.crashes += 1
    if (!instance.isAlive) return
    this.#dies(daemon)
    this.#comeback(daemon)
  }

  /** What a plan has in store for a daemon as it sends an operation. */
  #strike(daemon: Daemon, local: LocalTime, request: OperationName & { args: readonly string[] }): void {
    this.#host.sent({ ...request, pid: pidOf(daemon) })
    const { book, fault, time } = this.#host
    const hits = (kind: FaultKind): JsonObject | undefined => {
      const args = book.take(kind, request)
      if (args !== undefined) fault(kind, request)
      return args
    }
    const { instance } = daemon
    if (hits('stop') !== undefined) time.after(1, () => instance?.isAlive && this.#stop(daemon))
    for (const kind of operatorKinds) this.#operators.heed(kind, hits(kind))
    const reload = this.#host.settings.serving === 'daemon' ? hits('reload') : undefined
    if (reload !== undefined) {
      this.#edit = Number(reload.edit)
      this.#reloadSoon(daemon)
    }
    const jump = hits('clock-jump')
    if (jump !== undefined) local.jump(Number(jump.ms))
    const drift = hits('clock-drift')
    if (drift !== undefined) local.drift(Number(drift.percent) / 100)
    const pause = hits('pause')
    if (pause === undefined || this.#healed) return
    local.pause()
    this.#news(daemon, 'pauses')
    daemon.wakesMs = time.ms + Number(pause.ms)
    time.after(Number(pause.ms), () => daemon.local === local && this.#wake(daemon))
  }

  /** An operator sees that it does not serve what the file says: at once when it serves nothing, else without hurry. */
  #readLog(daemon: Daemon, event: EngineEvent): void {
    const error = event.type === 'workflow_failed' ? event.error : event
    const code = 'code' in error ? error.code : ''
    if (code === 'WORKFLOW_CHANGED') this.#reloadSoon(daemon)
    if (code === 'DEFINITION_CHANGED') this.#reloadLater(daemon)
    const isDaemons = this.#host.settings.serving === 'daemon'
    if (code === 'LOOP_FAILED' && isDaemons && 'loop' in event) this.#operators.mend(event.loop ?? '')
  }

  #reloadLater(daemon: Daemon): void {
    const { draws, time } = this.#host
    const { instance } = daemon
    time.after(draws.whole(`daemon ${daemon.number} reload later`, 1_000, 30_000), () => {
      if (instance === daemon.instance) this.#reloadSoon(daemon)
    })
  }

  /** An operator sees to it that the daemon serves what the file says. */
  #reloadSoon(daemon: Daemon): void {
    if (daemon.reloads === 'soon' || this.#host.settings.serving !== 'daemon') return
    const { draws, time, graphFor, tell, failed } = this.#host
    const { number } = daemon
    daemon.reloads = 'soon'
    time.after(draws.whole(`daemon ${number} reload`, 1, 400), () => {
      daemon.reloads = 'no'
      const { instance } = daemon
      if (instance?.isAlive !== true) return
      const edit = this.#edit
      const graph = graphFor(this.#victim(daemon, () => instance))
      const noteReport = (report: ReloadReport | undefined): void => {
        if (report === undefined) return
        const { status, error } = report
        tell({ ms: time.ms, daemon: 'reloads', number, edit, status, code: error?.code ?? null })
        const mayBeRefused = error === undefined || /^(RELOAD_FAILED|REDIS_)/.test(error.code)
        if (!mayBeRefused) failed(new Error(`an edit that changes nothing was refused: ${error.message}`))
        if (status === 'refused') this.#reloadSoon(daemon)
      }
      instance.reload(edited(graph, edit)).then(noteReport, failed)
    })
  }

  #wake(daemon: Daemon): void {
    const { local, number } = daemon
    if (local?.isPaused !== true) return
    local.wake()
    this.#news(daemon, 'wakes')
    daemon.wakesMs = 0
    this.#host.tell({ ms: this.#host.time.ms, daemon: 'wakes up', number })
  }

  #stop(daemon: Daemon): void {
    this.#news(daemon, 'is told to stop')
    daemon.instance?.stop()
  }

  #dies(daemon: Daemon): void {
    if (daemon.instance?.isAlive !== true) return
    daemon.instance.die()
    this.#host.forget(`${daemon.number}.${daemon.lives}`)
    this.#news(daemon, 'dies')
  }

  #news(daemon: Daemon, what: 'begins' | 'pauses' | 'wakes' | 'is told to stop' | 'dies'): void {
    this.#host.life({ ...whose(daemon), what })
  }

  /** The run may have been completed by another while this one was on its way to resume it. */
  #mayStart(daemon: Daemon, instance: Instance): boolean {
    if (!this.#host.isCompleted()) return true
    if (instance.isAlive) {
      this.#dies(daemon)
      daemon.state = 'done'
    }
    return false
  }

  #comeback(daemon: Daemon): void {
    const { time, draws, settings } = this.#host
    daemon.state = 'down'
    daemon.wakesMs = 0
    time.after(draws.whole(`daemon ${daemon.number} comeback`, 1, settings.comebackMsMax), () => this.#begin(daemon))
  }

  #ended(daemon: Daemon, { status, error }: RunEnd, open: readonly string[]): void {
    const { tell, time, failed } = this.#host
    tell({ ms: time.ms, daemon: status, number: daemon.number, code: error?.code ?? null })
    this.#host.life({ ...whose(daemon), what: 'ends', status, open })
    if (status === 'completed') daemon.state = 'done'
    else if (status === 'failed' && !error?.code.startsWith('REDIS_')) failed(error)
    else this.#comeback(daemon)
  }
}
