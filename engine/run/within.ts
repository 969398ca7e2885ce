/** Bounds the time of work that belongs to somebody else and may never end. */
import { EngineError } from '../errors.ts'
import type { Clock } from '../ports.ts'

/** For sleeps that are ended and caught at once: without a reason each would make an error, with its stack. */
export const noReason = 'no longer needed'

/**
 * Settles as `work` does; rejects with NODE_TIMEOUT after `ms` milliseconds, or with the signal's reason when it aborts.
 * `what` names the work in the error.
 */
export async function within<T>(
  work: Promise<T>,
  bound: { clock: Clock; ms: number; signal?: AbortSignal; what: string },
): Promise<T> {
  const timer = new AbortController()
  const stop = () => timer.abort(bound.signal?.reason)
  if (bound.signal?.aborted) stop()
  bound.signal?.addEventListener('abort', stop)
  const late = bound.clock.sleep(bound.ms, timer.signal).then(() => {
    throw new EngineError(
      'NODE_TIMEOUT',
      `Cannot wait longer for ${bound.what}: it took more than ${bound.ms / 1000} s`,
    )
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([work, late])
  } finally {
    bound.signal?.removeEventListener('abort', stop)
    timer.abort(noReason)
  }
}
