/**
 * One replica of a loop, as its holder sees it: claims, commits, delays, completion, each one call of a script.
 *
 * R1 calls go one after another: each expects the seq that the one before left. What one wishes for is asked when its turn
 *    comes: behind a slow call it may wait past a stop.
 * R2 a call whose reply is lost is sent again with the same token until Redis answers, or the loop is aborted (`release`:
 *    until the engine is killed).
 * R3 `fenced` and `diverged` are thrown once and for all: a store that was told so answers nothing else afterwards.
 */
import { assert, EngineError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Clock, Redis, Script } from '../ports.ts'
import { type ClaimedEntry, decodeClaim } from './entry.ts'
import { replicaName, stateField, workflowPrefix } from './keys.ts'
import { retryTransient } from './retry.ts'
import { claim } from './scripts/claim.ts'
import { commit } from './scripts/commit.ts'
import { complete } from './scripts/complete.ts'
import { delay } from './scripts/delay.ts'
import { release, wake } from './scripts/leases.ts'
import { listArg } from './scripts/prelude.ts'

export type ReplicaId = { workflow: string; loop: string; replica: number }

/** What one iteration changes, all of it or nothing. `undefined` deletes. Values and entries are already encoded. */
export type IterationCommit = {
  /** The key of the claim it processed; undefined when the producer made the item itself. */
  claimKey: string | undefined
  pushes: readonly { queue: string; lengthMax: number; entry: string }[]
  /** By node id. */
  state: ReadonlyMap<string, string>
  runtime: ReadonlyMap<string, string | undefined>
  delays: readonly string[]
  /** `state`: no iteration, only what a producer notes about its schedule; it is not counted. */
  outcome: 'ok' | 'failed' | 'state'
  deadLetter?: { id: string; record: string }
}

export type CommitAnswer = {
  applied: number
  /** The queue that had no room for the next iteration. */
  full: string | undefined
  /** Dead letters that came back to this loop and are to be served first. */
  requeued: number
  /** Dead letters dropped because there were more than `settings.dead_letters.max`. */
  dropped: number
  runtimeVersion: string
  /** What was claimed in the same step. */
  entries: ClaimedEntry[]
}

/** What to claim: at most so many, those requeued first, then the queues in turn from `first` on. */
export type ClaimWish = {
  most: number
  first: number
  sources: readonly { queue: string; lengthMax: number }[]
  /** Whether other replicas may sleep while there is more. */
  chain: 'chain' | 'alone'
}

export type ClaimAnswer = { entries: ClaimedEntry[]; runtimeVersion: string }

/** What must be empty or ended before a loop can end; the same for all replicas of a cycle. */
export type CompletionTest = {
  run: string
  cycle: readonly string[]
  queues: readonly string[]
  replicas: readonly string[]
  upstream: readonly string[]
  wake: readonly string[]
}

export type ReplicaHost = {
  redis: Redis
  clock: Clock
  /** No call but `release` is repeated after this. */
  aborted: AbortSignal
  /** No call at all is. */
  killed: AbortSignal
  /** Told each time Redis refuses what it will accept later. */
  onRetry: (error: unknown) => void
}

export class ReplicaStore {
  readonly id: ReplicaId
  readonly holder: string
  readonly #host: ReplicaHost
  #seq: number
  #calls = 0
  #last: Promise<unknown> = Promise.resolve()
  #stopped: EngineError | undefined

  constructor(id: ReplicaId, lease: { holder: string; seq: number }, host: ReplicaHost) {
    this.id = id
    this.holder = lease.holder
    this.#seq = lease.seq
    this.#host = host
  }

  async claim(wish: () => ClaimWish): Promise<ClaimAnswer> {
    const answer = await this.#call(claim, () => encodeWish(wish()))
    if (typeof answer === 'string') {
      const [word, runtimeVersion = '0'] = answer.split('\n')
      assert(word === 'empty', () => `A claim answers with a list or "empty", not "${answer}"`)
      return { entries: [], runtimeVersion }
    }
    const [head, ...claims] = answer as string[]
    return { entries: claims.map(decodeClaim), runtimeVersion: (head as string).split('\n')[2] ?? '0' }
  }

  /** Commits iterations in order, as many as have room, and claims what is wished for if all had. */
  async commit(
    iterations: readonly IterationCommit[],
    deadLettersMax: number,
    wish: () => ClaimWish,
  ): Promise<CommitAnswer> {
    const answer = await this.#call(commit, () => {
      const args = [
        String(deadLettersMax),
        ...encodeTargets(iterations),
        ...encodeWish(wish()),
        String(iterations.length),
      ]
      for (const each of iterations) encodeIteration(args, each, this.id.loop)
      return args
    })
    assert(Array.isArray(answer), () => `A commit answers with a list, not "${answer}"`)
    const [head, ...claims] = answer as string[]
    const [word, applied, requeued, dropped, runtimeVersion, , full] = (head as string).split('\n')
    assert(word === 'ok' || word === 'full', () => `A commit answers ok or full, not "${word}"`)
    return {
      applied: Number(applied),
      full: full === '' ? undefined : full,
      requeued: Number(requeued),
      dropped: Number(dropped),
      runtimeVersion: runtimeVersion as string,
      entries: claims.map(decodeClaim),
    }
  }

  /** Stores a wake-up time (epoch milliseconds) unless the field has one already; the stored one. */
  async delayUntil(field: string, wakeAt: number): Promise<number> {
    const [, stored] = (await this.#line(delay, [field, String(wakeAt)])).split('\n')
    return Number(stored)
  }

  /** Ends the loop if nothing can come any more. `workflow`: it was the last loop of all. */
  async complete(test: CompletionTest): Promise<'completed' | 'workflow' | 'ended' | 'waiting'> {
    const lists = [test.cycle, test.queues, test.replicas, test.upstream, test.wake]
    const args = [test.run, String(this.#host.clock.now()), ...lists.flatMap(listArg)]
    return (await this.#line(complete, args)) as 'completed' | 'workflow' | 'ended' | 'waiting'
  }

  /** Gives the lease back; claims return to their queues, or are kept for whoever holds the replica next. */
  async release(claims: 'return' | 'keep'): Promise<void> {
    await this.#line(release, [claims])
  }

  /** Somebody else has the replica: a wake-up that came here since was for them. Whoever is not told looks after a while. */
  async passOn(): Promise<void> {
    const { workflow, loop, replica } = this.id
    const keys = [`bell:${loop}`, `room:${replicaName(loop, replica)}`]
    await this.#host.redis.call(wake, [workflowPrefix(workflow)], listArg(keys)).catch(() => undefined)
  }

  /** The supervisor learned that another holder has the replica: every later call is refused without asking Redis. */
  fence(): void {
    this.#stopped ??= this.#refusal('fenced')
  }

  async #line(script: Script, args: readonly string[]): Promise<string> {
    const answer = await this.#call(script, () => args)
    assert(typeof answer === 'string', () => `Script "${script.name}" answers with a line`)
    return answer
  }

  /** `args` is called once, when it is this call's turn: what is sent again is the same. */
  #call(script: Script, args: () => readonly string[]): Promise<unknown> {
    const turn = this.#last.then(() => this.#send(script, args()))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #send(script: Script, args: readonly string[]): Promise<unknown> {
    if (this.#stopped !== undefined) throw this.#stopped
    const token = `${this.holder}:${++this.#calls}`
    const { workflow, loop, replica } = this.id
    const fixed = [loop, String(replica), this.holder, token, String(this.#seq)]
    const { redis, clock, aborted, killed, onRetry } = this.#host
    const signal = script === release ? killed : aborted
    const reply = await retryTransient({ clock, signal, pauseMsMax: limits.wakeWaitMs, onRetry }, () =>
      redis.call(script, [workflowPrefix(workflow)], [...fixed, ...args]),
    )
    return this.#advance(reply)
  }

  #advance(reply: unknown): unknown {
    const line = Array.isArray(reply) ? (reply[0] as string) : (reply as string)
    if (line === 'fenced' || line === 'diverged' || line === 'lost') {
      this.#stopped = this.#refusal(line)
      throw this.#stopped
    }
    // these answers changed nothing, so the seq stays where it is
    const idle = line.startsWith('empty\n') || line === 'waiting' || line === 'ended' || line.startsWith('full\n0\n')
    if (!idle) this.#seq += 1
    if (!line.startsWith('again\n')) return reply
    const before = line.slice('again\n'.length)
    return Array.isArray(reply) ? [before, ...reply.slice(1)] : before
  }

  #refusal(word: string): EngineError {
    const name = replicaName(this.id.loop, this.id.replica)
    if (word === 'fenced') {
      return new EngineError(
        'FENCED',
        `Cannot go on with replica "${name}" of workflow "${this.id.workflow}": another holder has taken it over`,
      )
    }
    return new EngineError(
      'DIVERGED',
      `Cannot go on with replica "${name}" of workflow "${this.id.workflow}": Redis is not where this replica left it (${word}); it starts again from what Redis says`,
    )
  }
}

function encodeWish(wish: ClaimWish): string[] {
  const pairs = wish.sources.flatMap(source => [source.queue, String(source.lengthMax)])
  return [String(wish.most), String(wish.first), wish.chain, ...listArg(pairs)]
}

function encodeTargets(iterations: readonly IterationCommit[]): string[] {
  const targets = new Map<string, number>()
  for (const { pushes } of iterations) for (const { queue, lengthMax } of pushes) targets.set(queue, lengthMax)
  return listArg([...targets].flatMap(([queue, lengthMax]) => [queue, String(lengthMax)]))
}

/** Appends to `args`: this runs for every iteration, and a group has many. */
function encodeIteration(args: string[], iteration: IterationCommit, loop: string): void {
  const { pushes, state, runtime, delays, deadLetter } = iteration
  args.push(iteration.claimKey ?? '', iteration.outcome, String(pushes.length * 2))
  for (const { queue, entry } of pushes) args.push(queue, entry)
  const writes = state.size + runtime.size + delays.length + (deadLetter === undefined ? 0 : 1)
  args.push(String(writes * 3))
  for (const [node, text] of state) args.push('state', stateField(loop, node), text)
  for (const [key, text] of runtime) args.push('runtime', key, text ?? '')
  for (const field of delays) args.push('delay', field, '')
  if (deadLetter !== undefined) args.push('letter', deadLetter.id, deadLetter.record)
}
