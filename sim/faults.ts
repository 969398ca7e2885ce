/**
 * The kinds of things that go wrong, and the book of those that a plan has scheduled. A fault names what it hits stably:
 * an operation, its loop, and the how-manieth one it is; one whose target never comes is never applied.
 */
import type { JsonObject } from '../engine/json.ts'
import type { PlanEvent } from './plan.ts'

/** What each kind does, for people. */
export const faultKinds = {
  'crash-before': 'the daemon dies before it sends an operation',
  'crash-applied': 'the daemon dies when its operation is applied and the reply not yet there',
  'crash-replied': 'the daemon dies when the reply has come, before anything follows from it',
  'worker-before': 'the worker of a loop dies before it sends an operation',
  'worker-applied': 'the worker of a loop dies when its operation is applied and the reply not yet there',
  'worker-replied': 'the worker of a loop dies when the reply has come, before anything follows from it',
  'worker-oom': 'the worker of a loop runs out of memory when the reply has come',
  'worker-hang': 'the worker of a loop stands still, for a while or for ever',
  'worker-fails': 'the worker of a loop dies whenever it begins, for a while',
  'worker-version': 'the worker of a loop is of another version',
  'lost-before': 'the connection drops before an operation is sent',
  'reply-lost': 'the connection drops after an operation is applied: the client sends it again',
  refused: 'the client gives up on an operation that was never applied',
  'refused-applied': 'the client gives up on an operation that was applied',
  latency: 'an operation takes long',
  restart: 'the server restarts with all its data',
  'restart-loses': 'the server restarts without the writes since its last fsync',
  failover: 'a replica that lags takes the place of the server, read-only at first',
  loading: 'the server is loading its data for a while',
  readonly: 'the server is a read-only replica for a while',
  oom: 'the server has no memory left for a while',
  stop: 'an operator stops the daemon, and starts it again later',
  reload: 'an operator changes how loops are defined, not what they do, and reloads the daemon',
  wish: 'an operator stops, kills or pauses the workflow or a loop through Redis, and takes it back later',
  requeue: 'an operator has the oldest item that failed tried again',
  pause: 'the daemon stands still for a while, and does not know that it did',
  'clock-jump': 'the wall clock of the daemon jumps',
  'clock-drift': 'the wall clock of the daemon runs too fast or too slow',
  'http-error': 'a service cannot be reached, for one request or for a while',
  'http-timeout': 'a service does not answer, for one request or for a while',
  'http-status': 'a service answers 503, to one request or for a while',
  'http-answer-lost': 'a service does what it was asked for, and its answer is lost',
  'http-duplicate': 'a request reaches its service twice',
  'disk-full': 'the disk is full: files are not written, once or for a while',
  'arrival-duplicate': 'an item from outside comes twice',
  'arrival-reordered': 'an item from outside comes before the one that was sent before it',
  'node-throws': 'nodes throw for some items',
  'node-hangs': 'nodes never end for some items',
  'node-slow': 'nodes take long for some items',
  'node-garbage': 'nodes return no JSON, or something else that is no answer, for some items',
  'node-kills': 'nodes take their process down for some items',
} as const

export type FaultKind = keyof typeof faultKinds
export const allFaultKinds = Object.keys(faultKinds) as FaultKind[]

/** How long an operation may take by a fault: the last is longer than a lease. */
export const latencySpikesMs = [30, 200, 1_500, 11_000] as const

export function isFaultKind(text: string): text is FaultKind {
  return Object.hasOwn(faultKinds, text)
}

/** One operation of the simulated server, as faults address it. */
export type OperationName = { op: string; loop: string; n: number }

/** Faults of a plan by what they hit; counts what was really applied. */
export class FaultBook {
  /** By operation and loop, then by how-manieth. */
  readonly #byTarget = new Map<string, Map<string, Map<number, PlanEvent[]>>>()
  readonly applied = new Map<FaultKind, number>()
  /** By kind and loop: until when it goes on, in milliseconds since the beginning. */
  readonly #lasting = new Map<string, number>()
  #left = 0

  constructor(events: readonly PlanEvent[]) {
    for (const event of events) {
      const { op, loop, n } = event.args
      const loops = ensure(this.#byTarget, String(op), () => new Map<string, Map<number, PlanEvent[]>>())
      const hits = ensure(loops, String(loop), () => new Map<number, PlanEvent[]>())
      ensure(hits, Number(n), () => []).push(event)
      this.#left += 1
    }
  }

  /** The arguments of a fault of this kind that hits this operation now, once. */
  take(kind: FaultKind, { op, loop, n }: OperationName): JsonObject | undefined {
    if (this.#left === 0) return undefined
    const events = this.#byTarget.get(op)?.get(loop)?.get(n)
    const at = events?.findIndex(each => each.kind === kind) ?? -1
    const [event] = at < 0 ? [] : (events as PlanEvent[]).splice(at, 1)
    if (event === undefined) return undefined
    this.#left -= 1
    this.note(kind)
    return event.args
  }

  /** A fault that was taken goes on until then. */
  last(kind: FaultKind, loop: string, untilMs: number): void {
    this.#lasting.set(`${kind} ${loop}`, untilMs)
  }

  /** When the last of them is over, in milliseconds since the beginning. */
  get lastingUntilMs(): number {
    return Math.max(0, ...this.#lasting.values())
  }

  lasts(kind: FaultKind, loop: string, ms: number): boolean {
    return ms < (this.#lasting.get(`${kind} ${loop}`) ?? 0)
  }

  /** A fault that hits items, not operations, came about. */
  note(kind: FaultKind): void {
    this.applied.set(kind, (this.applied.get(kind) ?? 0) + 1)
  }

  /** Faults stop: what has not happened will not. */
  close(): void {
    this.#left = 0
    this.#lasting.clear()
  }
}

function ensure<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make()
  map.set(key, value)
  return value
}
