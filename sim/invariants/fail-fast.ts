/**
 * An item that fails is given up at once, and told: its iteration is committed as failed, with one dead letter that says
 * where and why, and nobody processes it again unless somebody requeues it. An iteration with a failed node is never told
 * as completed.
 */
import { isJsonObject, type Json } from '../../engine/json.ts'
import { keysOf } from '../../engine/store/keys.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { itemKeyOf, placeOf } from '../places.ts'
import type { Applied } from '../server.ts'
import { Book } from './book.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** What a dead letter must say, and what kind of value it says it with. */
const fields = {
  time: 'number',
  workflow: 'string',
  run: 'string',
  loop: 'string',
  iteration: 'number',
  node: 'string',
  node_type: 'string',
  error: 'object',
  item: 'object',
  deliveries: 'number',
  trace_id: 'string',
} as const

class FailFast implements Invariant {
  readonly name = 'fail-fast'
  readonly #report: Report
  readonly #letters: string
  readonly #deliveriesMax: number
  /** A request that failed is answered so, and leaves no letter. */
  readonly #hasLetters: boolean
  /** Keys of items given up. */
  readonly #dead = new Book<string, true>()
  /** Loop and iteration → the node that failed, of iterations that are not told as ended. */
  readonly #failed = new Map<string, string>()
  /** Told as failed, without their letter yet. */
  readonly #unsaid = new Set<string>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#deliveriesMax = graph.workflow.settings.max_deliveries
    this.#hasLetters = graph.workflow.type === 'production'
    this.#letters = keysOf(graph.workflow.id).deadLetters
  }

  applied(applied: Applied): void {
    const { moves, op, db } = applied
    for (const move of moves) {
      const place = placeOf(move.key)
      const key = itemKeyOf(move, place)
      if (place.kind === 'dead-letters' && move.kind === 'in') this.#dies(key, move.value, applied)
      else if (place.kind === 'dead-letters' && op === 'requeue') this.#dead.delete(key)
      else if (place.kind === 'claims' && move.kind === 'in' && this.#dead.has(key)) {
        this.#report(`item ${key} failed and is not tried again`, `${op} of "${applied.loop}" claimed it`)
      }
    }
    if (op === 'start-run' && db.hlen(this.#letters) === 0) this.#dead.clear()
  }

  event(event: EngineEvent): void {
    if (!('loop' in event) || !('iteration' in event)) return
    const at = `${event.loop} ${event.iteration}`
    if (event.type === 'iteration_started') this.#failed.delete(at)
    else if (event.type === 'node_failed' && !this.#failed.has(at)) this.#failed.set(at, event.node_id)
    else if (event.type === 'iteration_completed') this.#completes(event, at)
    else if (event.type === 'iteration_failed') this.#fails(at)
    else if (event.type === 'dead_letter' && !this.#unsaid.delete(at)) {
      this.#report(
        `a dead letter of "${event.loop}" follows its failed iteration`,
        `there is one of ${event.iteration}`,
      )
    }
  }

  #fails(at: string): void {
    if (this.#hasLetters) this.#unsaid.add(at)
  }

  end(): void {
    for (const at of this.#unsaid) this.#report('each failed iteration has its dead letter told', `${at} has none`)
  }

  save(): () => void {
    return this.#dead.save()
  }

  #completes(event: { loop: string; iteration: number }, at: string): void {
    const node = this.#failed.get(at)
    if (node === undefined) return
    this.#report(
      `iteration ${event.iteration} of "${event.loop}" fails, as node "${node}" did`,
      'it is told as completed',
    )
  }

  /** Deliveries count the one that was not made any more. */
  #isPoison(key: string, deliveries: number): void {
    if (deliveries > this.#deliveriesMax) return
    this.#report(
      `item ${key} is poison after ${this.#deliveriesMax} deaths of its holder`,
      `it was given up after ${deliveries - 1}`,
    )
  }

  #dies(key: string, id: string, { op, loop, db }: Applied): void {
    if (op !== 'commit') this.#report('dead letters come from commits', `${op} brought ${id}`)
    this.#dead.set(key, true)
    const record = JSON.parse(db.hget(this.#letters, id) ?? 'null') as Json
    const said = isJsonObject(record) ? record : {}
    const missing = Object.entries(fields).filter(([name, type]) => typeof said[name] !== type || said[name] === null)
    if (missing.length > 0) {
      this.#report(`dead letter ${id} says what happened`, `it has no ${missing.map(([name]) => name).join(', ')}`)
    } else if (isJsonObject(said.error) && said.error.code === 'POISON') this.#isPoison(key, Number(said.deliveries))
    else if (said.loop !== loop) this.#report(`dead letter ${id} is of loop "${loop}"`, `it says "${said.loop}"`)
  }
}

export const failFast: MakeInvariant = context => new FailFast(context)
