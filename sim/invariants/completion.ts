/**
 * A loop ends once: only when every loop that writes to its queues from outside its cycle has ended, and the queues and
 * claims of the whole cycle are empty. After that it claims and commits nothing more in that run, unless it is redefined
 * and begins again.
 */
import type { FlowGraph, FlowLoop } from '../../engine/graph/flow-graph.ts'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { keysOf, replicaName, requeueQueue } from '../../engine/store/keys.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { isEndless } from '../calls.ts'
import type { Applied } from '../server.ts'
import type { EndState, Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

class Completion implements Invariant {
  readonly name = 'completion'
  readonly #report: Report
  readonly #graph: FlowGraph
  readonly #keys: ReturnType<typeof keysOf>
  #ended = new Set<string>()
  /** By run and loop: how often it ended, and how often that was told. */
  #endings = new Map<string, number>()
  #told = new Map<string, number>()
  /** What a worker told may be on its way while the server goes back in time: it comes once more than it counts. */
  #onTheWay = new Map<string, number>()

  constructor({ graph, report }: InvariantContext) {
    this.#graph = graph
    this.#report = report
    this.#keys = keysOf(graph.workflow.id)
  }

  applied({ op, loop, db, moves }: Applied): void {
    if (this.#ended.has(loop) && moves.length > 0) {
      this.#report(`loop "${loop}" has ended and does nothing more`, `${op} moved ${moves.length} items`)
    }
    if (db.hlen(this.#keys.ended) === this.#ended.size) return
    const now = new Set(db.hkeys(this.#keys.ended))
    const fresh = this.#graph.loops.filter(each => now.has(each.id) && !this.#ended.has(each.id))
    for (const each of fresh) {
      this.#mayEnd(each, db, now)
      countUp(this.#endings, `${db.hget(this.#keys.ended, each.id)} ${each.id}`)
    }
    this.#ended = now
  }

  event(event: EngineEvent): void {
    if (event.type !== 'loop_completed') return
    const name = `${event.run} ${event.loop}`
    const told = countUp(this.#told, name)
    const ended = this.#endings.get(name) ?? 0
    if (told > Math.max(1, ended) && !this.#wasOnTheWay(event.loop))
      this.#report(`loop "${event.loop}" completes once`, 'it completed again')
  }

  end({ db }: EndState): void {
    if (isEndless(this.#graph)) return
    const open = this.#graph.loops.filter(({ id }) => !this.#ended.has(id)).map(({ id }) => id)
    if (open.length > 0) this.#report('a completed workflow has only ended loops', `not ended: ${open.join(', ')}`)
    const status = db.hget(this.#keys.meta, 'status')
    if (status !== 'completed') this.#report('the run is completed in Redis', `its status is ${status}`)
  }

  #wasOnTheWay(loop: string): boolean {
    const left = this.#onTheWay.get(loop) ?? 0
    this.#onTheWay.set(loop, left - 1)
    return left > 0
  }

  save(): () => void {
    const [ended, endings, told] = [new Set(this.#ended), new Map(this.#endings), new Map(this.#told)]
    return () => {
      this.#ended = new Set(ended)
      this.#endings = new Map(endings)
      this.#told = new Map(told)
      // a loss after another may meet each its own news
      for (const { id, cycle } of this.#graph.loops) {
        // whoever ends a cycle speaks for all its loops
        const isToldByWorker = this.#graph.loops.some(
          other => other.pool !== 'async' && [id, ...cycle].includes(other.id),
        )
        if (isToldByWorker) this.#onTheWay.set(id, (this.#onTheWay.get(id) ?? 0) + 1)
      }
    }
  }

  #mayEnd(loop: FlowLoop, db: Keyspace, ended: ReadonlySet<string>): void {
    const cycle = this.#graph.loops.filter(({ id }) => loop.cycle.includes(id))
    const sources = cycle.flatMap(({ id, sources: names }) => [...names, requeueQueue(id)])
    const writes = (other: FlowLoop) => other.nodes.some(node => node.targets.some(target => sources.includes(target)))
    for (const writer of this.#graph.loops) {
      if (cycle.includes(writer) || !writes(writer) || ended.has(writer.id)) continue
      this.#report(`loop "${loop.id}" ends after its writers`, `it ended, and its writer "${writer.id}" has not`)
    }
    const waiting = sources.filter(queue => db.llen(this.#keys.queue(queue)) > 0)
    const replicas = cycle.flatMap(({ id, replicas: n }) => Array.from({ length: n }, (_, i) => replicaName(id, i)))
    const claimed = replicas.filter(name => db.llen(this.#keys.claims(name)) > 0)
    if (waiting.length + claimed.length === 0) return
    const where = [...waiting.map(name => `queue "${name}"`), ...claimed.map(name => `claims of "${name}"`)]
    this.#report(
      `loop "${loop.id}" ends when its queues and claims are empty`,
      `there were items in ${where.join(', ')}`,
    )
  }
}

function countUp(counts: Map<string, number>, name: string): number {
  const count = (counts.get(name) ?? 0) + 1
  counts.set(name, count)
  return count
}

export const completion: MakeInvariant = context => new Completion(context)
