/**
 * The items of one queue leave by commits in the order in which they were pushed, also through crashes and recovery,
 * wherever a single replica reads it. An item that an operator requeues is pushed anew.
 */
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import { itemKeyOf, placeOf, sourceOf } from '../places.ts'
import type { Applied } from '../server.ts'
import { Book } from './book.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** Operations that push; all others that put something into a queue put it back. */
const pushes = new Set(['commit', 'push', 'requeue'])

class Fifo implements Invariant {
  readonly name = 'fifo'
  readonly #report: Report
  readonly #ordered: ReadonlySet<string>
  /** Per item and queue, the how-manieth push into anything it was. */
  readonly #order = new Book<string, number>()
  readonly #last = new Book<string, { key: string; order: number }>()
  #pushed = 0

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#ordered = orderedQueues(graph)
  }

  applied({ moves, op }: Applied): void {
    for (const move of moves) {
      const place = placeOf(move.key)
      if (place.kind === 'queue' && move.kind === 'in' && pushes.has(op)) {
        this.#order.set(`${place.name}\n${itemKeyOf(move, place)}`, ++this.#pushed)
      } else if (place.kind === 'claims' && move.kind === 'out' && op === 'commit') {
        this.#left(sourceOf(move.value), itemKeyOf(move, place))
      }
    }
  }

  save(): () => void {
    const [order, last, pushed] = [this.#order.save(), this.#last.save(), this.#pushed]
    return () => {
      order()
      last()
      this.#pushed = pushed
    }
  }

  #left(queue: string, key: string): void {
    const order = this.#order.get(`${queue}\n${key}`)
    this.#order.delete(`${queue}\n${key}`)
    if (order === undefined || !this.#ordered.has(queue)) return
    const last = this.#last.get(queue)
    if (last !== undefined && last.order > order) {
      this.#report(
        `item ${key} of queue "${queue}" commits before ${last.key}, which was pushed after it`,
        `${last.key} committed first`,
      )
    }
    this.#last.set(queue, { key, order })
  }
}

/** Queues that one loop with one replica reads; the loop's own requeue queue is no promise of order. */
function orderedQueues(graph: FlowGraph): Set<string> {
  const readers = new Map<string, number>()
  for (const { sources, replicas } of graph.loops) {
    for (const name of sources) readers.set(name, (readers.get(name) ?? 0) + replicas)
  }
  return new Set([...readers].filter(([, n]) => n === 1).map(([name]) => name))
}

export const fifo: MakeInvariant = context => new Fifo(context)
