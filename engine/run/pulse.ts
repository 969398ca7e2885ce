/**
 * What can be seen of a loop from outside its event loop: when it last made progress, and until when its node may work.
 * The loop writes, and somebody else reads, who does not need the loop to answer: the supervisor of the same process, or
 * a thread that shares its memory.
 *
 * P1 progress is polls and commits, not liveness: a loop whose connection hangs is alive and gets nowhere. P2 what waits
 * on purpose says until when.
 */
import type { Clock, Redis } from '../ports.ts'
import type { WorkerHealth } from './pool-protocol.ts'

export interface Pulse {
  /** The loop got somewhere, or will by itself at `atMs` (monotonic milliseconds of its clock). */
  progress(atMs: number): void
  /** The earliest time limit of the nodes that work (monotonic milliseconds); Infinity: untimed; 0: none works. */
  workUntil(atMs: number): void
}

/** The pulse of a loop in this very process. */
export class LocalPulse implements Pulse {
  #progressMs: number
  #untilMs = 0

  constructor(clock: Clock) {
    this.#progressMs = clock.monotonic()
  }

  progress(atMs: number): void {
    this.#progressMs = atMs
  }
  workUntil(atMs: number): void {
    this.#untilMs = atMs
  }
  read(nowMs: number): Pick<WorkerHealth, 'overdueMs' | 'work' | 'idleMs'> {
    return readPulse({ progressMs: this.#progressMs, untilMs: this.#untilMs }, nowMs)
  }
}

/** What two figures of a pulse mean at a moment of the same clock. */
export function readPulse(
  { progressMs, untilMs }: { progressMs: number; untilMs: number },
  nowMs: number,
): Pick<WorkerHealth, 'overdueMs' | 'work' | 'idleMs'> {
  const idleMs = nowMs - progressMs
  if (untilMs === 0) return { work: 'none', overdueMs: 0, idleMs }
  if (untilMs === Number.POSITIVE_INFINITY) return { work: 'untimed', overdueMs: 0, idleMs }
  return { work: 'timed', overdueMs: Math.max(0, nowMs - untilMs), idleMs }
}

/** The same Redis; whatever it answers, even an error, is progress of who asked: an outage is not the loop's fault. */
export function watchedRedis(redis: Redis, clock: Clock, pulse: Pulse): Redis {
  const seen = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } finally {
      pulse.progress(clock.monotonic())
    }
  }
  return {
    call: (script, keys, args) => seen(redis.call(script, keys, args)),
    hget: (key, field) => seen(redis.hget(key, field)),
    hgetall: key => seen(redis.hgetall(key)),
    lrange: (key, start, stop) => seen(redis.lrange(key, start, stop)),
    llen: key => seen(redis.llen(key)),
    smembers: key => seen(redis.smembers(key)),
    wait: (key, timeoutMs, signal) => {
      pulse.progress(clock.monotonic() + timeoutMs)
      return seen(redis.wait(key, timeoutMs, signal))
    },
    close: () => redis.close(),
  }
}
