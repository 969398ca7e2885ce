/**
 * Only the holder of a replica changes anything in its name, and only with the seq that it was left at and a token that
 * was not said before; nobody takes a lease away that has not run out, unless its holder is known to be gone; and it does
 * not run out under a daemon that is well, with nothing to disturb it, unless its loop rests after a crash. Seen at the
 * server, before and after each operation, whatever the operation answered.
 */
import { keysOf, replicaName } from '../../engine/store/keys.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { LifeNews } from '../life.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** Operations whose arguments begin with loop, replica, holder, token, seq. */
const held = new Set(['claim', 'commit', 'delay', 'complete', 'release'])

/** A loop that ended so rests longer each time, and any other daemon may have it meanwhile. */
const rests = new Set(['LOOP_CRASHED', 'LOOP_STALLED', 'WORKER_REFUSED'])

/** Latencies, waits and comebacks are all shorter than so many leases. */
const leasesOfCalm = 3

type Lease = { holder: string; pid: string; seq: string; token: string; untilMs: number }
const nobody: Lease = { holder: '', pid: '', seq: '', token: '', untilMs: 0 }

class Fencing implements Invariant {
  readonly name = 'fencing'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  /** As they were after the last operation. */
  #leases = new Map<string, Lease>()
  readonly #alive = new Set<string>()
  /** Loops that crashed, and how many of their replicas were not taken again since. */
  readonly #resting = new Map<string, number>()
  /** A life that is well and undisturbed for so long has renewed its leases. */
  readonly #calmMs: number
  #calmSinceMs = 0
  /** Something happened since the last operation. */
  #isDisturbed = false

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
    this.#calmMs = leasesOfCalm * 1_000 * graph.workflow.settings.lease_seconds
  }

  disturbed(): void {
    this.#isDisturbed = true
  }

  event(event: EngineEvent): void {
    if (event.type === 'warning' && event.loop !== undefined && rests.has(event.code))
      this.#resting.set(event.loop, (this.#resting.get(event.loop) ?? 0) + 1)
  }

  life({ what, pid }: LifeNews): void {
    if (what === 'begins') this.#alive.add(String(pid))
    if (what === 'dies' || what === 'ends') this.#alive.delete(String(pid))
    this.disturbed()
  }

  applied(applied: Applied): void {
    const { op, args, outcome, ms } = applied
    if (this.#isDisturbed) this.#calmSinceMs = ms
    this.#isDisturbed = false
    if (outcome.changed && held.has(op)) this.#mayChange(applied)
    if (outcome.changed && op === 'acquire') this.#mayTake(applied)
    if (outcome.changed && op === 'redefine') this.#mayVacate(applied)
    if ((op === 'start-run' || op === 'redefine') && outcome.changed) this.#readAll(applied)
    else if (op === 'renew') for (let i = 2; i < args.length; i += 2) this.#read(args[i] as string, applied)
    else if (held.has(op) || op === 'acquire') this.#read(nameOf(args), applied)
  }

  save(): () => void {
    const leases = new Map(this.#leases)
    return () => {
      this.#leases = new Map(leases)
    }
  }

  #mayChange({ op, loop, args }: Applied): void {
    const [, , holder = '', token = '', seq = ''] = args
    const lease = this.#leases.get(nameOf(args)) ?? nobody
    const what = `${op} of "${loop}" changes something`
    if (holder !== lease.holder) this.#report(`only the holder ${lease.holder} does`, `${what} for ${holder}`)
    else if (token === lease.token)
      this.#report('what was said before changes nothing', `${what} with token ${token} again`)
    else if (seq !== lease.seq) this.#report(`seq is ${lease.seq}`, `${what} that expects seq ${seq}`)
  }

  #mayTake({ args, db, ms, loop }: Applied): void {
    const resting = this.#resting.get(loop) ?? 0
    this.#resting.set(loop, Math.max(0, resting - 1))
    const lease = this.#leases.get(nameOf(args)) ?? nobody
    const [holder, pid, gone] = [args[2], args[6], args[8]]
    if (
      resting === 0 &&
      lease.holder !== '' &&
      lease.holder !== gone &&
      lease.pid !== pid &&
      this.#alive.has(lease.pid)
    ) {
      if (ms - this.#calmSinceMs > this.#calmMs)
        this.#report(`${lease.holder}, whom nothing disturbs, renews its lease`, 'it ran out')
    }
    const isFree = lease.holder === '' || lease.holder === holder || lease.holder === gone
    if (isFree || lease.untilMs <= db.timeMs()) return
    const left = `${lease.untilMs - db.timeMs()} ms left`
    this.#report(`${nameOf(args)} stays with ${lease.holder}, with ${left}`, `${holder} took it over`)
  }

  /** Another definition takes the place of a loop only where nobody holds it. */
  #mayVacate({ args, db }: Applied): void {
    for (const [name, { holder, untilMs }] of this.#leases) {
      const isFree = holder === '' || args.includes(holder) || untilMs <= db.timeMs()
      if (isFree || db.hget(this.#keys.replica(name), 'holder') === holder) continue
      this.#report(`${name} stays with ${holder}, with ${untilMs - db.timeMs()} ms left`, 'it was redefined')
    }
  }

  #readAll(applied: Applied): void {
    for (const name of applied.db.smembers(this.#keys.replicas)) this.#read(name, applied)
  }

  #read(name: string, { db }: Applied): void {
    const key = this.#keys.replica(name)
    const [holder, pid, seq] = [db.hget(key, 'holder') ?? '', db.hget(key, 'pid') ?? '', db.hget(key, 'seq') ?? '']
    const token = db.hget(key, 'last_token') ?? ''
    this.#leases.set(name, { holder, pid, seq, token, untilMs: Number(db.hget(key, 'lease_until') ?? '0') })
  }
}

function nameOf([loop = '', replica = '0']: readonly string[]): string {
  return replicaName(loop, Number(replica))
}

export const fencing: MakeInvariant = context => new Fencing(context)
