/**
 * Waits for the end of a run, and brings it about when asked to. The first request to stop drains; a second one, by
 * whatever signal, kills. Everything it installs (signal handlers, the timer) is gone again when it returns.
 */
import { messageOf } from '../../engine/errors.ts'
import type { FlowEngine } from '../../engine/flow-engine.ts'
import type { Clock } from '../../engine/ports.ts'
import type { Output } from '../output.ts'
import type { RunTally } from './run-tally.ts'

/** Why a run ended. `done`: by itself. */
export type Ending = 'done' | 'idle' | 'timeout' | 'interrupted' | 'killed' | 'crashed'

/** `timeout` and `untilIdle` are seconds. */
export type UntilOptions = { out: Output; clock: Clock; tally: RunTally; timeout?: number; untilIdle?: number }

const tickMs = 100
const plainProgressMs = 5_000
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export async function waitForEnd(engine: FlowEngine, options: UntilOptions): Promise<Ending> {
  const { out, clock, tally } = options
  const startedMs = clock.monotonic()
  let ending: Ending = 'done'
  let toldMs = startedMs

  const stop = (reason: Ending, message: string): void => {
    if (ending !== 'done') return
    ending = reason
    out.note(message)
    void engine.stop().catch(error => out.error(error))
  }
  const interrupt = (): void => {
    if (ending === 'done') {
      stop('interrupted', 'stopping: running iterations finish first (again to kill)')
      return
    }
    ending = 'killed'
    out.note('killing: what did not finish is taken up again by the next run')
    void engine.kill().catch(error => out.error(error))
  }
  const tick = (): void => {
    const now = clock.monotonic()
    const { idleSinceMs: idleSince, loops } = engine.status()
    const failed = loops.find(loop => loop.status === 'failed')
    if (failed !== undefined && idleSince !== undefined) {
      stop('crashed', `stopping: loop "${failed.id}" was given up, and the others have nothing to do`)
    }
    if (passed(options.timeout, now - startedMs)) stop('timeout', `stopping: not completed after ${options.timeout} s`)
    if (idleSince !== undefined && passed(options.untilIdle, now - idleSince)) {
      stop('idle', `stopping: nothing to do for ${options.untilIdle} s`)
    }
    out.progress(tally.line())
    if (out.interactive || now - toldMs < plainProgressMs) return
    toldMs = now
    out.text(tally.line())
  }

  // thrown by a timer or event handler of a node: the process can't be trusted for long, so it drains
  const crash = (error: unknown): void => {
    stop('crashed', `stopping: something threw outside of its iteration: ${messageOf(error)}`)
  }

  const timer = setInterval(tick, tickMs)
  process.on('uncaughtException', crash)
  for (const signal of signals) process.on(signal, interrupt)
  out.whenClosed(() => stop('interrupted', 'stopping: nobody reads the output any more'))
  try {
    await engine.done
  } finally {
    clearInterval(timer)
    process.off('uncaughtException', crash)
    for (const signal of signals) process.off(signal, interrupt)
    out.progress('')
  }
  return ending
}

function passed(limitSeconds: number | undefined, elapsedMs: number): boolean {
  return limitSeconds !== undefined && elapsedMs >= limitSeconds * 1000
}
