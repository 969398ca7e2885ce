/**
 * What a scenario says must hold in the end: how many items, or which, are in queues, files and dead letters. A run that
 * gave an item up as poison is not measured by it, since no scenario knows how often its daemon will die.
 */
import { isJsonObject, type Json, jsonEqual } from '../../engine/json.ts'
import { orderOf } from '../order.ts'
import { byPath } from '../outside.ts'
import type { Effects } from '../reference.ts'
import { effectsOf } from './exactly-once.ts'
import type { EndState, Invariant, InvariantContext, MakeInvariant } from './invariant.ts'

/** A number is how many there are; a list says what they hold at least, in order where the order is sure. */
export type Must = {
  queues?: Record<string, number | Json[]>
  dead_letters?: number | Record<string, number | Json[]>
  /** What was written, each at least once: with crashes a file may get a line twice. */
  files?: Record<string, number | Json[]>
  iterations?: Record<string, number>
}

class Check implements Invariant {
  readonly name = 'check'
  readonly #context: InvariantContext

  constructor(context: InvariantContext) {
    this.#context = context
  }

  end({ db, files, expected, hasRequeued }: EndState): void {
    const { graph } = this.#context
    const said = files.must(graph.hash)
    if (said === undefined && expected?.tell === undefined) return
    const left = effectsOf(graph, db)
    if (left === 'poisoned' || hasRequeued) return
    const effects = { ...left, files: byPath(files.writes), requests: files.requests() }
    expected?.tell?.(effects)
    if (said !== undefined) this.#compare(JSON.parse(said) as Must, effects)
  }

  #compare(must: Must, effects: Effects): void {
    const { queues } = orderOf(this.#context.graph)
    for (const [name, wanted] of Object.entries(must.queues ?? {})) {
      const how = queues.has(name) ? 'in order' : 'in any order'
      this.#list(`queue "${name}"`, wanted, { seen: (effects.queues[name] ?? []).map(dataOf), how })
    }
    const letters = Object.values(effects.deadLetters).flat()
    const byLoop = typeof must.dead_letters === 'object' ? must.dead_letters : {}
    if (typeof must.dead_letters === 'number') this.#list('dead letters', must.dead_letters, { seen: letters })
    for (const [loop, wanted] of Object.entries(byLoop)) {
      this.#list(`dead letters of "${loop}"`, wanted, { seen: effects.deadLetters[loop] ?? [] })
    }
    for (const [path, wanted] of Object.entries(must.files ?? {})) {
      this.#list(`writes to "${path}"`, wanted, { seen: [...new Set(effects.files[path] ?? [])].map(withoutNewline) })
    }
    for (const [loop, wanted] of Object.entries(must.iterations ?? {})) {
      const seen = effects.iterations[loop] ?? 0
      if (seen !== wanted) this.#context.report(`iterations of "${loop}": ${wanted}`, `there were ${seen}`)
    }
  }

  #list(what: string, wanted: number | Json[], at: { seen: Json[]; how?: 'in order' | 'in any order' }): void {
    const { seen, how = 'in any order' } = at
    const isSo = typeof wanted === 'number' ? seen.length === wanted : holdsAll(wanted, seen, how)
    if (isSo) return
    const said = typeof wanted === 'number' ? `${wanted} of them` : `${how} ${JSON.stringify(wanted).slice(0, 600)}`
    this.#context.report(`${what}: ${said}`, `${seen.length} of them: ${JSON.stringify(seen).slice(0, 600)}`)
  }
}

function dataOf(item: Json): Json {
  return isJsonObject(item) ? (item.data ?? null) : null
}

function withoutNewline(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text
}

function holdsAll(wanted: readonly Json[], seen: readonly Json[], how: 'in order' | 'in any order'): boolean {
  if (wanted.length !== seen.length) return false
  if (how === 'in order') return wanted.every((each, i) => holds(each, seen[i] as Json))
  const left = [...seen]
  return wanted.every(each => {
    const at = left.findIndex(one => holds(each, one))
    if (at >= 0) left.splice(at, 1)
    return at >= 0
  })
}

/** Whether a value has everything that is wanted; it may have more keys. */
function holds(wanted: Json, seen: Json): boolean {
  if (!isJsonObject(wanted) || !isJsonObject(seen)) return jsonEqual(wanted, seen)
  return Object.entries(wanted).every(([key, value]) => key in seen && holds(value, seen[key] as Json))
}

export const check: MakeInvariant = context => new Check(context)
