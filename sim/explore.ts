/**
 * Many lives of workflows: one plan per seed, each simulated, some twice to see that nothing but the plan decides. How
 * many are under way at a time changes nothing: everything is told in the order of seeds.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, type JsonObject } from '../engine/json.ts'
import { type Crew, crewHere } from './crew.ts'
import { allFaultKinds, type FaultKind } from './faults.ts'
import { generatePlan } from './generate.ts'
import { plannedFor } from './generate-workflow.ts'
import { type StartEngine, startFlowEngine } from './instance.ts'
import type { Plan } from './plan.ts'
import { type Found, type Outcome, runPlan } from './seed-run.ts'
import { situations } from './situations.ts'
import type { Source, Subject } from './subject.ts'
import type { Failure, Stats } from './world.ts'

export type { Found }

export type Exploration = {
  runs: number
  found: Found[]
  inconclusive: number
  totals: Omit<Stats, 'reached' | 'faults' | 'steps' | 'echoed'>
  faults: Partial<Record<FaultKind, number>>
  /** Of a run. */
  medians: { commits: number; faults: number }
  /** Rare situations that so many seeds must have come upon, and did not. */
  neverReached: string[]
  /** Of the first run that had one: a request that nobody answers but with a plain 200 and an echo. */
  echoed?: string
  /** SHA-256 of the hashes of all runs, in the order of seeds; null when it was cut short. */
  traceHash: string | null
}

export type Progress = {
  run: number
  of: number
  failures: number
  simulatedMs: number
  /** How many distinct situations came up. */
  situations: number
}

export type ExploreOptions = {
  seeds: number
  /** The first seed; the others follow. */
  firstSeed: number
  faults: readonly FaultKind[]
  startEngine?: StartEngine
  /** How a workflow is loaded that was made smaller; with built-in nodes only, unless told otherwise. */
  load?: (source: Source) => Promise<Subject>
  /** Who carries the runs out; this thread unless told otherwise. */
  crew?: Crew
  /** Asked before each run: false ends the exploration. */
  goesOn?: () => boolean
  /** Asked before what failed is made smaller. */
  shrinks?: () => boolean
  onRun?: (progress: Progress) => void
  /** Stops at the first failure. */
  stopAtFailure?: boolean
}

/** Every so many seeds a plan runs twice. */
const twiceEvery = 50
/** The rarest situation comes up once in about 150 seeds. */
export const situationSeedsMin = 1_000
/** So many failures are shrunk; after that their plans stay as they are. */
const shrunkMax = 5

export function seedName(seed: number): string {
  return `0x${seed.toString(16)}`
}

/** Simulates every subject with every seed. */
export async function explore(subjects: readonly Subject[], options: ExploreOptions): Promise<Exploration> {
  const tally = new Tally()
  const { seeds, firstSeed, faults, crew = crewHere(subjects, options) } = options
  const wanted = owesSituations(subjects, options) ? situations : []
  const of = subjects.length * seeds
  const isCut = (): boolean =>
    options.goesOn?.() === false || (options.stopAtFailure === true && tally.failed.length > 0)
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < of && !isCut()) {
      const at = next++
      const [subject, i] = [Math.floor(at / seeds), at % seeds]
      const seed = seedName(firstSeed + i)
      const again = i % twiceEvery === 0 ? 'twice' : 'once'
      tally.add({ at, subject, seed }, await crew.run(subject, { seed, faults, again }))
      options.onRun?.(tally.progress(of))
    }
  }
  await Promise.all(Array.from({ length: crew.size }, lane))
  const planOf = ({ subject, seed }: Done) => generatePlan(plannedFor(subjects[subject] as Subject, seed), seed, faults)
  const found = await explainAll(tally, { crew, planOf, ...(options.shrinks && { shrinks: options.shrinks }) })
  const neverReached = wanted.filter(situation => !tally.reached.has(situation))
  return { ...tally.result(found), neverReached, traceHash: tally.runs === of ? tally.hash() : null }
}

/** One workflow, a few lives or a few kinds of faults can't come upon everything: only what draws all of it is asked. */
function owesSituations(subjects: readonly Subject[], { seeds, faults }: ExploreOptions): boolean {
  const isDrawn = subjects.some(({ perSeed }) => perSeed === true)
  return isDrawn && seeds >= situationSeedsMin && allFaultKinds.every(kind => faults.includes(kind))
}

/** Simulates stored plans. */
export async function replayPlans(
  stored: readonly { subject: Subject; plan: Plan }[],
  { startEngine = startFlowEngine, goesOn }: Pick<ExploreOptions, 'startEngine' | 'goesOn'> = {},
): Promise<Exploration> {
  const tally = new Tally()
  for (const [at, { subject, plan }] of stored.entries()) {
    if (goesOn?.() === false) break
    tally.add({ at, subject: at, seed: plan.seed }, await runPlan(subject, plan, { again: 'twice', startEngine }))
  }
  const crew = crewHere(
    stored.map(({ subject }) => subject),
    { startEngine },
  )
  const planOf = ({ at }: Done) => stored[at]?.plan as Plan
  const found = await explainAll(tally, { crew, planOf, shrinks: () => false })
  // stored plans are there for what they hold, not for what they come upon
  return { ...tally.result(found), neverReached: [], traceHash: tally.hash() }
}

type Done = { at: number; subject: number; seed: string }
type Failing = Done & { failure: Failure }

/** The plans and traces of what failed, in the order of seeds. */
async function explainAll(
  { failed }: Tally,
  how: { crew: Crew; planOf: (done: Done) => Plan; shrinks?: () => boolean },
): Promise<Found[]> {
  const found: Found[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < failed.length) {
      const i = next++
      const { failure, ...done } = failed[i] as Failing
      const shrinks = i < shrunkMax && how.shrinks?.() !== false ? 'shrinks' : 'as it is'
      found[i] = await how.crew.explain(done.subject, { plan: how.planOf(done), failure, shrinks })
    }
  }
  failed.sort((a, b) => a.at - b.at)
  await Promise.all(Array.from({ length: how.crew.size }, lane))
  return found
}

const totalled = ['simulatedMs', 'iterations', 'commits', 'crashes'] as const

/** What was done, in whatever order it was. */
class Tally {
  runs = 0
  readonly failed: Failing[] = []
  readonly #totals = { simulatedMs: 0, iterations: 0, commits: 0, crashes: 0 }
  readonly #faults: Partial<Record<FaultKind, number>> = {}
  readonly reached = new Set<string>()
  readonly #hashes: string[] = []
  #echoed: { at: number; request: string } | undefined
  readonly #commits: number[] = []
  readonly #applied: number[] = []

  add(done: Done, { failure, stats, hash }: Outcome): void {
    this.runs += 1
    this.#hashes[done.at] = hash
    for (const key of totalled) this.#totals[key] += stats[key]
    for (const [kind, n] of Object.entries(stats.faults)) {
      this.#faults[kind as FaultKind] = (this.#faults[kind as FaultKind] ?? 0) + n
    }
    for (const situation of stats.reached) this.reached.add(situation)
    if (stats.echoed !== undefined && done.at < (this.#echoed?.at ?? Number.POSITIVE_INFINITY)) {
      this.#echoed = { at: done.at, request: stats.echoed }
    }
    this.#commits.push(stats.commits)
    this.#applied.push(Object.values(stats.faults).reduce((sum, n) => sum + n, 0))
    if (failure !== undefined) this.failed.push({ ...done, failure })
  }

  progress(of: number): Progress {
    const { simulatedMs } = this.#totals
    return { run: this.runs, of, failures: this.failed.length, simulatedMs, situations: this.reached.size }
  }

  /** SHA-256 of the hashes in the order of seeds, not in the order in which runs ended. */
  hash(): string {
    const hash = createHash('sha256')
    for (const each of this.#hashes) hash.update(each)
    return hash.digest('hex')
  }

  result(found: Found[]): Omit<Exploration, 'traceHash' | 'neverReached'> {
    const kinds = Object.entries(this.#faults).sort(([a], [b]) => (a < b ? -1 : 1))
    return {
      runs: this.runs,
      found,
      inconclusive: this.failed.filter(({ failure }) => failure.kind === 'inconclusive').length,
      totals: this.#totals,
      faults: Object.fromEntries(kinds),
      ...(this.#echoed && { echoed: this.#echoed.request }),
      medians: { commits: medianOf(this.#commits), faults: medianOf(this.#applied) },
    }
  }
}

function medianOf(counts: readonly number[]): number {
  return counts.toSorted((a, b) => a - b)[counts.length >> 1] ?? 0
}

/** What a plan is known by in files and lines. */
export function planText(plan: Plan): string {
  return `${JSON.stringify(JSON.parse(canonicalJson(plan as unknown as JsonObject)), null, 2)}\n`
}
