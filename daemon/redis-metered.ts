/** The `Redis` port with a stopwatch: how long each script took, and what failed. Changes nothing else. */
import { codeOf } from '../engine/errors.ts'
import type { Redis, Reply, Script } from '../engine/ports.ts'

export type RedisMeter = {
  /** A script was answered. */
  call(script: string, seconds: number): void
  failed(code: string): void
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
