/**
 * Each call is answered once, by what it asked and not by what another did, and in its time. A request of an api workflow
 * that was told to have gone well has committed, once; one that failed has committed nothing, unless what failed is that
 * nobody knows.
 */
import { canonicalJson, type Json } from '../../engine/json.ts'
import type { ApiAnswer } from '../../engine/run/api-runner.ts'
import type { CallNews } from '../callers.ts'
import { type CallOf, markOf, marksIn } from '../calls.ts'
import type { Applied } from '../server.ts'
import { Book } from './book.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** How long what is under way in Redis may hold up an answer whose time is over, in milliseconds. */
const graceMs = 60_000
/** When nobody can tell whether the commit came about. */
const unsure = /^(REDIS_|API_TIMEOUT$|ITERATION_ABORTED$)/

type Answered = CallNews & { what: 'is answered' }

class Answers implements Invariant {
  readonly name = 'answers'
  readonly #report: Report
  /** Calls that were begun and not yet answered or cut off. */
  readonly #open = new Set<number>()
  /** By token of a request: what it committed, and how often. */
  readonly #commits = new Book<string, string>()
  readonly #everCommitted = new Set<string>()

  constructor({ report }: InvariantContext) {
    this.#report = report
  }

  call(news: CallNews): void {
    if (news.what === 'develops') return
    const { call } = news
    if (news.what === 'begins') this.#open.add(call.n)
    else if (!this.#open.delete(call.n) && news.what === 'is answered')
      this.#report(`call ${call.n} is answered once`, 'it was answered again')
    if (news.what !== 'is answered') return
    const { answer } = news
    if (answer.kind === 'refused') this.#refused(news, answer.code)
    if (answer.kind === 'ask') this.#asked(call as CallOf<'ask'>, answer.answer)
  }

  applied({ op, args, outcome }: Applied): void {
    if (op !== 'commit-request' || !outcome.ok || !outcome.changed || outcome.reply !== 'ok') return
    const [token = '', , how = ''] = args
    if (this.#commits.has(token)) this.#report(`request ${token} commits once`, 'it committed again')
    this.#commits.set(token, how)
    if (how === 'ok') this.#everCommitted.add(token)
  }

  save(): () => void {
    return this.#commits.save()
  }

  #refused({ call }: Answered, code: string): void {
    const mayBe = /^(DRAINING|OVERLOADED|PAYLOAD_TOO_LARGE|NODE_UNKNOWN|NOT_SUPPORTED|REDIS_)/
    if (!mayBe.test(code))
      this.#report(`${call.kind} ${call.n} is answered, or refused for a reason`, `it was refused with ${code}`)
  }

  #asked({ n, timeoutMs }: CallOf<'ask'>, answer: ApiAnswer): void {
    const token = answer.run.slice('request-'.length)
    const { execution_time_ms: tookMs } = answer
    if (tookMs > timeoutMs + graceMs)
      this.#report(`ask ${n} is answered within ${timeoutMs} ms`, `it took ${tookMs} ms`)
    if (answer.success && !this.#everCommitted.has(token))
      this.#report(`ask ${n}, which went well, has committed`, 'it has not')
    if (!answer.success && this.#commits.get(token) === 'ok' && !unsure.test(answer.code))
      this.#report(`ask ${n}, which failed with ${answer.code}, has committed nothing`, 'it has')
    this.#isOwn(n, (answer.success ? (answer.response ?? answer.output) : answer.error) as Json)
  }

  #isOwn(n: number, said: Json): void {
    const others = marksIn(canonicalJson(said)).filter(mark => mark !== markOf(n))
    if (others.length > 0)
      this.#report(`call ${n} is answered by what it asked`, `its answer holds ${others.join(', ')}`)
  }
}

export const answers: MakeInvariant = context => new Answers(context)
