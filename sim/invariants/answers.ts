/**
 * Each call is answered once, by what it asked and not by what another did, and in its time. A request of an api workflow
 * that was told to have gone well has committed, once; one that failed has committed nothing, unless what failed is that
 * nobody knows. In development a session steps through its items, and an output is remembered for a day and no longer.
 */
import { canonicalJson, isJsonObject, type Json } from '../../engine/json.ts'
import { limits } from '../../engine/limits.ts'
import type { ApiAnswer } from '../../engine/run/api-runner.ts'
import type { DevAnswer } from '../../engine/run/dev-runner.ts'
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
  /** By life, session and node: what it counted last, and when. */
  readonly #steps = new Map<string, { current: number; step: number; ms: number }>()

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
    if (answer.kind === 'develop') this.#developed(news, answer.answer)
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
    const mayBe = /^(DRAINING|OVERLOADED|PAYLOAD_TOO_LARGE|REDIS_)/
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

  #developed({ call, teller, ms }: Answered, answer: DevAnswer): void {
    const { node, session } = call as CallOf<'develop'>
    if (answer.node_id !== node || (session !== undefined && answer.session_id !== session))
      this.#report(`develop ${call.n} runs node "${node}"`, `"${answer.node_id}" ran, in session ${answer.session_id}`)
    if (!answer.success || session === undefined || answer.node_type !== 'counter') return
    this.#goesOn(`${teller} ${session} ${node}`, answer.output?.counter, ms)
  }

  /** Whoever counts in a session goes on where it stopped, unless it was idle so long that it has begun anew. */
  #goesOn(place: string, counter: Json | undefined, ms: number): void {
    const before = this.#steps.get(place)
    if (!isJsonObject(counter)) return void this.#steps.delete(place)
    const { current, step, direction } = counter as { current: number; step: number; direction: string }
    const by = direction === 'decrement' ? -step : step
    this.#steps.set(place, { current, step: by, ms })
    if (before === undefined || ms - before.ms >= limits.devSessionIdleMs) return
    if (Math.abs(current - (before.current + by)) > 1e-6)
      this.#report(`session and node "${place}" go on at ${before.current + by}`, `they went on at ${current}`)
  }
}

export const answers: MakeInvariant = context => new Answers(context)
