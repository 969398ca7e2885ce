/**
 * Development mode has keys of its own, and whatever node it runs, it changes no others: looked at is what each of its
 * operations leaves behind at the server, not what it says that it does. How its keys begin is said here once more, so
 * that a change there does not change what is right.
 */
import type { CallNews } from '../callers.ts'
import type { Invariant, InvariantContext, MakeInvariant } from './invariant.ts'

const ofDevelopment = /^oe:dev:\{/

class Separation implements Invariant {
  readonly name = 'separation'
  readonly #context: InvariantContext

  constructor(context: InvariantContext) {
    this.#context = context
  }

  call(news: CallNews): void {
    if (news.what !== 'develops') return
    const touched = news.keys.filter(key => !ofDevelopment.test(key))
    if (touched.length > 0)
      this.#context.report('development changes no key of production', `${news.op} changed ${touched.join(', ')}`)
  }
}

export const separation: MakeInvariant = context => new Separation(context)
