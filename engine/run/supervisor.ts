/**
 * Keeps the replicas of a run served: a keeper for each, grouped by loop, and here what they share: the timer that renews
 * their leases, the one that looks at them from outside, what is told to all of them, and which definition they serve. Loops share nothing else: one that fails,
 * hangs or is fenced leaves the others running.
 */
import { codeOf, EngineError, messageOf } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { inLeases, limits } from '../limits.ts'
import type { Pool } from '../node/node.ts'
import type { Pools, Ports } from '../ports.ts'
import { renewLeases } from '../store/run-store.ts'
import type { LoopWish, Wish } from '../store/wishes.ts'
import type { EventSink } from '../trace/events.ts'
import type { RecordOf } from '../trace/trace.ts'
import { LoopGroup } from './loop-group.ts'
import type { ExitCause } from './pool-protocol.ts'
import type { KeeperHost, ReplicaKeeper, SuperviseResult } from './replica-keeper.ts'

export type SupervisorOptions = {
  graph: FlowGraph
  run: { id: string; seed: string }
  ports: Ports
  /** Where loops run that ask for more than `async`; without any, all run here. */
  pools?: Pools | undefined
  /** Where all loops run, whatever they ask for. */
  pool?: Pool | undefined
  emit: EventSink
  recordOf?: RecordOf | undefined
  /** Somebody asked, through Redis, for the workflow to stop, or to be killed. */
  onStopWish: (wish: 'stop' | 'kill') => void
}

const waitingSaidEveryMs = 60_000

export class Supervisor {
  readonly #options: SupervisorOptions
  #graph: FlowGraph
  /** By loop. */
  readonly #groups = new Map<string, LoopGroup>()
  readonly #leaseMs: number
  readonly #killed = new AbortController()
  /** The run is complete: whoever waits need not. */
  readonly #completed = new AbortController()
  /** By loop: the last event by which somebody wanted it to go on. */
  readonly #tried = new Map<string, LoopWish>()
  readonly #saidWaiting = new Map<string, number>()
  readonly #done = new AbortController()
  #checking: Promise<void> | undefined
  #isDraining = false
  #settle: (end: { result: SuperviseResult } | { error: unknown }) => void = () => undefined
  #lastBusyMs: number
  #renewedMs: number

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#graph = options.graph
    this.#leaseMs = options.graph.workflow.settings.lease_seconds * 1000
    this.#lastBusyMs = options.ports.clock.monotonic()
    this.#renewedMs = this.#lastBusyMs
  }

  /** Serves every replica until its loop ended, or until told to stop. */
  async run(): Promise<SuperviseResult> {
    const renewing = this.#renewForEver()
    const settled = new Promise<{ result: SuperviseResult } | { error: unknown }>(resolve => {
      this.#settle = resolve
    })
    for (const loop of this.#graph.loops) this.#serve(loop)
    this.#noteEnd()
    try {
      const end = await settled
      if ('result' in end) return end.result
      this.kill(end.error)
      await Promise.allSettled(this.#all().map(group => group.end))
      throw end.error
    } finally {
      this.#done.abort()
      await Promise.all([renewing, this.#checking])
    }
  }

  /** Serves another definition: loops that stay are not touched, the others are let go of first. */
  adopt(graph: FlowGraph): void {
    this.#graph = graph
    const now = new Map(graph.loops.map(loop => [loop.id, loop]))
    for (const group of this.#all()) {
      const loop = now.get(group.loop.id)
      if (loop === undefined) this.#replace(group, () => this.#groups.delete(group.loop.id))
      // what follows one that retires was of the definition before
      else if (group.isRetiring || loop.hash !== group.loop.hash) this.#replace(group, () => this.#serve(loop))
    }
    for (const loop of graph.loops) if (!this.#groups.has(loop.id)) this.#serve(loop)
  }

  /** Lets go of these loops, and asks for them again: whoever is to have them next says when. */
  letGo(loops: readonly string[]): void {
    for (const loop of loops) {
      const group = this.#groups.get(loop)
      if (group === undefined || group.isRetiring || !this.isServed(loop)) continue
      this.#replace(group, () => this.#serve(group.loop))
    }
  }

  /** Does what somebody asked for through Redis: of the workflow, and of its loops; undefined where it is not known. */
  obey(workflow: Wish, wishOf: (loop: string) => LoopWish | undefined): void {
    if (workflow === 'stop' || workflow === 'kill') this.#options.onStopWish(workflow)
    for (const [loop, { control }] of this.#groups) {
      const wish = wishOf(loop)
      // one that drains must not be held up
      if (wish === undefined || control.draining.aborted) continue
      if (wish === 'yield') this.letGo([loop])
      else if (workflow === 'pause' || wish === 'pause') this.pause(loop)
      else if (this.#isNewTry(loop, wish) || this.isPaused(loop)) this.resume(loop)
    }
  }

  #isNewTry(loop: string, wish: LoopWish): boolean {
    if (!wish.startsWith('try:') || this.#tried.get(loop) === wish) return false
    this.#tried.set(loop, wish)
    return true
  }

  /** Somebody saw that the run is complete: whoever waits for a lease need not. */
  look(): void {
    for (const keeper of this.#keepers()) keeper.look()
  }

  pause(loop: string): void {
    this.#groups.get(loop)?.control.pause()
  }

  /** Also starts again what was given up after too many crashes. */
  resume(loop: string): void {
    this.#groups.get(loop)?.control.resume()
    for (const keeper of this.#of(loop)) keeper.tryAgain()
  }

  isPaused(loop: string): boolean {
    return this.#groups.get(loop)?.control.paused === true
  }

  drain(): void {
    this.#isDraining = true
    for (const { control } of this.#all()) control.drain()
  }

  /** Aborts running iterations; their claims are kept and given back uncharged. */
  abort(reason: unknown): void {
    this.#isDraining = true
    for (const { control } of this.#all()) control.abort(reason)
  }

  /** Ends at once, leaving leases and claims to be recovered. */
  kill(reason: unknown): void {
    this.#killed.abort(reason)
    for (const keeper of this.#keepers()) keeper.kill()
    this.abort(reason)
  }

  /** Milliseconds (monotonic clock) since when no replica here has had anything to do; undefined while one has. */
  idleSince(): number | undefined {
    return this.#keepers().some(keeper => keeper.isBusy) ? undefined : this.#lastBusyMs
  }

  unrenewedMs(): number {
    const isHeld = this.#keepers().some(keeper => keeper.serving !== undefined)
    return isHeld ? this.#options.ports.clock.monotonic() - this.#renewedMs : 0
  }

  isServed(loop: string): boolean {
    return this.#of(loop).some(keeper => keeper.serving !== undefined)
  }

  /** What is wrong with a loop, in words; `failed` when it is not started again on its own. */
  trouble(loop: string): { failed: boolean; why: string } | undefined {
    const troubled = this.#of(loop).filter(keeper => keeper.trouble !== undefined)
    const worst = troubled.find(keeper => keeper.isGivenUp) ?? troubled[0]
    return worst && { failed: worst.isGivenUp, why: worst.trouble as string }
  }

  // --- groups

  #all(): LoopGroup[] {
    return [...this.#groups.values()]
  }

  #keepers(): ReplicaKeeper[] {
    return this.#all().flatMap(group => group.keepers)
  }

  #of(loop: string): readonly ReplicaKeeper[] {
    return this.#groups.get(loop)?.keepers ?? []
  }

  #serve(loop: FlowLoop): void {
    const group = new LoopGroup(this.#graph, loop, this.#host(loop))
    this.#groups.set(loop.id, group)
    if (group.keepers.some(({ pool }) => pool !== 'async')) this.#checking ??= this.#checkForEver()
    group.end.then(
      () => this.#noteEnd(),
      error => this.#settle({ error }),
    )
  }

  /** Retires a group; what follows it comes when it has let go of everything. */
  #replace(group: LoopGroup, follow: () => void): void {
    const isRetiring = group.isRetiring
    group.follow = follow
    if (isRetiring) return
    const { clock } = this.#options.ports
    const drainMs = this.#graph.workflow.settings.drain_timeout_seconds * 1000
    const retired = group.retire(drainMs, (ms, signal) => clock.sleep(ms, signal))
    retired.then(
      () => {
        if (!this.#isDraining) group.follow()
        else group.isRetiring = false
        this.#noteEnd()
      },
      () => undefined,
    )
  }

  #noteEnd(): void {
    const results = this.#all().map(group => group.results)
    if (results.includes(undefined)) return
    const all = results.flatMap(each => each ?? [])
    const isComplete = all.every(result => result === 'completed')
    if (all.includes('superseded')) this.#settle({ result: 'superseded' })
    else this.#settle({ result: isComplete ? 'completed' : 'stopped' })
  }

  #host(loop: FlowLoop): Omit<KeeperHost, 'graph' | 'loop' | 'control'> {
    const { run, ports, pools, recordOf, emit } = this.#options
    return {
      run,
      ports,
      record: recordOf?.(this.#graph),
      emit,
      pools,
      pool: pools === undefined ? 'async' : (this.#options.pool ?? loop.pool),
      killed: this.#killed.signal,
      completed: this.#completed.signal,
      onBusy: () => {
        this.#lastBusyMs = ports.clock.monotonic()
      },
      onEnded: status => this.#noteEnded(status),
      onSuperseded: () =>
        this.abort(new EngineError('ITERATION_ABORTED', 'The loop stops: its run was replaced by another')),
      onRetry: error => this.#sayWaiting(error),
      warn: (code, message, cause) => this.#warn({ loop: loop.id, code, message }, cause),
    }
  }

  /** Until all replicas here know that the run is complete, Redis may still lose that, and they must be served again. */
  #noteEnded(run: 'running' | 'completed'): boolean {
    if (run === 'completed' && this.#keepers().every(keeper => keeper.isEnded)) this.#completed.abort()
    return this.#completed.signal.aborted
  }

  // --- leases, health

  async #renewForEver(): Promise<void> {
    const { clock } = this.#options.ports
    const done = this.#done.signal
    const everyMs = inLeases(limits.leaseRenewMs, this.#graph.workflow.settings.lease_seconds)
    for (;;) {
      await clock.sleep(untilNext(everyMs, clock.monotonic()), done).catch(() => undefined)
      if (done.aborted || this.#killed.signal.aborted) return
      for (const { serving } of this.#keepers()) if (serving?.where === 'here') serving.loop.check()
      await this.#renew().catch(error =>
        this.#warn({ code: 'LEASE_NOT_RENEWED', message: `Cannot renew leases: ${messageOf(error)}` }),
      )
    }
  }

  async #renew(): Promise<void> {
    const { ports, graph } = this.#options
    const asked = this.#keepers().filter(keeper => keeper.serving !== undefined || keeper.isGivenUp)
    const leases = asked.map(({ name, serving }) => ({ name, holder: serving?.holder ?? '-' }))
    const answer = await renewLeases(ports.redis, graph.workflow.id, this.#leaseMs, leases)
    this.#renewedMs = ports.clock.monotonic()
    for (const [i, { serving }] of asked.entries()) if (answer.held[i] === false) serving?.loop.fence()
    const wishes = new Map(asked.map(({ loop }, i) => [loop.id, answer.loopWishes[i] ?? '']))
    this.obey(answer.workflowWish, loop => wishes.get(loop))
    if (answer.runStatus === 'completed') this.look()
  }

  /** Workers are looked at from outside. Whoever was itself held up until now has seen nothing of them meanwhile. */
  async #checkForEver(): Promise<void> {
    const { clock } = this.#options.ports
    const done = this.#done.signal
    for (;;) {
      const dueMs = clock.monotonic() + limits.workerCheckMs
      await clock.sleep(limits.workerCheckMs, done).catch(() => undefined)
      if (done.aborted || this.#killed.signal.aborted) return
      if (clock.monotonic() - dueMs > limits.workerCheckMs) continue
      for (const { serving } of this.#keepers()) if (serving?.where === 'worker') serving.loop.check()
    }
  }

  // --- small things

  /** Says that Redis makes the loops wait, and why; at most once a minute for each reason. */
  #sayWaiting(error: unknown): void {
    const code = codeOf(error) ?? 'REDIS_FAILED'
    const now = this.#options.ports.clock.monotonic()
    if (now - (this.#saidWaiting.get(code) ?? Number.NEGATIVE_INFINITY) < waitingSaidEveryMs) return
    this.#saidWaiting.set(code, now)
    this.#warn({ code, message: `Waiting for Redis, nothing is lost: ${messageOf(error)}` })
  }

  #warn(said: { loop?: string; code: string; message: string }, cause?: ExitCause): void {
    const { graph, run, ports, emit } = this.#options
    const stamp = { time: ports.clock.now(), workflow_id: graph.workflow.id, run: run.id }
    emit({ type: 'warning', ...stamp, ...said, ...(cause === undefined ? {} : { cause }) })
  }
}

/**
 * Milliseconds until the next of the moments that all workflows of a process share: one that serves hundreds of them wakes
 * up once for all, and what they send travels together. A timer that fired a little early does not count as the next.
 */
function untilNext(everyMs: number, nowMs: number): number {
  const leftMs = everyMs - (nowMs % everyMs)
  return Math.ceil(leftMs > everyMs / 100 ? leftMs : leftMs + everyMs)
}
