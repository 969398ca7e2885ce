/**
 * Keeps the replicas of a run served: takes their leases, renews them, hands over and takes over, starts a crashed loop
 * again. Loops share nothing here but the timer that renews: one that fails, hangs or is fenced leaves the others running.
 *
 * V1 a replica is served by at most one runner of this process. V2 a lease is taken with a fresh holder every time, so
 * that nothing an earlier runner still has under way can count.
 */
import { codeOf, EngineError, messageOf } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import type { Ports } from '../ports.ts'
import { replicaName, requeueQueue } from '../store/keys.ts'
import { type CompletionTest, ReplicaStore } from '../store/replica-store.ts'
import { retryTransient } from '../store/retry.ts'
import { type AcquireAnswer, acquireReplica, renewLeases } from '../store/run-store.ts'
import type { Wish } from '../store/wishes.ts'
import type { EngineEvent } from '../trace/events.ts'
import type { TraceSink } from '../trace/trace.ts'
import { FlowRunner, type ServeResult } from './flow-runner.ts'
import { LoopControl } from './loop-control.ts'
import { noReason } from './within.ts'

export type SupervisorOptions = {
  graph: FlowGraph
  run: { id: string; seed: string }
  ports: Ports
  emit: (event: EngineEvent) => void
  record?: TraceSink | undefined
  /** Somebody asked, through Redis, for the workflow to stop, or to be killed. */
  onStopWish: (wish: 'stop' | 'kill') => void
}

/** How supervising ended. `superseded`: the keys belong to another run or definition now. */
export type SuperviseResult = 'completed' | 'stopped' | 'superseded'

const waitingSaidEveryMs = 60_000

type Replica = {
  loop: FlowLoop
  number: number
  name: string
  store: ReplicaStore | undefined
  busy: boolean
  ended: boolean
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #controls: ReadonlyMap<string, LoopControl>
  readonly #replicas: readonly Replica[]
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
    this.#replicas = loops.flatMap(loop =>
      Array.from({ length: loop.replicas }, (_, number) => {
        return { loop, number, name: replicaName(loop.id, number), store: undefined, busy: false, ended: false }
      }),
    )
    this.#leaseMs = workflow.settings.lease_seconds * 1000
    this.#lastBusyMs = options.ports.clock.monotonic()
  }

  /** Serves every replica until its loop ended, or until told to stop. */
  async run(): Promise<SuperviseResult> {
    const done = new AbortController()
    const renewing = this.#renewForEver(done.signal)
    try {
      const keeping = this.#replicas.map(replica => this.#keep(replica))
      const results = await Promise.all(keeping).catch(async error => {
        this.kill(error)
        await Promise.allSettled(keeping)
        throw error
      })
      if (results.includes('superseded')) return 'superseded'
      return results.every(result => result === 'completed') ? 'completed' : 'stopped'
    } finally {
      done.abort()
      await renewing
    }
  }

  control(loop: string): LoopControl | undefined {
    return this.#controls.get(loop)
  }

  /** Does what somebody asked for through Redis: of the workflow, and of these loops. */
  obey(workflow: Wish, loops: ReadonlyMap<string, Wish>): void {
    if (workflow === 'stop' || workflow === 'kill') this.#options.onStopWish(workflow)
    for (const [loop, wish] of loops) {
      const control = this.#controls.get(loop)
      // one that drains must not be held up
      if (control === undefined || control.draining.aborted) continue
      if (workflow === 'pause' || wish === 'pause') control.pause()
      else control.resume()
    }
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
    this.abort(reason)
  }

  /** Milliseconds (monotonic clock) since when no replica here has had anything to do; undefined while one has. */
  idleSince(): number | undefined {
    return this.#replicas.some(replica => replica.busy) ? undefined : this.#lastBusyMs
  }

  isServed(loop: string): boolean {
    return this.#replicas.some(replica => replica.loop.id === loop && replica.store !== undefined)
  }

  // --- one replica

  async #keep(replica: Replica): Promise<SuperviseResult> {
    const control = this.#controls.get(replica.loop.id) as LoopControl
    let own = { holder: '', blame: 'spare' as 'blame' | 'spare' }
    let looks = 0
    for (let crashes = 0; !control.draining.aborted; ) {
      const answer = await this.#acquire(replica, own).catch(error => this.#unlessDraining(control, error))
      if (answer === undefined) break
      replica.ended = answer.kind === 'ended'
      if (answer.kind === 'ended') {
        if (this.#allEnded(answer.run)) return 'completed'
        await this.#sleep(this.#lookAgainMs(looks++), [control.draining, this.#completed.signal])
        continue
      }
      if (answer.kind === 'changed') return this.#superseded()
      if (answer.kind === 'held') {
        await this.#sleep(Math.min(answer.leftMs + 1, this.#lookAgainMs(looks++)), [control.draining])
        continue
      }
      looks = 0
      const end = await this.#serve(replica, answer)
      if (end.result === 'drained') return 'stopped'
      if (end.result !== 'lost') continue
      own = { holder: answer.holder, blame: end.blame }
      crashes = end.blame === 'blame' ? crashes + 1 : 0
      if (crashes > 0)
        await this.#sleep(Math.min(1000 * 2 ** (crashes - 1), limits.producerPauseMsMax), [control.draining])
    }
    return 'stopped'
  }

  /** Whoever cannot serve a replica looks again, soon at first: others hold on to it for long, or for ever. */
  #lookAgainMs(looks: number): number {
    return Math.min((this.#leaseMs / 10) * 2 ** looks, this.#leaseMs / 2)
  }

  /** Then nothing of the other replicas counts either: they must not wait for one that is no longer served. */
  #superseded(): 'superseded' {
    this.abort(new EngineError('ITERATION_ABORTED', 'The loop stops: its run was replaced by another'))
    return 'superseded'
  }

  /** Until all replicas here know that the run is complete, Redis may still lose that, and they must be served again. */
  #allEnded(run: 'running' | 'completed'): boolean {
    if (run === 'completed' && this.#replicas.every(replica => replica.ended)) this.#completed.abort()
    return this.#completed.signal.aborted
  }

  #unlessDraining(control: LoopControl, error: unknown): undefined {
    if (control.draining.aborted) return undefined
    throw error
  }

  /** Takes the lease if it is free, ran out, was ours, or belongs to a process that is certainly gone. */
  async #acquire(
    replica: Replica,
    own: { holder: string; blame: 'blame' | 'spare' },
  ): Promise<AcquireAnswer & { holder: string }> {
    const { random } = this.#options.ports
    const holder = random.nonce('holder')
    const answer = await this.#tryAcquire(replica, holder, { gone: own.holder, blame: own.blame })
    if (answer.kind !== 'held' || !this.#options.ports.host.isGone(answer.identity)) return { ...answer, holder }
    return { ...(await this.#tryAcquire(replica, holder, { gone: answer.holder, blame: 'blame' })), holder }
  }

  #tryAcquire(
    replica: Replica,
    holder: string,
    previous: { gone: string; blame: 'blame' | 'spare' },
  ): Promise<AcquireAnswer> {
    const { graph, run, ports } = this.#options
    const request = {
      workflow: graph.workflow.id,
      loop: replica.loop.id,
      replica: replica.number,
      holder,
      token: `${holder}:acquire:${previous.gone}`,
      leaseMs: this.#leaseMs,
      identity: ports.host.identity(),
      ...previous,
      hash: graph.hash,
      run: run.id,
    }
    return this.#retry(replica.loop.id, () => acquireReplica(ports.redis, request))
  }

  async #serve(
    replica: Replica,
    lease: AcquireAnswer & { kind: 'acquired'; holder: string },
  ): Promise<{ result: ServeResult } | { result: 'lost'; blame: 'blame' | 'spare' }> {
    const { graph, ports } = this.#options
    const { loop, number } = replica
    const id = { workflow: graph.workflow.id, loop: loop.id, replica: number }
    const control = this.#controls.get(loop.id) as LoopControl
    if (lease.paused) control.pause()
    replica.store = new ReplicaStore(id, lease, {
      ...ports,
      aborted: control.aborted,
      killed: this.#killed.signal,
      onRetry: error => this.#sayWaiting(error),
    })
    const runner = new FlowRunner(
      {
        ...this.#options,
        loop,
        replica: number,
        control,
        completion: completionTest(graph, loop, this.#options.run.id),
        onActivity: activity => this.#note(replica, activity),
      },
      { store: replica.store, iterations: lease.iterations },
    )
    try {
      return { result: await runner.serve() }
    } catch (error) {
      if (this.#killed.signal.aborted) return { result: 'drained' }
      return { result: 'lost', blame: this.#explain(loop.id, error) }
    } finally {
      replica.store = undefined
      this.#note(replica, 'waiting')
    }
  }

  /** Says why a replica is no longer served; whether its claim may be to blame. */
  #explain(loop: string, error: unknown): 'blame' | 'spare' {
    const code = codeOf(error)
    if (code === 'FENCED' || code === 'DIVERGED') {
      this.#warn(loop, code, messageOf(error))
      return 'spare'
    }
    this.#warn(loop, 'LOOP_CRASHED', `Loop "${loop}" crashed and starts again: ${messageOf(error)}`)
    return 'blame'
  }

  // --- leases

  async #renewForEver(done: AbortSignal): Promise<void> {
    const { clock } = this.#options.ports
    const everyMs = this.#leaseMs * (limits.leaseRenewMs / limits.leaseMs)
    for (;;) {
      await clock.sleep(everyMs, done).catch(() => undefined)
      if (done.aborted || this.#killed.signal.aborted) return
      await this.#renew().catch(error =>
        this.#warn(undefined, 'LEASE_NOT_RENEWED', `Cannot renew leases: ${messageOf(error)}`),
      )
    }
  }

  async #renew(): Promise<void> {
    const { ports, graph } = this.#options
    const held = this.#replicas.flatMap(({ name, loop, store }) => (store === undefined ? [] : [{ name, loop, store }]))
    const leases = held.map(({ name, store }) => ({ name, holder: store.holder }))
    const answer = await renewLeases(ports.redis, graph.workflow.id, this.#leaseMs, leases)
    for (const [i, { store }] of held.entries()) if (answer.held[i] === false) store.fence()
    const wishes = new Map(held.map(({ loop }, i) => [loop.id, answer.loopWishes[i] ?? '']))
    this.obey(answer.workflowWish, wishes)
  }

  // --- small things

  /** Says that Redis makes the loops wait, and why; at most once a minute for each reason. */
  #sayWaiting(error: unknown): void {
    const code = codeOf(error) ?? 'REDIS_FAILED'
    const now = this.#options.ports.clock.monotonic()
    if (now - (this.#saidWaiting.get(code) ?? Number.NEGATIVE_INFINITY) < waitingSaidEveryMs) return
    this.#saidWaiting.set(code, now)
    this.#warn(undefined, code, `Waiting for Redis, nothing is lost: ${messageOf(error)}`)
  }

  #note(replica: Replica, activity: 'busy' | 'waiting'): void {
    if (replica.busy) this.#lastBusyMs = this.#options.ports.clock.monotonic()
    replica.busy = activity === 'busy'
  }

  #retry<T>(loop: string, call: () => Promise<T>): Promise<T> {
    const control = this.#controls.get(loop) as LoopControl
    const onRetry = (error: unknown) => this.#sayWaiting(error)
    const { clock } = this.#options.ports
    return retryTransient({ clock, signal: control.draining, pauseMsMax: limits.wakeWaitMs, onRetry }, call)
  }

  /** Sleeps until the time is over or one of the signals aborts. */
  async #sleep(ms: number, signals: readonly AbortSignal[]): Promise<void> {
    const waking = new AbortController()
    const wake = () => waking.abort(noReason)
    for (const signal of signals) signal.addEventListener('abort', wake)
    if (signals.some(signal => signal.aborted)) wake()
    await this.#options.ports.clock.sleep(ms, waking.signal).catch(() => undefined)
    for (const signal of signals) signal.removeEventListener('abort', wake)
  }

  #warn(loop: string | undefined, code: string, message: string): void {
    const { graph, run, ports, emit } = this.#options
    const where = loop === undefined ? {} : { loop }
    emit({
      type: 'warning',
      time: ports.clock.now(),
      workflow_id: graph.workflow.id,
      run: run.id,
      ...where,
      code,
      message,
    })
  }
}

/** What must be empty and ended before `loop`, with its cycle, can end. */
function completionTest(graph: FlowGraph, loop: FlowLoop, run: string): CompletionTest {
  const cycle = graph.loops.filter(other => loop.cycle.includes(other.id))
  const unique = (names: readonly string[]) => [...new Set(names)]
  return {
    run,
    loopCount: graph.loops.length,
    cycle: cycle.map(member => member.id),
    queues: unique(cycle.flatMap(member => [...member.sources, requeueQueue(member.id)])),
    replicas: cycle.flatMap(member => Array.from({ length: member.replicas }, (_, n) => replicaName(member.id, n))),
    upstream: unique(cycle.flatMap(member => member.upstream)),
    wake: unique(cycle.flatMap(member => [member.id, ...member.downstream])),
  }
}
