/**
 * One replica being served, as the supervisor sees it, in its own process or in a worker. Whoever serves follows the
 * loop's control by itself; here is only what concerns this one serving.
 */
import { EngineError } from '../errors.ts'
import { limits } from '../limits.ts'
import { LoopControl } from './loop-control.ts'
import type { ExitCause } from './pool-protocol.ts'
import { LocalPulse } from './pulse.ts'
import { openReplica, type ReplicaOptions } from './serve-replica.ts'
import { judge } from './watchdog.ts'

/** How one serving ended; `cause` when a worker died with it. */
export type Served =
  | { result: 'ended' | 'drained' }
  | { result: 'lost'; error: unknown; blame: 'blame' | 'spare'; cause?: ExitCause }

export interface ServedLoop {
  /** Never rejects. */
  readonly end: Promise<Served>
  /** Another holder has the replica: nothing more of this serving may count. */
  fence(): void
  /** A look from outside: whoever gets nowhere, or can't be ended in good ways, is ended. */
  check(): void
  /** Ends at once, leaving lease and claims as they are. */
  kill(): void
}

/** `control` is the loop's; the serving gets one of its own, which follows it. */
export type ServeOptions = Omit<ReplicaOptions, 'killed' | 'pulse'>

/** Serves in this very process. */
export function serveHere(options: ServeOptions): ServedLoop {
  const { clock } = options.ports
  const control = new LoopControl()
  const leave = options.control.lead(control)
  const killed = new AbortController()
  const pulse = new LocalPulse(clock)
  const { store, serve } = openReplica({ ...options, control, killed: killed.signal, pulse })
  const stalled = new AbortController()
  const givenUp = new Promise<Served>(resolve => {
    stalled.signal.addEventListener('abort', () => {
      resolve({ result: 'lost', error: stalled.signal.reason, blame: 'spare' })
    })
  })
  const served = serve().then(
    (result): Served => ({ result }),
    (error): Served => (killed.signal.aborted ? { result: 'drained' } : { result: 'lost', error, blame: 'blame' }),
  )
  let sinceMs = clock.monotonic()
  return {
    end: Promise.race([served, givenUp]).finally(leave),
    fence: () => store.fence(),
    check: () => {
      const nowMs = clock.monotonic()
      if (control.paused) sinceMs = nowMs
      const { work, idleMs } = pulse.read(nowMs)
      const health = {
        silentMs: 0,
        blockedMs: 0,
        overdueMs: 0,
        rssBytes: null,
        work,
        idleMs: Math.min(idleMs, nowMs - sinceMs),
      }
      const verdict = judge(health, { rssBytesMax: 0, idleMsMax: limits.idleMsMax })
      if (verdict === undefined) return
      const error = new EngineError('LOOP_STALLED', `Cannot go on with loop "${options.loop.id}": ${verdict.why}`)
      // what it still does, if it ever does, counts for nothing
      store.fence()
      stalled.abort(error)
      control.abort(error)
    },
    kill: () => {
      killed.abort()
      control.abort(new EngineError('ITERATION_ABORTED', 'The engine was killed'))
    },
  }
}
