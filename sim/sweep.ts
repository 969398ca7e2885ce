/**
 * Every moment, one by one: a run without faults tells which operations there are; then each of them is hit once, by a
 * crash before it is sent, when it is applied and when its reply has come, and by a connection that is lost at the same
 * three moments. What random faults come upon seldom is looked at here for certain.
 */
import { drawCalls, isEndless } from './calls.ts'
import type { Exploration } from './explore.ts'
import { replayPlans } from './explore.ts'
import type { FaultKind, OperationName } from './faults.ts'
import { type StartEngine, startFlowEngine } from './instance.ts'
import type { Plan } from './plan.ts'
import { Draws } from './random.ts'
import type { Subject } from './subject.ts'
import { type RunResult, simulate } from './world.ts'

export const sweepFaults: readonly FaultKind[] = [
  'crash-before',
  'crash-applied',
  'crash-replied',
  'lost-before',
  'reply-lost',
  'refused-applied',
]

export type SweepOptions = {
  seed: string
  startEngine?: StartEngine
  /** Asked before each run: false ends the sweep. */
  goesOn?: () => boolean
  onRun?: (progress: { run: number; of: number; failures: number }) => void
}

export type Sweep = {
  /** Operations that were hit. */
  operations: number
  /** Faults that came about: a wake-up that nobody waits for has no reply to lose. */
  hit: number
  whole: Exploration
}

/** Hits every operation of every workflow with every fault of `sweepFaults`, one per run. */
export async function sweepCrashes(subjects: readonly Subject[], options: SweepOptions): Promise<Sweep> {
  const tally = new Tally()
  const startEngine = options.startEngine ?? startFlowEngine
  const planned: { subject: Subject; plan: Plan }[] = []
  let operations = 0
  for (const subject of subjects) {
    const calm = calmPlan(subject, options.seed)
    const first = await run(subject, calm, startEngine)
    if (tally.add(first)) tally.failed.push({ subject, plan: calm })
    operations += first.operations.length
    const hits = first.operations.flatMap(at => sweepFaults.map(kind => ({ subject, plan: withFault(calm, kind, at) })))
    planned.push(...hits)
  }
  for (const each of planned) {
    if (options.goesOn?.() === false) break
    if (tally.add(await run(each.subject, each.plan, startEngine))) tally.failed.push(each)
    options.onRun?.({ run: tally.runs, of: planned.length + subjects.length, failures: tally.failed.length })
  }
  const { found, inconclusive } = await replayPlans(tally.failed, { startEngine })
  const { runs, totals, faults } = tally
  const hit = Object.values(faults).reduce((sum, n) => sum + n, 0)
  return {
    operations,
    hit,
    whole: {
      runs,
      totals,
      faults,
      found,
      inconclusive,
      medians: { commits: 0, faults: 0 },
      neverReached: [],
      traceHash: null,
    },
  }
}

/** Nothing goes wrong in it, and everything takes as long as it does. */
function calmPlan({ name, workflow, files, graph }: Subject, seed: string): Plan {
  const settings = {
    latencyMsMax: 2,
    fsyncMs: 1_000,
    comebackMsMax: 20,
    elsewhere: 0,
    instances: 1,
    serving: isEndless(graph) ? ('daemon' as const) : ('run' as const),
    lagMs: 1_000,
    faultsUntilMs: 1_800_000,
  }
  const calls = drawCalls(graph, new Draws(`${seed}|plan`), 'never')
  return { version: 1, name, seed, workflow, files, settings, events: [], ...(calls.length === 0 ? {} : { calls }) }
}

function withFault(plan: Plan, kind: FaultKind, { op, loop, n }: OperationName): Plan {
  const actor = kind.startsWith('crash') ? ('daemon' as const) : ('connection' as const)
  return {
    ...plan,
    name: `${plan.name}-${kind}-${op}-${loop}-${n}`,
    events: [{ at: 0, actor, kind, args: { op, loop, n } }],
  }
}

function run({ graph, expected }: Subject, plan: Plan, startEngine: StartEngine): Promise<RunResult> {
  return simulate({ plan, graph, expected, startEngine, trace: 'recent' })
}

class Tally {
  runs = 0
  readonly failed: { subject: Subject; plan: Plan }[] = []
  readonly totals = { simulatedMs: 0, iterations: 0, commits: 0, crashes: 0 }
  readonly faults: Partial<Record<FaultKind, number>> = {}

  /** True when it failed. */
  add({ stats, failure }: RunResult): boolean {
    this.runs += 1
    for (const key of ['simulatedMs', 'iterations', 'commits', 'crashes'] as const) this.totals[key] += stats[key]
    for (const [kind, n] of Object.entries(stats.faults) as [FaultKind, number][]) {
      this.faults[kind] = (this.faults[kind] ?? 0) + n
    }
    return failure !== undefined
  }
}
