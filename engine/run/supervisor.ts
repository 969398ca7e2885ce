/**
 * Keeps the replicas of a run served: one keeper for each, and here what they share: the timer that renews their leases,
 * the one that looks at them from outside, and what is told to all of them. Loops share nothing else: one that fails,
 * hangs or is fenced leaves the others running.
 */
import { codeOf, EngineError, messageOf } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import type { Pool } from '../node/node.ts'
import type { Pools, Ports } from '../ports.ts'
import { renewLeases } from '../store/run-store.ts'
import type { Wish } from '../store/wishes.ts'
import type { EngineEvent } from '../trace/events.ts'
import type { TraceSink } from '../trace/trace.ts'
import { LoopControl } from './loop-control.ts'
import type { ExitCause } from './pool-protocol.ts'
import { ReplicaKeeper, type SuperviseResult } from './replica-keeper.ts'

export type SupervisorOptions = {
  graph: FlowGraph
  run: { id: string; seed: string }
  ports: Ports
  /** Where loops run that ask for more than `async`; without any, all run here. */
  pools?: Pools | undefined
  /** Where all loops run, whatever they ask for. */
  pool?: Pool | undefined
  emit: (event: EngineEvent) => void
  record?: TraceSink | undefined
  /** Somebody asked, through Redis, for the workflow to stop, or to be killed. */
  onStopWish: (wish: 'stop' | 'kill') => void
}

const waitingSaidEveryMs = 60_000

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #controls: ReadonlyMap<string, LoopControl>
  readonly #keepers: readonly ReplicaKeeper[]
  readonly #leaseMs: number
  readonly #killed = new AbortController()
  /** The run is complete: whoever waits need not. */
  readonly #completed = new AbortController()
  readonly #saidWaiting = new Map<string, number>()
  #lastBusyMs: number

  constructor(options: SupervisorOptions) {
    this.#options = options
    const { loops, workflow } = options.graph
    this.#controls = new Map(loops.map(loop => [loop.id, new LoopControl()]))
    this.#leaseMs = workflow.settings.lease_seconds * 1000
    this.#lastBusyMs = options.ports.clock.monotonic()
    this.#keepers = loops.flatMap(loop =>
      Array.from({ length: loop.replicas }, (_, number) => new ReplicaKeeper(this.#host(loop), number)),
    )
  }

  #host(loop: FlowLoop): ConstructorParameters<typeof ReplicaKeeper>[0] {
    const { graph, run, ports, pools, record, emit } = this.#options
    return {
      graph,
      loop,
      run,
      ports,
      record,
      emit,
      pools,
      pool: pools === undefined ? 'async' : (this.#options.pool ?? loop.pool),
      control: this.#controls.get(loop.id) as LoopControl,
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

  /** Serves every replica until its loop ended, or until told to stop. */
  async run(): Promise<SuperviseResult> {
    const done = new AbortController()
    const beside = [this.#renewForEver(done.signal), this.#checkForEver(done.signal)]
    try {
      const keeping = this.#keepers.map(keeper => keeper.keep())
      const results = await Promise.all(keeping).catch(async error => {
        this.kill(error)
        await Promise.allSettled(keeping)
        throw error
      })
      if (results.includes('superseded')) return 'superseded'
      return results.every(result => result === 'completed') ? 'completed' : 'stopped'
    } finally {
      done.abort()
      await Promise.all(beside)
    }
  }

  /** Does what somebody asked for through Redis: of the workflow, and of these loops. */
  obey(workflow: Wish, loops: ReadonlyMap<string, Wish>): void {
    if (workflow === 'stop' || workflow === 'kill') this.#options.onStopWish(workflow)
    for (const [loop, wish] of loops) {
      // one that drains must not be held up
      if (this.#controls.get(loop)?.draining.aborted !== false) continue
      if (workflow === 'pause' || wish === 'pause') this.pause(loop)
      else if (this.isPaused(loop)) this.resume(loop)
    }
  }

  pause(loop: string): void {
    this.#controls.get(loop)?.pause()
  }

  /** Also starts again what was given up after too many crashes. */
  resume(loop: string): void {
    this.#controls.get(loop)?.resume()
    for (const keeper of this.#of(loop)) keeper.tryAgain()
  }

  isPaused(loop: string): boolean {
    return this.#controls.get(loop)?.paused === true
  }

  drain(): void {
    for (const control of this.#controls.values()) control.drain()
  }

  /** Aborts running iterations; their claims are kept and given back uncharged. */
  abort(reason: unknown): void {
    for (const control of this.#controls.values()) control.abort(reason)
  }

  /** Ends at once, leaving leases and claims to be recovered. */
  kill(reason: unknown): void {
    this.#killed.abort(reason)
    for (const keeper of this.#keepers) keeper.kill()
    this.abort(reason)
  }

  /** Milliseconds (monotonic clock) since when no replica here has had anything to do; undefined while one has. */
  idleSince(): number | undefined {
    return this.#keepers.some(keeper => keeper.isBusy) ? undefined : this.#lastBusyMs
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

  #of(loop: string): readonly ReplicaKeeper[] {
    return this.#keepers.filter(keeper => keeper.loop.id === loop)
  }

  /** Until all replicas here know that the run is complete, Redis may still lose that, and they must be served again. */
  #noteEnded(run: 'running' | 'completed'): boolean {
    if (run === 'completed' && this.#keepers.every(keeper => keeper.isEnded)) this.#completed.abort()
    return this.#completed.signal.aborted
  }

  // --- leases, health

  async #renewForEver(done: AbortSignal): Promise<void> {
    const { clock } = this.#options.ports
    const everyMs = this.#leaseMs * (limits.leaseRenewMs / limits.leaseMs)
    for (;;) {
      await clock.sleep(everyMs, done).catch(() => undefined)
      if (done.aborted || this.#killed.signal.aborted) return
      for (const { serving } of this.#keepers) if (serving?.where === 'here') serving.loop.check()
      await this.#renew().catch(error =>
        this.#warn({ code: 'LEASE_NOT_RENEWED', message: `Cannot renew leases: ${messageOf(error)}` }),
      )
    }
  }

  async #renew(): Promise<void> {
    const { ports, graph } = this.#options
    const asked = this.#keepers.filter(keeper => keeper.serving !== undefined || keeper.isGivenUp)
    const leases = asked.map(({ name, serving }) => ({ name, holder: serving?.holder ?? '-' }))
    const answer = await renewLeases(ports.redis, graph.workflow.id, this.#leaseMs, leases)
    for (const [i, { serving }] of asked.entries()) if (answer.held[i] === false) serving?.loop.fence()
    const wishes = new Map(asked.map(({ loop }, i) => [loop.id, answer.loopWishes[i] ?? '']))
    this.obey(answer.workflowWish, wishes)
  }

  /** Workers are looked at from outside. Whoever was itself held up until now has seen nothing of them meanwhile. */
  async #checkForEver(done: AbortSignal): Promise<void> {
    const { clock } = this.#options.ports
    if (this.#keepers.every(keeper => keeper.pool === 'async')) return
    for (;;) {
      const dueMs = clock.monotonic() + limits.workerCheckMs
      await clock.sleep(limits.workerCheckMs, done).catch(() => undefined)
      if (done.aborted || this.#killed.signal.aborted) return
      if (clock.monotonic() - dueMs > limits.workerCheckMs) continue
      for (const { serving } of this.#keepers) if (serving?.where === 'worker') serving.loop.check()
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
