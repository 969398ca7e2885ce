/**
 * Many lives of workflows: one plan per seed, each simulated, some twice to see that nothing but the plan decides. What
 * fails is shrunk to the few events that still make the same invariant fail.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, type JsonObject } from '../engine/json.ts'
import type { FaultKind } from './faults.ts'
import { generatePlan } from './generate.ts'
import { type StartEngine, startFlowEngine } from './instance.ts'
import type { Plan } from './plan.ts'
import { ddmin } from './shrink.ts'
import type { Subject } from './subject.ts'
import { type Failure, type RunResult, type Stats, simulate } from './world.ts'

export type Found = {
  failure: Failure
  /** As shrunk, and as it was first. */
  plan: Plan
  original: Plan
  /** Of the shrunk plan. */
  lines: string[]
}

export type Exploration = {
  runs: number
  found: Found[]
  inconclusive: number
  totals: Omit<Stats, 'reached' | 'faults' | 'steps'>
  faults: Partial<Record<FaultKind, number>>
  neverReached: string[]
  /** SHA-256 of the hashes of all runs, in order; null when time decided how many there were. */
  traceHash: string | null
}

export type ExploreOptions = {
  seeds: number
  /** The first seed; the others follow. */
  firstSeed: number
  faults: readonly FaultKind[]
  startEngine?: StartEngine
  /** Asked before each run: false ends the exploration. */
  goesOn?: () => boolean
  onRun?: (done: { run: number; of: number; failures: number }) => void
  /** Stops at the first failure. */
  stopAtFailure?: boolean
}

/** Every so many seeds a plan runs twice. */
const twiceEvery = 50
const shrinkRunsMax = 150
/** So many failures are shrunk; after that their plans stay as they are. */
const shrunkMax = 5

/** Situations that a long enough exploration must have come upon. */
export const situations = [
  'a commit was sent again after it was applied',
  'a replica was told that Redis went back in time',
  'a replica was told that another holder took over',
  'claims of a dead holder were recovered',
  'a replica waited for the lease of another holder',
  'Redis lost the whole run',
] as const

export function seedName(seed: number): string {
  return `0x${seed.toString(16)}`
}

/** Simulates every subject with every seed. */
export async function explore(subjects: readonly Subject[], options: ExploreOptions): Promise<Exploration> {
  const tally = new Tally()
  const of = subjects.length * options.seeds
  for (const subject of subjects) {
    for (let i = 0; i < options.seeds; i++) {
      if (options.goesOn?.() === false || (options.stopAtFailure === true && tally.found.length > 0)) {
        return tally.result('cut short')
      }
      const plan = generatePlan(subject, seedName(options.firstSeed + i), options.faults)
      await tally.run(subject, plan, { again: i % twiceEvery === 0 ? 'twice' : 'once', ...options })
      options.onRun?.({ run: tally.runs, of, failures: tally.found.length })
    }
  }
  return tally.result('whole')
}

/** Simulates stored plans. */
export async function replayPlans(
  stored: readonly { subject: Subject; plan: Plan }[],
  startEngine: StartEngine = startFlowEngine,
): Promise<Exploration> {
  const tally = new Tally()
  for (const { subject, plan } of stored)
    await tally.run(subject, plan, { again: 'twice', startEngine, shrinks: false })
  // stored plans are there for what they hold, not for what they come upon
  return { ...tally.result('whole'), neverReached: [] }
}

const totalled = ['simulatedMs', 'iterations', 'commits', 'crashes'] as const

class Tally {
  runs = 0
  readonly found: Found[] = []
  #inconclusive = 0
  readonly #totals = { simulatedMs: 0, iterations: 0, commits: 0, crashes: 0 }
  readonly #faults: Partial<Record<FaultKind, number>> = {}
  readonly #reached = new Set<string>()
  readonly #hash = createHash('sha256')

  async run(
    subject: Subject,
    plan: Plan,
    how: { again: 'once' | 'twice'; startEngine?: StartEngine; shrinks?: boolean },
  ): Promise<void> {
    const startEngine = how.startEngine ?? startFlowEngine
    const run: Run = (trace, events = plan.events) =>
      simulate({
        plan: { ...plan, events: [...events] },
        graph: subject.graph,
        expected: subject.expected,
        startEngine,
        trace,
      })
    const result = await run('recent')
    this.#add(result)
    const failure = result.failure ?? (how.again === 'twice' ? await differs(result, run) : undefined)
    if (failure === undefined) return
    if (failure.kind === 'inconclusive') this.#inconclusive += 1
    const shrinks = how.shrinks !== false && this.found.length < shrunkMax && failure.kind !== 'nondeterminism'
    const events = shrinks ? await shrink(plan, failure, run) : plan.events
    const { lines, failure: last } = await run('all', events)
    this.found.push({ failure: last ?? failure, plan: { ...plan, events: [...events] }, original: plan, lines })
  }

  #add({ stats, hash }: RunResult): void {
    this.runs += 1
    this.#hash.update(hash)
    for (const key of totalled) this.#totals[key] += stats[key]
    for (const [kind, n] of Object.entries(stats.faults)) {
      this.#faults[kind as FaultKind] = (this.#faults[kind as FaultKind] ?? 0) + n
    }
    for (const situation of stats.reached) this.#reached.add(situation)
  }

  result(extent: 'whole' | 'cut short'): Exploration {
    return {
      runs: this.runs,
      found: this.found,
      inconclusive: this.#inconclusive,
      totals: this.#totals,
      faults: this.#faults,
      neverReached: situations.filter(situation => !this.#reached.has(situation)),
      traceHash: extent === 'whole' ? this.#hash.digest('hex') : null,
    }
  }
}

type Run = (trace: 'recent' | 'all', events?: readonly Plan['events'][number][]) => Promise<RunResult>

/** Runs the same plan again: the same hash, or the first line that differs. */
async function differs(before: RunResult, run: Run): Promise<Failure | undefined> {
  if ((await run('recent')).hash === before.hash) return undefined
  const [a, b] = [await run('all'), await run('all')]
  const at = a.lines.findIndex((line, i) => line !== b.lines[i])
  const { ms = 0 } = JSON.parse(a.lines[at] ?? '{}') as { ms?: number }
  return {
    kind: 'nondeterminism',
    invariant: 'determinism',
    expected: a.lines[at] ?? 'the same trace again',
    seen: b.lines[at] ?? 'a shorter or longer one',
    at: ms,
  }
}

async function shrink(plan: Plan, failure: Failure, run: Run): Promise<readonly Plan['events'][number][]> {
  const fails = async (events: readonly Plan['events'][number][]): Promise<boolean> => {
    const again = (await run('recent', events)).failure
    return again?.kind === failure.kind && again.invariant === failure.invariant
  }
  return (await fails([])) ? [] : await ddmin(plan.events, fails, shrinkRunsMax)
}

/** What a plan is known by in files and lines. */
export function planText(plan: Plan): string {
  return `${JSON.stringify(JSON.parse(canonicalJson(plan as unknown as JsonObject)), null, 2)}\n`
}
