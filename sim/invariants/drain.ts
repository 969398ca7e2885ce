/**
 * A replica that is given back leaves nothing behind: with `return`, what it had claimed ahead lies in its queues again,
 * as it was, and nobody is charged for it; with `keep` (the drain timed out) its claims stay for whoever comes next.
 * Either way nobody holds it afterwards.
 */
import { keysOf, replicaName } from '../../engine/store/keys.ts'
import { placeOf } from '../places.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

class Drain implements Invariant {
  readonly name = 'drain'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
  }

  applied({ op, args, outcome, moves, db }: Applied): void {
    if (op !== 'release' || !outcome.changed || !outcome.ok) return
    const [loop = '', replica = '0', , , , claims] = args
    const name = replicaName(loop, Number(replica))
    const holder = db.hget(this.#keys.replica(name), 'holder') ?? ''
    if (holder !== '') this.#report(`nobody holds ${name} after its release`, `${holder} does`)
    const left = db.llen(this.#keys.claims(name))
    if (claims === 'return' && left > 0) this.#report(`${name} gives back what it claimed`, `${left} claims are left`)
    this.#areAsTheyWere(name, moves)
  }

  #areAsTheyWere(name: string, moves: Applied['moves']): void {
    const lines = moves.map(move => ({ ...placeOf(move.key), ...move }))
    const left = lines.filter(({ kind, key }) => kind === 'out' && placeOf(key).kind === 'claims')
    const came = lines.filter(({ kind, key }) => kind === 'in' && placeOf(key).kind === 'queue')
    const before = left.map(({ value }) => value).sort()
    const after = came.map(({ name: queue, value }) => `${queue}\n${value}`).sort()
    const odd = after.findIndex((line, i) => line !== before[i])
    if (odd < 0 && before.length === after.length) return
    this.#report(
      `${name} gives its claims back as they were: ${before[odd] ?? before.length}`,
      after[odd] ?? `${after.length}`,
    )
  }
}

export const drain: MakeInvariant = context => new Drain(context)
