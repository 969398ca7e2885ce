/**
 * Those who call: each call travels to a daemon that is up, is answered there or cut off with it, and its answer travels
 * back. Whoever finds nobody to listen tries again for a while.
 *
 * C1 a call reaches one daemon, once: what its sender does not hear of, it does not send again under the same number.
 */
import { EngineError } from '../engine/errors.ts'
import type { JsonObject } from '../engine/json.ts'
import type { PlanCall } from './calls.ts'
import type { SimTime } from './clock.ts'
import type { CallAnswer } from './front.ts'
import type { Instance } from './instance.ts'
import type { Draws } from './random.ts'

/** What becomes of a call, where it is answered: as invariants and situations are told it. */
export type CallNews = { ms: number } & (
  | { what: 'begins' | 'is cut off' | 'finds nobody'; call: PlanCall; teller: string }
  | { what: 'is answered'; call: PlanCall; teller: string; answer: CallAnswer }
  /** Not a call's own: development left these keys otherwise than it found them. */
  | { what: 'develops'; op: string; keys: readonly string[] }
)

export type CallersHost = {
  time: SimTime
  draws: Draws
  calls: readonly PlanCall[]
  latencyMsMax: number
  /** One of those that are up. */
  listener(key: string): Instance | undefined
  news(news: CallNews): void
  /** For the trace. */
  tell(line: JsonObject): void
}

/** How often, and how long apart in milliseconds, somebody tries who finds nobody. */
const triesMax = 20
const againMs = 300

export class Callers {
  readonly #host: CallersHost
  /** Those that are not over, by number. */
  readonly #open: Map<number, PlanCall>

  constructor(host: CallersHost) {
    this.#host = host
    this.#open = new Map(host.calls.map(call => [call.n, call]))
  }

  start(): void {
    for (const call of this.#open.values()) this.#host.time.after(call.at, () => this.#knock(call, 0))
  }

  get areOver(): boolean {
    return this.#open.size === 0
  }

  /** Until when the last of them waits for its time, in milliseconds since the beginning: that is no standstill. */
  get waitUntilMs(): number {
    return Math.max(0, ...[...this.#open.values()].map(({ at }) => at))
  }

  /** For people who ask what is missing. */
  open(): string[] {
    return [...this.#open.values()].map(({ kind, n }) => `${kind} ${n}`)
  }

  #knock(call: PlanCall, tries: number): void {
    const { time, listener, draws, latencyMsMax } = this.#host
    const key = `call ${call.n}`
    const instance = listener(key)
    if (instance !== undefined) time.after(draws.whole(key, 1, latencyMsMax), () => this.#arrive(call, instance))
    else if (tries < triesMax) time.after(againMs, () => this.#knock(call, tries + 1))
    else this.#end(call, { what: 'finds nobody', teller: '' })
  }

  #arrive(call: PlanCall, instance: Instance): void {
    const { time, draws, latencyMsMax } = this.#host
    const { teller } = instance
    if (!instance.isAlive) {
      this.#end(call, { what: 'finds nobody', teller })
      return
    }
    const gone = new AbortController()
    let isOver = false
    const over = (how: Ending): void => {
      if (isOver) return
      isOver = true
      forget()
      this.#end(call, how)
    }
    const forget = instance.onDeath(() => over({ what: 'is cut off', teller }))
    this.#host.news({ ms: time.ms, what: 'begins', call, teller })
    if (call.kind === 'ask' && call.goneMs !== undefined) time.after(call.goneMs, () => gone.abort(clientGone()))
    instance.serve(call, gone.signal, answer => {
      this.#host.tell({ ms: time.ms, call: call.n, ...inShort(answer) })
      this.#host.news({ ms: time.ms, what: 'is answered', call, teller, answer })
      time.after(draws.whole(`call ${call.n} back`, 1, latencyMsMax), () => over({ what: 'heard', teller }))
    })
  }

  #end(call: PlanCall, { what, teller }: Ending): void {
    const { news, time } = this.#host
    this.#open.delete(call.n)
    if (what !== 'heard') news({ ms: time.ms, what, call, teller })
  }
}

function clientGone(): EngineError {
  return new EngineError('ITERATION_ABORTED', 'The request was closed by its client')
}

type Ending = { what: 'is cut off' | 'finds nobody' | 'heard'; teller: string }

/** Of an answer what no version of JavaScript says otherwise. */
function inShort(answer: CallAnswer): JsonObject {
  if (answer.kind === 'post') return { kind: 'post', status: answer.status }
  if (answer.kind === 'refused') return { kind: 'refused', code: answer.code }
  if (answer.kind === 'ask') {
    const { answer: said } = answer
    return { kind: 'ask', ...(said.success ? { output: said.output } : { code: said.code }) }
  }
  const { answer: said } = answer
  return {
    kind: 'develop',
    node: said.node_id,
    ...(said.success ? { output: said.output } : { code: said.error_type }),
  }
}
