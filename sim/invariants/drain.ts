/**
 * Once a daemon was told to stop, it claims nothing more: what it decides from then on takes no item out of a queue. What
 * was decided before may still arrive, also repeated, and goes back with the rest. A replica that is given back leaves nothing behind: with `return`, what it had claimed ahead lies in its queues again,
 * as it was, and nobody is charged for it; with `keep` (the drain timed out) its claims stay for whoever comes next.
 * Either way nobody holds it afterwards.
 */
import { keysOf, replicaName } from '../../engine/store/keys.ts'
import type { LifeNews } from '../life.ts'
import { placeOf } from '../places.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report, Sent } from './invariant.ts'

class Drain implements Invariant {
  readonly name = 'drain'
  readonly #report: Report
  readonly #keys: ReturnType<typeof keysOf>
  /** Loops that run in the daemon itself: workers hear of a stop later. */
  readonly #own: ReadonlySet<string>
  /** Lives that were told to stop. */
  readonly #stopping = new Set<number>()
  /** The last call of each holder that may claim, until it is told to stop. */
  readonly #calls = new Map<string, number>()
  /** Tokens of calls that were decided later. */
  readonly #late = new Set<string>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
    this.#own = new Set(graph.loops.filter(({ pool }) => pool === 'async').map(({ id }) => id))
  }

  life({ what, pid }: LifeNews): void {
    if (what === 'is told to stop') this.#stopping.add(pid)
  }

  sent({ op, loop, args, pid }: Sent): void {
    if ((op !== 'claim' && op !== 'commit') || !this.#own.has(loop)) return
    const token = args[3] ?? ''
    const [holder, call] = callOf(token)
    if (!this.#stopping.has(pid)) this.#calls.set(holder, call)
    else if (call > (this.#calls.get(holder) ?? 0)) this.#late.add(token)
  }

  applied(applied: Applied): void {
    const { op, args, loop, moves } = applied
    if (op === 'release') this.#gaveBack(applied)
    if (!this.#late.has(args[3] ?? '')) return
    const claimed = moves.filter(({ kind, key }) => kind === 'in' && placeOf(key).kind === 'claims')
    if (claimed.length === 0) return
    this.#report(`after stop, loop "${loop}" claims nothing`, `${op} claimed ${claimed.length} items`)
  }

  #gaveBack({ args, outcome, moves, db }: Applied): void {
    if (!outcome.changed || !outcome.ok) return
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

/** Tokens are `HOLDER:N`, the how-manieth call of the holder it is. */
function callOf(token: string): [holder: string, call: number] {
  const at = token.lastIndexOf(':')
  return [token.slice(0, at), Number(token.slice(at + 1))]
}

export const drain: MakeInvariant = context => new Drain(context)
