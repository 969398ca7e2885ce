/** One signal out of several, for as long as some work takes: `AbortSignal.any` keeps what it made for as long as its sources. */
import { noReason } from './within.ts'

/** Does work whose signal aborts when one of `signals` does, or when the work says so itself. */
export async function abortedByAny<T>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal, abort: () => void) => Promise<T>,
): Promise<T> {
  const any = new AbortController()
  const abort = () => any.abort(noReason)
  for (const signal of signals) signal.addEventListener('abort', abort)
  if (signals.some(signal => signal.aborted)) abort()
  try {
    return await work(any.signal, abort)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort)
  }
}
