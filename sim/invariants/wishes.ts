/**
 * A workflow that somebody stopped or killed is served by nobody who came after that, until somebody takes it back. A loop
 * that is paused, or whose workflow is, claims nothing once its daemon must have heard of it.
 */
import { keysOf } from '../../engine/store/keys.ts'
import type { FaultKind } from '../faults.ts'
import { placeOf } from '../places.ts'
import type { Applied } from '../server.ts'
import { type Invariant, type InvariantContext, type MakeInvariant, type Report, takesLease } from './invariant.ts'

/** What hearing takes beside waiting for the next renewal. */
const slackMs = 3_000
const hangMsMax = 320_000

class Wishes implements Invariant {
  readonly name = 'wishes'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  readonly #leaseMs: number
  /** Since when they are paused, by loop; '' is the workflow. */
  readonly #pausedMs = new Map<string, number>()
  /** When something last kept a daemon or its workers from hearing, in milliseconds since the beginning. */
  #disturbedMs = 0
  #nowMs = 0
  /** Since when it is stopped, in milliseconds since the beginning; never, unless somebody was seen to stop it. */
  #stoppedMs = Number.POSITIVE_INFINITY

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
    this.#leaseMs = graph.workflow.settings.lease_seconds * 1_000
  }

  applied(applied: Applied): void {
    this.#nowMs = applied.ms
    if (!applied.outcome.changed) return
    if (applied.op === 'desire') this.#isAskedFor(applied)
    else if (applied.moves.some(({ kind, key }) => kind === 'in' && placeOf(key).kind === 'claims'))
      this.#claims(applied)
    if (takesLease(applied)) this.#leases(applied)
  }

  disturbed(kind: FaultKind): void {
    // a worker hears nothing until it is ended, or goes on
    this.#disturbedMs = this.#nowMs + (kind === 'worker-hang' ? hangMsMax : 0)
  }

  life(): void {
    this.#disturbedMs = Math.max(this.#disturbedMs, this.#nowMs)
  }

  #isAskedFor({ args: [loop = '', wish = ''], ms }: Applied): void {
    if (wish === 'pause') this.#pausedMs.set(loop, ms)
    else this.#pausedMs.delete(loop)
    if (loop !== '') return
    this.#stoppedMs = wish === 'stop' || wish === 'kill' ? ms : Number.POSITIVE_INFINITY
  }

  /** Daemons hear of wishes as they renew their leases. */
  #claims({ op, loop, ms, db }: Applied): void {
    // a run that begins anew takes back what was wished of the one before
    const paused = [loop, ''].filter(of => db.hget(this.#keys.desired, of) === 'pause')
    const since = Math.min(...paused.map(of => this.#pausedMs.get(of) ?? Number.POSITIVE_INFINITY))
    const heardMs = Math.max(since, this.#disturbedMs) + this.#leaseMs + slackMs
    if (ms > heardMs)
      this.#report(`"${loop}" claims nothing while it is paused`, `${op} claimed ${ms - since} ms after`)
  }

  #leases({ args, db }: Applied): void {
    const wish = db.hget(this.#keys.desired, '')
    if (wish !== 'stop' && wish !== 'kill') return
    const [loop, , holder] = args
    const cameMs = Number(args[7])
    if (cameMs <= this.#stoppedMs) return
    this.#report(`nobody serves "${loop}" after ${wish}`, `${holder} of a process that began ${cameMs} ms on leases it`)
  }

  /** A server that went back in time may bring back a wish that was taken back, which nobody could obey. */
  save(): () => void {
    return () => {
      this.#stoppedMs = Number.POSITIVE_INFINITY
      this.#pausedMs.clear()
    }
  }
}

export const wishes: MakeInvariant = context => new Wishes(context)
