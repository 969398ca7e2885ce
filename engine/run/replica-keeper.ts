/**
 * Keeps one replica served: takes its lease, has it served here or in a worker, hands over and takes over, and starts it
 * again when it crashed, later each time, until it crashed too often without getting anywhere.
 *
 * V1 a replica is served by at most one runner of this process. V2 a lease is taken with a fresh holder every time, so
 * that nothing an earlier runner still has under way can count. V3 the lease stays with the keeper: a worker that dies
 * leaves it here, and who takes it next says who was to blame.
 */
import { codeOf, messageOf } from '../errors.ts'
import type { FlowLoop } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import type { NodeOutput, Pool } from '../node/node.ts'
import type { HolderIdentity, Pools } from '../ports.ts'
import { keysOf, replicaName } from '../store/keys.ts'
import { ReplicaStore } from '../store/replica-store.ts'
import { retryTransient } from '../store/retry.ts'
import { type AcquireAnswer, acquireReplica, runOfEnd } from '../store/run-store.ts'
import type { EngineEvent } from '../trace/events.ts'
import { abortedByAny } from './aborted-by-any.ts'
import { Backoff } from './backoff.ts'
import { describeExit, type ExitCause } from './pool-protocol.ts'
import { RemoteLoop } from './remote-loop.ts'
import { type Served, type ServedLoop, type ServeOptions, serveHere } from './served-loop.ts'
import { noReason } from './within.ts'

/** How supervising ended. `superseded`: the keys belong to another run or definition now. */
export type SuperviseResult = 'completed' | 'stopped' | 'superseded'

export type KeeperHost = Omit<ServeOptions, 'replica' | 'lease' | 'lastDeath' | 'onActivity'> & {
  pools: Pools | undefined
  pool: Pool
  killed: AbortSignal
  /** Aborted when the whole run is complete. */
  completed: AbortSignal
  /** Told before it may become idle. */
  onBusy: () => void
  /** The loop has ended; answers whether the run is over for everybody here. */
  onEnded: (run: 'running' | 'completed') => boolean
  /** Then nothing of the other replicas counts either: they must not wait for one that is no longer served. */
  onSuperseded: () => void
  warn: (code: string, message: string, cause?: ExitCause) => void
}

type NotAcquired = Exclude<AcquireAnswer, { kind: 'acquired' | 'changed' }>
type Lease = AcquireAnswer & { kind: 'acquired'; holder: string }
/** The holder that this keeper was, and what is to be said of it to the next. */
type Previous = { gone: string; blame: 'blame' | 'spare' }

export class ReplicaKeeper {
  readonly loop: FlowLoop
  readonly name: string
  readonly pool: Pool
  readonly #host: KeeperHost
  readonly #number: number
  readonly #backoff: Backoff
  readonly #leaseMs: number
  #lastDeath = ''
  #tryAgain: AbortController | undefined
  #looking: AbortController | undefined
  #saidOutdated = false
  /** What serves it now. */
  serving: { loop: ServedLoop; holder: string; where: 'here' | 'worker' } | undefined
  isBusy = false
  isEnded = false
  /** What went wrong last, until it gets somewhere again. */
  trouble: string | undefined

  constructor(host: KeeperHost, number: number) {
    const { settings } = host.graph.workflow
    this.#host = host
    this.#number = number
    this.loop = host.loop
    this.name = replicaName(host.loop.id, number)
    this.pool = host.pool
    this.#backoff = new Backoff(settings.max_deliveries)
    this.#leaseMs = settings.lease_seconds * 1000
  }

  /** Crashed too often, and is not started again on its own. */
  get isGivenUp(): boolean {
    return this.#tryAgain !== undefined
  }

  /** Somebody says that it shall be started again. */
  tryAgain(): void {
    this.#tryAgain?.abort()
  }

  kill(): void {
    this.serving?.loop.kill()
  }

  /** Something is different in Redis: whoever waits for the lease asks again. */
  look(): void {
    this.#looking?.abort()
  }

  async keep(): Promise<SuperviseResult> {
    const { control, completed } = this.#host
    let previous: Previous = { gone: '', blame: 'spare' }
    let looks = 0
    while (!control.draining.aborted && !completed.aborted) {
      const answer = await this.#acquire(previous).catch(error => this.#unlessDraining(error))
      if (answer === undefined) break
      if (completed.aborted) {
        // the others here have gone home: to serve this one alone, because Redis lost the end, would help nobody
        if (answer.kind === 'acquired') previous = { gone: answer.holder, blame: 'spare' }
        break
      }
      this.isEnded = answer.kind === 'ended' || (answer.kind === 'outdated' && answer.run === 'completed')
      if (answer.kind === 'changed') {
        this.#host.onSuperseded()
        return 'superseded'
      }
      if (answer.kind === 'acquired') {
        looks = 0
        const end = await this.#serve({ ...answer, kind: 'acquired' })
        if (end.result === 'drained' || this.#host.killed.aborted) return 'stopped'
        if (end.result === 'lost') previous = await this.#afterLoss(answer.holder, end)
      } else {
        if (this.isEnded && this.#host.onEnded(answer.kind === 'ended' ? answer.run : 'completed')) return 'completed'
        await this.#wait(answer, this.#lookAgainMs(looks++))
      }
    }
    if (previous.gone !== '') await this.#handBack(previous).catch(() => undefined)
    return completed.aborted ? 'completed' : 'stopped'
  }

  // --- waiting for the lease

  /** Whoever cannot serve a replica looks again, soon at first: others hold on to it for long, or for ever. */
  #lookAgainMs(looks: number): number {
    return Math.min((this.#leaseMs / 10) * 2 ** looks, this.#leaseMs / 2)
  }

  async #wait(answer: NotAcquired, lookAgainMs: number): Promise<void> {
    if (answer.kind === 'outdated') this.#sayOutdated()
    if (answer.kind === 'ended' || answer.kind === 'outdated') await this.#untilFree(lookAgainMs)
    else await this.#untilFree(answer.leftMs + 1, answer.kind === 'held' ? answer.identity : undefined)
  }

  /** Until somebody lets go of the replica, the time is over, or its holder is no more. */
  async #untilFree(ms: number, holder?: HolderIdentity): Promise<void> {
    const { host } = this.#host.ports
    const { control, completed } = this.#host
    const looking = new AbortController()
    const { signal } = looking
    this.#looking = looking
    if (holder !== undefined) {
      const seen = (): void => looking.abort(noReason)
      // it is watched no longer than this waits
      host.gone(holder, signal).then(seen, () => undefined)
    }
    await this.#waitForFree(ms, [control.draining, completed, signal])
    this.#looking = undefined
    looking.abort(noReason)
  }

  #waitForFree(ms: number, signals: readonly AbortSignal[]): Promise<void> {
    const { ports, graph } = this.#host
    return abortedByAny(signals, async signal => {
      try {
        await ports.redis.wait(keysOf(graph.workflow.id).free(this.name), ms, signal)
      } catch {
        // whoever can't be woken looks again when the time is over
        await ports.clock.sleep(ms, signal).catch(() => undefined)
      }
    })
  }

  #sayOutdated(): void {
    if (this.#saidOutdated) return
    this.#saidOutdated = true
    const what = `Loop "${this.loop.id}" is defined otherwise by now, so another process has to serve it`
    this.#host.warn('DEFINITION_CHANGED', `${what}; reload this one to have it take part again`)
  }

  // --- serving

  async #serve(lease: Lease): Promise<Served> {
    const { pools, control } = this.#host
    if (lease.paused) control.pause()
    const options: ServeOptions = {
      ...this.#host,
      replica: this.#number,
      lease,
      lastDeath: this.#lastDeath,
      emit: (event, output) => this.#see(event, output),
      onActivity: activity => {
        this.#note(activity)
        if (activity === 'waiting') this.#getsOn()
      },
    }
    const isRemote = this.pool !== 'async' && pools !== undefined
    const loop = isRemote
      ? new RemoteLoop({ ...options, pools, pool: this.pool as 'thread' | 'process' })
      : serveHere(options)
    this.serving = { loop, holder: lease.holder, where: isRemote ? 'worker' : 'here' }
    try {
      return await loop.end
    } finally {
      this.serving = undefined
      this.#note('waiting')
    }
  }

  #see(event: EngineEvent, output?: NodeOutput): void {
    if (event.type === 'iteration_completed' || event.type === 'iteration_failed') this.#getsOn()
    this.#host.emit(event, output)
  }

  /** It has processed something, or found that there is nothing to process. */
  #getsOn(): void {
    this.#backoff.progressed()
    this.trouble = undefined
  }

  #note(activity: 'busy' | 'waiting'): void {
    if (this.isBusy) this.#host.onBusy()
    this.isBusy = activity === 'busy'
  }

  // --- crashes

  /** Says why the replica is no longer served, and waits before it is served again. */
  async #afterLoss(holder: string, lost: Served & { result: 'lost' }): Promise<Previous> {
    const code = codeOf(lost.error)
    const message = messageOf(lost.error)
    if (code === 'FENCED' || code === 'DIVERGED') {
      this.#host.warn(code, message)
      return { gone: holder, blame: 'spare' }
    }
    if (this.#host.control.draining.aborted) return { gone: holder, blame: 'spare' }
    this.#lastDeath = lost.cause === undefined ? '' : describeExit(lost.cause)
    this.trouble = message
    const pauseMs = this.#backoff.crashed()
    const isTold = code === 'LOOP_STALLED' || code === 'WORKER_REFUSED'
    this.#host.warn(
      isTold ? code : 'LOOP_CRASHED',
      `Loop "${this.loop.id}" crashed and starts again: ${message}`,
      lost.cause,
    )
    await (pauseMs === 'given up' ? this.#giveUp() : this.#sleep(pauseMs, [this.#host.control.draining]))
    return { gone: holder, blame: lost.blame }
  }

  async #giveUp(): Promise<void> {
    const { control, warn } = this.#host
    const again = new AbortController()
    this.#tryAgain = again
    const what = `Loop "${this.loop.id}" is given up: it crashed too often without processing anything in between`
    warn('LOOP_FAILED', `${what}; the others go on; resume it when its cause is mended`)
    while (!again.signal.aborted && !control.draining.aborted && !(await this.#hasEnded())) {
      await this.#sleep(this.#leaseMs, [again.signal, control.draining])
    }
    this.#tryAgain = undefined
    this.#backoff.progressed()
  }

  /** Another daemon may have brought the loop to its end. */
  async #hasEnded(): Promise<boolean> {
    const { ports, graph, run } = this.#host
    const ended = await runOfEnd(ports.redis, graph.workflow.id, this.loop.id).catch(() => undefined)
    return ended === run.id
  }

  // --- the lease

  /** Takes the lease if it is free, ran out, was ours, or belongs to a process that is certainly gone. */
  async #acquire(previous: Previous): Promise<AcquireAnswer & { holder: string }> {
    const { ports } = this.#host
    const holder = ports.random.nonce('holder')
    const answer = await this.#retry(() => this.#tryAcquire(holder, previous))
    if (answer.kind !== 'held' || !ports.host.isGone(answer.identity)) return { ...answer, holder }
    const dead: Previous = { gone: answer.holder, blame: 'blame' }
    return { ...(await this.#retry(() => this.#tryAcquire(holder, dead))), holder }
  }

  #tryAcquire(holder: string, previous: Previous): Promise<AcquireAnswer> {
    const { graph, run, ports } = this.#host
    return acquireReplica(ports.redis, {
      workflow: graph.workflow.id,
      loop: this.loop.id,
      replica: this.#number,
      holder,
      token: `${holder}:acquire:${previous.gone}`,
      leaseMs: this.#leaseMs,
      identity: ports.host.identity(),
      ...previous,
      hash: this.loop.hash,
      run,
    })
  }

  /** What was lost just before it was to stop still has its lease; nobody shall have to wait for that to run out. */
  async #handBack(previous: Previous): Promise<void> {
    const { graph, ports, killed, onRetry } = this.#host
    if (killed.aborted) return
    const holder = ports.random.nonce('holder')
    // even when the drain took too long: what is served here is released then, too
    const answer = await this.#retry(() => this.#tryAcquire(holder, previous), killed)
    if (answer.kind !== 'acquired') return
    const id = { workflow: graph.workflow.id, loop: this.loop.id, replica: this.#number }
    const store = new ReplicaStore(id, { ...answer, holder }, { ...ports, aborted: killed, killed, onRetry })
    await store.release('return')
  }

  #unlessDraining(error: unknown): undefined {
    if (this.#host.control.draining.aborted) return undefined
    throw error
  }

  /** Also while it drains: Redis may have given the lease although nobody was told, and nobody would give it back. */
  #retry<T>(call: () => Promise<T>, signal = this.#host.control.aborted): Promise<T> {
    const { ports, onRetry } = this.#host
    return retryTransient({ clock: ports.clock, signal, pauseMsMax: limits.wakeWaitMs, onRetry }, call)
  }

  /** Sleeps until the time is over or one of the signals aborts. */
  async #sleep(ms: number, signals: readonly AbortSignal[]): Promise<void> {
    await abortedByAny(signals, signal => this.#host.ports.clock.sleep(ms, signal).catch(() => undefined))
  }
}
