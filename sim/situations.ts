/**
 * Rare situations that must really come up, or a green run means little. Each has a name in words and looks for itself at
 * what the world sees: operations with their answers, faults, events, the lives of daemons. What a long exploration never
 * came upon is told before how much of it was green.
 *
 * A watch is dropped as soon as its situation came up, and is only asked about what it named.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { replicaName } from '../engine/store/keys.ts'
import type { EngineEvent } from '../engine/trace/events.ts'
import type { CallNews } from './callers.ts'
import type { FaultKind, OperationName } from './faults.ts'
import type { LifeNews } from './life.ts'
import type { Applied } from './server.ts'
import { ofCalls } from './situations-calls.ts'
import { ofEngine } from './situations-engine.ts'
import { ofHolders } from './situations-holders.ts'
import { ofOperators } from './situations-operators.ts'
import { ofPools } from './situations-pools.ts'
import { ofStore } from './situations-store.ts'

/** Each says whether this is it. */
export type Watch = {
  /** By operation, as the server applied it; with the lines of its answer's head, empty for an error. */
  ops?: Record<string, (applied: Applied, answer: readonly string[]) => boolean>
  events?: Partial<Record<EngineEvent['type'], (event: EngineEvent, daemon: number) => boolean>>
  faults?: (kind: FaultKind, at: OperationName) => boolean
  lives?: (news: LifeNews) => boolean
  calls?: (news: CallNews) => boolean
  /** The server went back in time; with how many iterations it forgot. */
  lost?: (by: FaultKind, iterations: number) => boolean
}
export type Situation = { name: string; watch: (known: Known) => Watch }

/** Told by the world itself. */
export const completionLost = 'Redis lost a completion after it was told'

const watched: readonly Situation[] = [...ofStore, ...ofHolders, ...ofEngine, ...ofPools, ...ofOperators, ...ofCalls]
export const situations: readonly string[] = [...watched.map(({ name }) => name), completionLost]

export type Holder = { holder: string; pid: number }

/** What several watches want to know. */
export class Known {
  readonly graph: FlowGraph
  /** By pid. */
  readonly lives = new Map<number, { daemon: number; isAlive: boolean; holds: boolean }>()
  /** By the name of a replica. */
  readonly holders = new Map<string, Holder>()
  /** Who held the replica before the acquisition that is being looked at. */
  before: Holder | undefined
  committed = 0

  constructor(graph: FlowGraph) {
    this.graph = graph
  }

  isAlive(pid: number): boolean {
    return this.lives.get(pid)?.isAlive === true
  }

  applied({ op, args, outcome }: Applied, answer: readonly string[]): void {
    if (op === 'commit' && (answer[0] === 'ok' || answer[0] === 'full')) this.committed += Number(answer[1])
    if (op !== 'acquire' || answer[0] !== 'acquired' || !outcome.changed) return
    const [loop = '', replica = '0', holder = '', , , , pid] = args
    const name = replicaName(loop, Number(replica))
    this.before = this.holders.get(name)
    this.holders.set(name, { holder, pid: Number(pid) })
    const life = this.lives.get(Number(pid))
    if (life !== undefined) life.holds = true
  }

  news({ what, daemon, pid }: LifeNews): void {
    if (what === 'begins') this.lives.set(pid, { daemon, isAlive: true, holds: false })
    const life = this.lives.get(pid)
    if (life !== undefined && (what === 'dies' || what === 'ends')) life.isAlive = false
  }
}

type Armed<T> = { situation: Situation; test: T }
type OpTest = NonNullable<Watch['ops']>[string]
type EventTest = (event: EngineEvent, daemon: number) => boolean

/** The watches of one run. */
export class Situations {
  readonly reached = new Set<string>()
  readonly #known: Known
  readonly #ops = new Map<string, Armed<OpTest>[]>()
  readonly #events = new Map<string, Armed<EventTest>[]>()
  readonly #faults: Armed<NonNullable<Watch['faults']>>[] = []
  readonly #lives: Armed<NonNullable<Watch['lives']>>[] = []
  readonly #calls: Armed<NonNullable<Watch['calls']>>[] = []
  readonly #lost: Armed<NonNullable<Watch['lost']>>[] = []
  #lostBy: FaultKind = 'restart-loses'

  constructor(graph: FlowGraph) {
    this.#known = new Known(graph)
    for (const situation of watched) this.#arm(situation, situation.watch(this.#known))
  }

  applied(applied: Applied): void {
    const armed = this.#ops.get(applied.op)
    const answer = headOf(applied)
    this.#known.applied(applied, answer)
    if (armed !== undefined) this.#ask(armed, test => test(applied, answer))
  }

  event(event: EngineEvent, daemon: number): void {
    const armed = this.#events.get(event.type)
    if (armed !== undefined) this.#ask(armed, test => test(event, daemon))
  }

  fault(kind: FaultKind, at: OperationName): void {
    if (kind === 'failover' || kind === 'restart-loses') this.#lostBy = kind
    this.#ask(this.#faults, test => test(kind, at))
  }

  life(news: LifeNews): void {
    this.#known.news(news)
    this.#ask(this.#lives, test => test(news))
  }

  call(news: CallNews): void {
    this.#ask(this.#calls, test => test(news))
  }

  /** A copy of what follows the server back in time. */
  save(): () => void {
    const { committed } = this.#known
    return () => {
      const iterations = this.#known.committed - committed
      this.#known.committed = committed
      this.#ask(this.#lost, test => test(this.#lostBy, iterations))
    }
  }

  #arm(situation: Situation, { ops = {}, events = {}, faults, lives, calls, lost }: Watch): void {
    for (const [op, test] of Object.entries(ops)) push(this.#ops, op, { situation, test })
    for (const [type, test] of Object.entries(events)) push(this.#events, type, { situation, test })
    if (faults !== undefined) this.#faults.push({ situation, test: faults })
    if (lives !== undefined) this.#lives.push({ situation, test: lives })
    if (calls !== undefined) this.#calls.push({ situation, test: calls })
    if (lost !== undefined) this.#lost.push({ situation, test: lost })
  }

  #ask<T>(armed: Armed<T>[], isIt: (test: T) => boolean): void {
    for (let i = armed.length - 1; i >= 0; i--) {
      const { situation, test } = armed[i] as Armed<T>
      if (!this.reached.has(situation.name) && !isIt(test)) continue
      this.reached.add(situation.name)
      armed.splice(i, 1)
    }
  }
}

function push<T>(into: Map<string, T[]>, key: string, value: T): void {
  const there = into.get(key)
  if (there === undefined) into.set(key, [value])
  else there.push(value)
}

/** The lines of an answer, or of its first part. */
function headOf({ outcome }: Applied): readonly string[] {
  if (!outcome.ok) return []
  const { reply } = outcome
  const head: unknown = Array.isArray(reply) ? reply[0] : reply
  return typeof head === 'string' ? head.split('\n') : []
}
