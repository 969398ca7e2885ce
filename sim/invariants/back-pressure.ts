/**
 * No commit and no push fills a queue beyond its limit. The one exception is documented (commit.ts): what a single
 * iteration or push brings is let into an empty queue whole, or it could never come in at all. Claims that return and
 * dead letters that are requeued may exceed a limit: they were let in before.
 */
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import { itemKeyOf, placeOf } from '../places.ts'
import type { Applied } from '../server.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

type Change = { key: string; came: string[]; left: number }

class BackPressure implements Invariant {
  readonly name = 'back-pressure'
  readonly #report: Report
  readonly #limits: ReadonlyMap<string, number>

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#limits = limitsOf(graph)
  }

  applied({ op, loop, moves, db }: Applied): void {
    if ((op !== 'commit' && op !== 'push') || moves.length === 0) return
    for (const [queue, { key, came, left }] of changesOf(moves)) {
      const limit = this.#limits.get(queue) ?? 0
      // what a commit claims along it takes after it has pushed
      const before = db.llen(key) - came.length + left
      const after = before + came.length
      if (limit === 0 || came.length === 0 || after <= limit) continue
      const isWhole = before === 0 && (op === 'push' || new Set(came.map(iterationOf)).size === 1)
      if (isWhole) continue
      this.#report(
        `queue "${queue}" holds at most ${limit} items`,
        `${op} of "${loop}" made them ${before} and ${after}`,
      )
    }
  }
}

function limitsOf({ queues }: FlowGraph): Map<string, number> {
  return new Map(queues.map(({ name, maxLength }) => [name, maxLength]))
}

/** What an operation did to each queue. */
function changesOf(moves: Applied['moves']): Map<string, Change> {
  const changes = new Map<string, Change>()
  for (const move of moves) {
    const place = placeOf(move.key)
    if (place.kind !== 'queue') continue
    const change = changes.get(place.name) ?? { key: move.key, came: [], left: 0 }
    if (move.kind === 'in') change.came.push(itemKeyOf(move, place))
    else change.left += 1
    changes.set(place.name, change)
  }
  return changes
}

/** Keys of pushed items end in the number of the push within its iteration. */
function iterationOf(key: string): string {
  return key.slice(0, key.lastIndexOf('.'))
}

export const backPressure: MakeInvariant = context => new BackPressure(context)
