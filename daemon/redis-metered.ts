/** The `Redis` port with a stopwatch: how long each script took, and what failed. Changes nothing else. */
import { codeOf } from '../engine/errors.ts'
import type { Redis, Reply, Script } from '../engine/ports.ts'

export type RedisMeter = {
  /** A script was answered. */
  call(script: string, seconds: number): void
  failed(code: string): void
}

/** What a worker measured, on its way to the daemon. */
export type MeterBatch = { calls: [script: string, seconds: number][]; failed: string[] }

const batchMs = 1_000
const batchMost = 1_000

/** Measures in a worker, for the meter of the daemon: together, for a message each would cost more than what it tells. */
export class BatchingMeter implements RedisMeter {
  readonly #post: (batch: MeterBatch) => void
  #batch: MeterBatch = { calls: [], failed: [] }
  #due: NodeJS.Timeout | undefined

  constructor(post: (batch: MeterBatch) => void) {
    this.#post = post
  }

  call(script: string, seconds: number): void {
    this.#batch.calls.push([script, seconds])
    this.#schedule()
  }
  failed(code: string): void {
    this.#batch.failed.push(code)
    this.#schedule()
  }

  flush(): void {
    clearTimeout(this.#due)
    this.#due = undefined
    const batch = this.#batch
    if (batch.calls.length + batch.failed.length === 0) return
    this.#batch = { calls: [], failed: [] }
    this.#post(batch)
  }

  #schedule(): void {
    this.#due ??= setTimeout(() => this.flush(), batchMs).unref()
    if (this.#batch.calls.length + this.#batch.failed.length >= batchMost) this.flush()
  }
}

export function addBatch({ calls, failed }: MeterBatch, meter: RedisMeter): void {
  for (const [script, seconds] of calls) meter.call(script, seconds)
  for (const code of failed) meter.failed(code)
}

export function meterRedis(redis: Redis, meter: RedisMeter): Redis {
  const watched = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      meter.failed(codeOf(error) ?? 'BUG')
      throw error
    }
  }
  const timed = async (script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> => {
    const from = performance.now()
    const reply = await watched(redis.call(script, keys, args))
    meter.call(script.name, (performance.now() - from) / 1_000)
    return reply
  }
  return {
    call: timed,
    hget: (key, field) => watched(redis.hget(key, field)),
    hgetall: key => watched(redis.hgetall(key)),
    lrange: (key, start, stop) => watched(redis.lrange(key, start, stop)),
    llen: key => watched(redis.llen(key)),
    smembers: key => watched(redis.smembers(key)),
    wait: (key, timeoutMs, signal) => watched(redis.wait(key, timeoutMs, signal)),
    close: () => redis.close(),
  }
}
