/**
 * An old definition never runs beside a new one: a lease is given only to a loop as it is declared, and whoever changes
 * anything in its name was given it under the definition that is the current one now. Seen at the server, whatever the
 * operations answered.
 */
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { keysOf } from '../../engine/store/keys.ts'
import type { Applied } from '../server.ts'
import { type Invariant, type InvariantContext, type MakeInvariant, type Report, takesLease } from './invariant.ts'

/** Operations whose arguments begin with loop, replica, holder, and that do the work of a loop. */
const works = new Set(['claim', 'commit', 'delay', 'complete'])

class Definition implements Invariant {
  readonly name = 'definition'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  /** By holder: what the loop was when it got the lease. */
  #leased = new Map<string, string>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
  }

  applied(applied: Applied): void {
    const { op, args, outcome, db } = applied
    if (!outcome.changed) return
    const [loop = '', , holder = ''] = args
    if (takesLease(applied)) this.#mayLease(loop, holder, args[10] ?? '', db)
    if (works.has(op)) this.#mayWork(op, loop, this.#leased.get(holder), db)
  }

  save(): () => void {
    const leased = new Map(this.#leased)
    return () => {
      this.#leased = new Map(leased)
    }
  }

  #mayLease(loop: string, holder: string, hash: string, db: Keyspace): void {
    this.#leased.set(holder, hash)
    const declared = db.hget(this.#keys.loops, loop)
    if (declared !== hash) this.#report(`loop "${loop}" is leased as ${declared}`, `${holder} leased it as ${hash}`)
  }

  #mayWork(op: string, loop: string, leased: string | undefined, db: Keyspace): void {
    const declared = db.hget(this.#keys.loops, loop)
    if (leased === undefined || leased === declared) return
    this.#report(`loop "${loop}" runs as ${declared}`, `${op} by a holder that leased it as ${leased}`)
  }
}

export const definition: MakeInvariant = context => new Definition(context)
