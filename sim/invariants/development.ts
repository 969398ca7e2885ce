/**
 * In development a call runs the node that it names; whoever counts in a session goes on where it stopped; and what a node
 * put out is there for those after it, in this session, for a day and no longer. Clocks may be wrong by an hour or two.
 */
import type { FlowGraph, PlanEdge } from '../../engine/graph/flow-graph.ts'
import { isJsonObject, type Json } from '../../engine/json.ts'
import { limits } from '../../engine/limits.ts'
import type { DevAnswer } from '../../engine/run/dev-runner.ts'
import type { CallNews } from '../callers.ts'
import type { CallOf } from '../calls.ts'
import type { Applied } from '../server.ts'
import { Book } from './book.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

const clockErrorMs = 2 * 3_600_000

type Answered = Extract<CallNews, { what: 'is answered' }>
/** `maybe`: calls since then that Redis failed; the node may have run for them. */
type Count = { current: number; by: number; ms: number; maybe: number }

class Development implements Invariant {
  readonly name = 'development'
  readonly #report: Report
  /** Of nodes that get their input from others, from which. */
  readonly #upstream: ReadonlyMap<string, readonly string[]>
  /** By life, session and node: what it counted last, and when. */
  readonly #counts = new Map<string, Count>()
  /** By session and node: when its output was kept, as the server knows, and as it ever knew. */
  readonly #kept = new Book<string, number>()
  readonly #everKept = new Map<string, number>()
  /** By call. */
  readonly #begun = new Map<number, number>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#upstream = upstreamOf(graph)
  }

  call(news: CallNews): void {
    if (news.what === 'develops' || news.call.kind !== 'develop') return
    if (news.what === 'begins') this.#begun.set(news.call.n, news.ms)
    if (news.what !== 'is answered' || news.answer.kind !== 'develop') return
    const { answer } = news.answer
    const { node, session, n } = news.call
    if (answer.node_id !== node || (session !== undefined && answer.session_id !== session))
      this.#report(`develop ${n} runs node "${node}"`, `"${answer.node_id}" ran, in session ${answer.session_id}`)
    this.#remembers(news, answer)
    const isCounting = session !== undefined && answer.success && answer.node_type === 'counter'
    const place = `${news.teller} ${session} ${node}`
    if (!answer.success && answer.error_type.startsWith('REDIS_')) this.#mayHaveCounted(place)
    if (isCounting) this.#goesOn(place, answer.output?.counter, news.ms)
  }

  applied({ op, args, outcome, ms }: Applied): void {
    const [place = '', value = ''] = args
    if (op !== 'dev-cache' || !outcome.ok || value === '') return
    this.#kept.set(place, ms)
    this.#everKept.set(place, ms)
  }

  save(): () => void {
    return this.#kept.save()
  }

  /** Who was given nothing runs on what was kept, and on nothing older. */
  #remembers({ call, ms }: Answered, answer: DevAnswer): void {
    const upstream = this.#upstream.get(answer.node_id)
    if (upstream === undefined || (call as CallOf<'develop'>).hasInput === true) return
    const lastOf = (kept: ReadonlyMap<string, number>) =>
      Math.max(-Infinity, ...upstream.map(id => kept.get(`${answer.session_id}\t${id}`) ?? -Infinity))
    const begunMs = this.#begun.get(call.n) ?? ms
    const hasNone = !answer.success && answer.error_type === 'NO_INPUT'
    const what = `node "${answer.node_id}" in session ${answer.session_id}`
    const last = lastOf(this.#kept)
    if (hasNone && last < begunMs && begunMs - last < limits.devCacheMs - clockErrorMs)
      this.#report(`${what} has what was put out before it`, `it was told that there is nothing`)
    if (answer.success && begunMs - lastOf(this.#everKept) > limits.devCacheMs + clockErrorMs)
      this.#report(`${what} has no output older than a day to run on`, 'it ran')
  }

  /** What a node put out was not kept, so that who asked got an error: the node has run all the same. */
  #mayHaveCounted(place: string): void {
    const count = this.#counts.get(place)
    if (count !== undefined) count.maybe += 1
  }

  /** Unless the session was idle so long that it has begun anew. */
  #goesOn(place: string, counter: Json | undefined, ms: number): void {
    const before = this.#counts.get(place)
    this.#counts.delete(place)
    if (!isJsonObject(counter)) return
    const { current, step, direction } = counter as { current: number; step: number; direction: string }
    const by = direction === 'decrement' ? -step : step
    this.#counts.set(place, { current, by, ms, maybe: 0 })
    if (before === undefined || ms - before.ms >= limits.devSessionIdleMs) return
    const steps = by === 0 ? 1 : Math.round((current - before.current) / by)
    const isNext = steps >= 1 && steps <= 1 + before.maybe
    if (!isNext || Math.abs(current - (before.current + steps * by)) > 1e-6)
      this.#report(`session and node "${place}" go on at ${before.current + by}`, `they went on at ${current}`)
  }
}

/** Of the nodes of a request's plan: in others what comes before may also come by a queue. */
function upstreamOf({ workflow, loops }: FlowGraph): Map<string, readonly string[]> {
  const upstream = new Map<string, readonly string[]>()
  for (const { plan, producer } of workflow.type === 'api' ? loops : []) {
    for (const { node, incoming } of plan.steps) {
      const from = incoming.map(edge => (plan.edges[edge] as PlanEdge).from)
      const ids = from.map(step => (step === -1 ? producer?.id : plan.steps[step]?.node.id) ?? '')
      upstream.set(node.id, ids)
    }
  }
  return upstream
}

export const development: MakeInvariant = context => new Development(context)
