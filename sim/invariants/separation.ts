/**
 * Development mode has keys of its own, and whatever node it runs, it changes no others: it is looked at what each of its
 * operations leaves behind at the server, not at what it says that it does.
 */
import { devPrefix } from '../../engine/store/keys.ts'
import type { CallNews } from '../callers.ts'
import type { Invariant, InvariantContext, MakeInvariant } from './invariant.ts'

class Separation implements Invariant {
  readonly name = 'separation'
  readonly #context: InvariantContext

  constructor(context: InvariantContext) {
    this.#context = context
  }

  call(news: CallNews): void {
    if (news.what !== 'develops') return
    const { graph, report } = this.#context
    const own = devPrefix(graph.workflow.id)
    const touched = news.keys.filter(key => !key.startsWith(own))
    if (touched.length > 0)
      report(`development changes only keys that begin with "${own}"`, `${news.op} changed ${touched.join(', ')}`)
  }
}

export const separation: MakeInvariant = context => new Separation(context)
