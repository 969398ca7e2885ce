/**
 * One simulation: a plan, carried out. The world holds the server, the outside and the daemons; it steps time,
 * ends the faults, and watches for the end: completed, a broken invariant, or nobody moving any more.
 *
 * W1 everything that happens comes from a timer of the world. W2 between two timers all promises run to their end.
 * W3 the first thing that went wrong is what the run reports.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import { keysOf } from '../engine/store/keys.ts'
import type { EngineEvent } from '../engine/trace/events.ts'
import { disarranged } from './arrivals.ts'
import { Callers, type CallNews } from './callers.ts'
import { isEndless } from './calls.ts'
import { SimTime, settled, turned } from './clock.ts'
import { Daemons } from './daemons.ts'
import { areAskedFor, type Expected, expectedEffects, keptTell } from './expected.ts'
import { FaultBook, type FaultKind, type OperationName } from './faults.ts'
import { Headway } from './headway.ts'
import type { StartEngine } from './instance.ts'
import { Invariants } from './invariants/index.ts'
import type { LifeNews } from './life.ts'
import { type Misbehaviour, misbehaviourOf } from './misbehave.ts'
import { MemoryFiles, saidOutside } from './outside.ts'
import { isQuiet } from './places.ts'
import type { Plan, PlanEvent } from './plan.ts'
import { quiet } from './quiet.ts'
import { Draws } from './random.ts'
import { type Applied, SimServer } from './server.ts'
import { completionLost, Situations } from './situations.ts'
import type { Stats } from './stats.ts'
import { summarise, TraceLog, traceEvent, traceMove } from './trace.ts'
import { setTripwires, type Tripwires } from './tripwires.ts'

export type { Stats } from './stats.ts'
export type FailureKind = 'invariant' | 'stuck' | 'escape' | 'nondeterminism' | 'crash' | 'inconclusive'
export type Failure = {
  kind: FailureKind
  invariant: string
  expected: string
  seen: string /** milliseconds */
  at: number
}

export type RunResult = {
  failure: Failure | undefined
  stats: Stats
  hash: string
  lines: string[]
  /** All that faults can hit, in the order in which it came. */
  operations: readonly OperationName[]
}

export type WorldOptions = {
  plan: Plan
  graph: FlowGraph
  expected: Expected | undefined
  startEngine: StartEngine
  /** Whether all lines of the trace are kept, or only the last ones. */
  trace: 'recent' | 'all'
  stepsMax?: number
  /** Without progress for so long the world is stuck: two minutes unless told otherwise. */
  standstillMs?: number
}

/** Without progress for so long, and with nobody sleeping on purpose, the world is stuck. */
const defaultStandstillMs = 120_000
/** Faults stop then at the latest, and what is there must come to its end. */
const faultStepsMax = 150_000
const defaultStepsMax = 400_000
/** How long the world goes on after the end, to see that nothing more happens. */
const afterEndMs = 15_000
const escapeCheckEvery = 256
/** How often the host has its turn: rejections that nobody handles are told then. */
const turnEvery = 16

/** Simulates one plan. Only one simulation at a time may run in a process: it replaces globals while it does. */
export async function simulate(given: WorldOptions): Promise<RunResult> {
  await quiet()
  const { applied, files } = disarranged(given.plan, given.graph.hash)
  const options = applied.length === 0 ? given : withArrived(given, files)
  const { graph, plan, expected } = options
  const misbehaviour = misbehaviourOf(plan, graph, expected?.iterationsMax)
  return await new World({ ...options, misbehaviour, applied }).run()
}

/** Other inputs, and so another outcome. */
function withArrived(options: WorldOptions, files: Plan['files']): WorldOptions {
  const { plan, graph, expected } = options
  const again = expected && { ...expectedEffects(graph, files, expected.iterationsMax), ...keptTell(expected) }
  return { ...options, plan: { ...plan, files }, expected: again }
}

type Prepared = WorldOptions & {
  misbehaviour: Misbehaviour | undefined
  /** Faults that have come about already. */
  applied: readonly PlanEvent[]
}

class World {
  readonly #options: Prepared
  readonly #time = new SimTime()
  readonly #draws: Draws
  readonly #book: FaultBook
  readonly #invariants: Invariants
  readonly #situations: Situations
  readonly #trace: TraceLog
  readonly #server: SimServer
  readonly #files: MemoryFiles
  readonly #stats: Stats
  readonly #daemons: Daemons
  readonly #callers: Callers
  #progressMs = 0
  readonly #headway = new Headway()
  #endedMs: number | undefined
  /** When the server last lost writes, and when it last said that the run is complete. */
  #lostMs = -1
  #hasRequeued = false
  #completedMs = 0
  #failure: Failure | undefined

  constructor(options: Prepared) {
    const { plan, graph } = options
    this.#options = options
    this.#draws = new Draws(plan.seed)
    this.#book = new FaultBook(plan.events)
    this.#invariants = new Invariants({ graph })
    this.#situations = new Situations(graph)
    this.#trace = new TraceLog(options.trace)
    this.#files = new MemoryFiles(plan.files)
    const { reached } = this.#situations
    this.#stats = { simulatedMs: 0, iterations: 0, commits: 0, crashes: 0, steps: 0, faults: {}, reached }
    this.#server = new SimServer({
      time: this.#time,
      book: this.#book,
      fsyncMs: plan.settings.fsyncMs,
      lagMs: plan.settings.lagMs,
      canLose: plan.events.some(event => event.kind === 'restart-loses' || event.kind === 'failover'),
      hooks: {
        applied: applied => this.#applied(applied),
        save: () => this.#save(),
        fault: (kind, at) => this.#fault(kind, at),
      },
    })
    this.#daemons = this.#makeDaemons()
    this.#callers = new Callers({
      ...{ time: this.#time, draws: this.#draws, calls: plan.calls ?? [], latencyMsMax: plan.settings.latencyMsMax },
      listener: key => this.#daemons.listener(key),
      news: news => this.#call(news),
      tell: line => this.#trace.add(line),
    })
    for (const { kind, args } of options.applied) {
      this.#book.note(kind)
      this.#fault(kind, args as OperationName)
    }
  }

  #makeDaemons(): Daemons {
    const { plan, graph, misbehaviour, startEngine } = this.#options
    return new Daemons({
      time: this.#time,
      draws: this.#draws,
      server: this.#server,
      book: this.#book,
      settings: plan.settings,
      graph,
      graphFor: victim => misbehaviour?.graphFor(victim) ?? graph,
      files: this.#files,
      calling: {
        ...{ workflow: plan.workflow, classes: graph, files: new MemoryFiles(plan.files) },
        onDevWrite: (op, keys) => this.#call({ ms: this.#time.ms, what: 'develops', op, keys }),
      },
      startEngine,
      isCompleted: () => this.#isCompleted(),
      fault: (kind, at) => this.#fault(kind, at),
      tell: line => this.#trace.add(line),
      life: news => this.#life(news),
      instance: news => this.#invariants.instance(news),
      sent: sent => this.#invariants.sent(sent),
      forget: teller => this.#invariants.forget(teller),
      event: (event, daemon, teller) => this.#event(event, daemon, teller),
      failed: error => this.#crashed(error),
      broken: (expected, seen) => this.#fail('invariant', expected, seen, 'supervision'),
    })
  }

  async run(): Promise<RunResult> {
    const touched = (what: string, at: string): void =>
      this.#fail('escape', 'the engine reaches the host only through its ports', `${what} was used in ${at}`)
    const tripwires = setTripwires(this.#time, new Draws(`${this.#draws.seed}|globals`), touched)
    const rejected = (error: unknown): void => this.#crashed(error)
    process.on('unhandledRejection', rejected)
    try {
      this.#daemons.start()
      this.#callers.start()
      await this.#steps(tripwires)
      await turned()
    } finally {
      this.#daemons.end()
      process.off('unhandledRejection', rejected)
      tripwires.restore()
    }
    this.#stats.simulatedMs = this.#time.ms
    this.#stats.crashes = this.#daemons.crashes
    this.#stats.faults = Object.fromEntries(this.#book.applied)
    if (this.#files.echoed !== undefined) this.#stats.echoed = this.#files.echoed
    if (this.#failure !== undefined) this.#trace.add({ ms: this.#failure.at, failure: this.#failure.invariant })
    // of a run that held, only its whole trace is of interest
    const lines = this.#failure !== undefined || this.#options.trace === 'all' ? this.#trace.lines() : []
    const { operations } = this.#server
    return { failure: this.#failure, stats: this.#stats, hash: this.#trace.digest(), lines, operations }
  }

  async #steps(tripwires: Tripwires): Promise<void> {
    for (let step = 0; ; step++) {
      await (step % turnEvery === 0 ? turned() : settled())
      this.#daemons.settle()
      this.#stats.steps = step
      if (step % escapeCheckEvery === 0) this.#checkEscapes(tripwires)
      if (this.#daemons.areAllDead) tripwires.dropTimers()
      if (this.#failure !== undefined) return
      if (this.#isOver(step) || !this.#time.next()) return await this.#finish()
    }
  }

  /** Whether the run has come to its end, good or bad. */
  #isOver(step: number): boolean {
    const { ms } = this.#time
    if (this.#endedMs !== undefined) return ms - this.#endedMs >= afterEndMs
    if (step > (this.#options.stepsMax ?? defaultStepsMax)) {
      this.#fail(
        'inconclusive',
        'the run ends within its budget of steps',
        `${step} steps in ${ms / 1000} s were not enough`,
      )
    }
    if (ms > this.#options.plan.settings.faultsUntilMs || step > faultStepsMax) {
      this.#book.close()
      this.#daemons.heal()
    }
    // after the healing: it may leave nobody who still has something to do, and no timer that would lead here again
    if (isEndless(this.#options.graph) && this.#isCompleted()) this.#daemons.sendHome()
    if (this.#daemons.atRest && this.#callers.areOver) this.#rest()
    const { standstillMs = defaultStandstillMs } = this.#options
    const excusedMs = Math.max(this.#daemons.sleepsUntil(), this.#book.lastingUntilMs, this.#callers.waitUntilMs)
    if (ms - Math.max(this.#progressMs, excusedMs) > standstillMs) this.#stuck()
    return this.#failure !== undefined
  }

  /** All daemons have gone home: for good, unless Redis has lost meanwhile that the run is complete. */
  #rest(): void {
    if (this.#lostMs <= this.#completedMs || this.#isCompleted()) {
      // those who live on meet nothing more
      this.#book.close()
      this.#endedMs = this.#time.ms
      return
    }
    if (!isEndless(this.#options.graph)) this.#situations.reached.add(completionLost)
    this.#daemons.startAgain()
  }

  #stuck(): void {
    const waiting = this.#server.memory.db.dump().flatMap(({ key, type, value }) => {
      return type === 'list' && /\}:[qc]:/.test(key) ? [`${key.slice(key.indexOf('}:') + 2)}: ${value.length}`] : []
    })
    const there = waiting.length === 0 ? 'no items left' : `items in ${waiting.join(', ')}`
    const calls = this.#callers.areOver ? '' : `; not answered: ${this.#callers.open().slice(0, 10).join(', ')}`
    const seen = `no progress since ${this.#progressMs / 1000} s; ${there}${calls}`
    this.#fail('stuck', 'everything accepted ends', seen)
  }

  /** Everything is at rest: the last look. */
  async #finish(): Promise<void> {
    if (this.#endedMs === undefined) this.#stuck()
    if (this.#failure !== undefined) return
    const [files, hasLost, hasRequeued] = [this.#files, this.#lostMs >= 0, this.#hasRequeued]
    const { db } = this.#server.memory
    await this.#invariants.end({ db, files, hasLost, hasRequeued, expected: this.#expected() })
    this.#noteViolation()
  }

  /** What went wrong outside and in nodes is part of what a run must leave behind. */
  #expected(): Expected | undefined {
    const { expected, graph, misbehaviour, plan } = this.#options
    const [mishaps, moods] = [this.#files.mishaps.told(), misbehaviour?.told()]
    if (expected === undefined || (mishaps === undefined && moods === undefined)) return expected
    const files = mishaps === undefined ? plan.files : { ...plan.files, [saidOutside.mishaps]: mishaps }
    const again = expectedEffects(moods?.graph ?? graph, files, expected.iterationsMax)
    const isSure = async (): Promise<boolean> => {
      const named = Object.keys(JSON.parse(mishaps ?? '{}') as JsonObject)
      return (named.length === 0 || (await areAskedFor(named, expected))) && (await moods?.isSure()) !== false
    }
    return { ...again, ...keptTell(expected), isSure }
  }

  /** What has no end of its own is done when nobody asks for anything any more, and nothing waits. */
  #isCompleted(): boolean {
    const { db } = this.#server.memory
    const { graph } = this.#options
    if (isEndless(graph)) return this.#callers.areOver && isQuiet(graph, db, this.#hasRequeued)
    return db.hget(keysOf(graph.workflow.id).meta, 'status') === 'completed'
  }

  // --- what happens

  #applied(applied: Applied): void {
    const { op, loop, n, outcome, ms } = applied
    const answer = outcome.ok ? summarise(outcome.reply) : 'error'
    if (outcome.changed) this.#trace.add({ ms, op, loop, n, answer, moves: applied.moves.map(traceMove) })
    if (op === 'commit' && /^(ok|full)\n[1-9]/.test(answer)) {
      this.#stats.commits += 1
      this.#stats.iterations += Number(answer.split('\n')[1])
      this.#progressMs = ms
    }
    if (op === 'commit-request' && outcome.changed) this.#stats.commits += 1
    if (op === 'complete' && (answer === 'completed' || answer === 'workflow')) this.#progressMs = ms
    if (answer === 'workflow') this.#completedMs = ms
    if (op === 'requeue' && outcome.changed) this.#hasRequeued = true
    if (op === 'delay' && outcome.changed) this.#progressMs = ms
    this.#situations.applied(applied)
    this.#invariants.applied(applied)
    this.#noteViolation()
  }

  #event(event: EngineEvent, daemon: number, teller: string): void {
    this.#trace.add({ ms: this.#time.ms, daemon, event: traceEvent(event) })
    // the death of a worker is an accident, anything else a bug
    const isBug = event.type === 'warning' && event.code === 'LOOP_CRASHED' && event.cause === undefined
    if (isBug) this.#crashed(new Error(event.message))
    if (this.#headway.see(event)) this.#progressMs = this.#time.ms
    this.#situations.event(event, daemon)
    this.#invariants.event(event, teller)
    this.#noteViolation()
  }

  #call(news: CallNews): void {
    if (news.what !== 'develops') this.#progressMs = this.#time.ms
    this.#situations.call(news)
    this.#invariants.call(news)
    this.#noteViolation()
  }

  #life(news: LifeNews): void {
    this.#situations.life(news)
    this.#invariants.life(news, this.#server.memory.db)
    this.#noteViolation()
  }

  /** What goes back in time with the server. */
  #save(): () => void {
    const restores = [this.#invariants.save(), this.#situations.save()]
    return () => {
      for (const restore of restores) restore()
    }
  }

  #fault(kind: FaultKind, { op, loop, n }: OperationName): void {
    this.#situations.fault(kind, { op, loop, n })
    this.#invariants.disturbed(kind, { op, loop, n })
    this.#trace.add({ ms: this.#time.ms, fault: kind, op, loop, n })
    if (kind === 'restart-loses' || kind === 'failover') this.#noteLoss()
  }

  #noteLoss(): void {
    this.#lostMs = this.#time.ms
    this.#daemons.lostWrites()
  }

  // --- what went wrong

  #noteViolation(): void {
    const { violation } = this.#invariants
    if (violation !== undefined) this.#fail('invariant', violation.expected, violation.seen, violation.invariant)
  }

  #crashed(error: unknown): void {
    const { name = 'Error', message = String(error), stack } = (error ?? {}) as Partial<Error>
    const where =
      stack
        ?.split('\n')
        .find(line => line.includes('/engine/'))
        ?.trim() ?? ''
    this.#fail('crash', 'the engine does not crash', `${name}: ${message} ${where}`.trim())
  }

  #checkEscapes(tripwires: Tripwires): void {
    const escaped = tripwires.escaped()
    if (escaped.length > 0) this.#fail('escape', 'nothing reaches real I/O', `there is ${escaped.join(', ')} under way`)
  }

  #fail(kind: FailureKind, expected: string, seen: string, invariant: string = kind): void {
    this.#failure ??= { kind, invariant, expected, seen, at: this.#time.ms }
  }
}
