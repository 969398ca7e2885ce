/**
 * Each item is in exactly one place at every moment, counted at the server's keys. It may vanish only by a commit that
 * releases its claim, or because somebody purged it; and what was committed never comes back.
 */
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { itemKeyOf, placeOf } from '../places.ts'
import type { Applied } from '../server.ts'
import { Book } from './book.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** Operations that may make items vanish: they were asked to. */
const purges = new Set(['purge-queue', 'purge-dead-letters', 'start-run'])
/** Every so many operations everything is counted anew, in case an item moved past the watch. */
const recountEvery = 64

class Conservation implements Invariant {
  readonly name = 'conservation'
  readonly #report: Report
  /** Where each item is, and those that were committed. */
  readonly #present = new Book<string, string>()
  readonly #released = new Book<string, true>()
  #operations = 0

  constructor({ report }: InvariantContext) {
    this.#report = report
  }

  applied(applied: Applied): void {
    const { moves, op, db } = applied
    if (moves.length > 0) this.#account(applied)
    if (++this.#operations % recountEvery === 0) this.#recount(db, op)
  }

  end({ db }: { db: Keyspace }): void {
    this.#recount(db, 'end')
  }

  save(): () => void {
    const restores = [this.#present.save(), this.#released.save()]
    return () => {
      for (const restore of restores) restore()
    }
  }

  #account({ moves, op, loop }: Applied): void {
    const there = new Map<string, string[]>()
    const released = new Set<string>()
    for (const move of moves) {
      const place = placeOf(move.key)
      const key = itemKeyOf(move, place)
      const where = `${place.kind} ${place.name}`.trim()
      const now = there.get(key) ?? (this.#present.has(key) ? [this.#present.get(key) as string] : [])
      if (move.kind === 'in') now.push(where)
      else if (now.includes(where)) now.splice(now.indexOf(where), 1)
      if (move.kind === 'out' && place.kind === 'claims' && op === 'commit') released.add(key)
      const isDropped = move.kind === 'out' && place.kind === 'dead-letters' && op === 'commit'
      if (isDropped || (move.kind === 'out' && purges.has(op))) released.add(key)
      there.set(key, now)
    }
    for (const [key, where] of there)
      this.#settle(key, where, { released: released.has(key), by: `${op} of "${loop}"` })
  }

  #settle(key: string, where: readonly string[], how: { released: boolean; by: string }): void {
    const before = this.#present.get(key)
    if (where.length > 1) {
      this.#report(`item ${key} is in one place`, `after ${how.by} it is in ${where.join(' and in ')}`)
    } else if (where.length === 1) {
      if (before === undefined && this.#released.has(key)) {
        this.#report(`item ${key} was committed and is gone`, `${how.by} put it into ${where[0]} again`)
      }
      this.#present.set(key, where[0] as string)
    } else {
      if (!how.released)
        this.#report(`item ${key} stays in ${before}`, `it vanished with ${how.by}, which did not commit it`)
      this.#present.delete(key)
      this.#released.set(key, true)
    }
  }

  #recount(db: Keyspace, op: string): void {
    const counted = new Map<string, string>()
    for (const key of db.keys()) {
      if (!/\}:(q:|c:|dl$)/.test(key)) continue
      const place = placeOf(key)
      const values = place.kind === 'dead-letters' ? db.hkeys(key) : db.lrange(key, 0, -1)
      for (const value of values)
        counted.set(itemKeyOf({ key, kind: 'in', value }, place), `${place.kind} ${place.name}`.trim())
    }
    for (const [key, where] of counted) {
      if (this.#present.get(key) !== where)
        this.#report(`item ${key} is in ${this.#present.get(key) ?? 'no place'}`, `at ${op} it is in ${where}`)
    }
    for (const [key, where] of this.#present) {
      if (!counted.has(key)) this.#report(`item ${key} is in ${where}`, `at ${op} it is nowhere`)
    }
  }
}

export const conservation: MakeInvariant = context => new Conservation(context)
