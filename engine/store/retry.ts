/**
 * Waits out what Redis recovers from on its own. Safe only for calls that change nothing when repeated: scripts by token,
 * and plain reads.
 */
import { codeOf } from '../errors.ts'
import type { Clock } from '../ports.ts'

const transient = new Set(['REDIS_UNAVAILABLE', 'REDIS_LOADING', 'REDIS_READONLY', 'REDIS_OUT_OF_MEMORY'])

export function isTransient(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && transient.has(code)
}

/** Repeats `call` after transient errors, pausing 50 ms and doubling up to `pauseMsMax`, until it answers or `signal` aborts. */
export async function retryTransient<T>(
  options: { clock: Clock; signal: AbortSignal; pauseMsMax: number; onRetry?: (error: unknown) => void },
  call: () => Promise<T>,
): Promise<T> {
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, options.pauseMsMax)) {
    options.signal.throwIfAborted()
    try {
      return await call()
    } catch (error) {
      if (!isTransient(error)) throw error
      options.onRetry?.(error)
    }
    await options.clock.sleep(pauseMs, options.signal)
  }
}
