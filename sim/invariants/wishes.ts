/** A workflow that somebody stopped or killed is served by nobody who came after that, until somebody takes it back. */
import { keysOf } from '../../engine/store/keys.ts'
import type { Applied } from '../server.ts'
import { type Invariant, type InvariantContext, type MakeInvariant, type Report, takesLease } from './invariant.ts'

class Wishes implements Invariant {
  readonly name = 'wishes'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  /** Since when it is stopped, in milliseconds since the beginning; never, unless somebody was seen to stop it. */
  #stoppedMs = Number.POSITIVE_INFINITY

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
  }

  applied(applied: Applied): void {
    const { op, args, ms, outcome, db } = applied
    if (!outcome.changed) return
    if (op === 'desire' && args[0] === '') {
      const isStopped = args[1] === 'stop' || args[1] === 'kill'
      this.#stoppedMs = isStopped ? ms : Number.POSITIVE_INFINITY
    }
    const wish = db.hget(this.#keys.desired, '')
    if (!takesLease(applied) || (wish !== 'stop' && wish !== 'kill')) return
    const [loop, , holder] = args
    const cameMs = Number(args[7])
    if (cameMs <= this.#stoppedMs) return
    this.#report(`nobody serves "${loop}" after ${wish}`, `${holder} of a process that began ${cameMs} ms on leases it`)
  }

  /** A server that went back in time may bring back a wish that was taken back, which nobody could obey. */
  save(): () => void {
    return () => {
      this.#stoppedMs = Number.POSITIVE_INFINITY
    }
  }
}

export const wishes: MakeInvariant = context => new Wishes(context)
