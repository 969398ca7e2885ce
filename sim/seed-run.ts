/**
 * The work of one seed, wherever it is done: here or in a worker. A plan is simulated, sometimes twice to see that
 * nothing but the plan decides; and what fails is shrunk to the little that still makes the same invariant fail.
 */

import type { FaultKind } from './faults.ts'
import { generatePlan } from './generate.ts'
import { simulatedFor } from './generate-workflow.ts'
import type { StartEngine } from './instance.ts'
import { determinism } from './invariants/determinism.ts'
import type { Plan } from './plan.ts'
import { recording } from './recording.ts'
import { shrinkPlan } from './shrink.ts'
import type { Source, Subject } from './subject.ts'
import { type Failure, type RunResult, type Stats, simulate } from './world.ts'

export type Found = {
  failure: Failure
  /** As shrunk, and as it was first. */
  plan: Plan
  original: Plan
  /** Of the shrunk plan. */
  lines: string[]
  /** Its iterations, behind a header, as `replay` reads them. */
  recorded?: string[]
}

/** What is told of a run, without its trace. */
export type Outcome = { failure: Failure | undefined; stats: Stats; hash: string }

export type SeedJob = { seed: string; faults: readonly FaultKind[]; again: 'once' | 'twice' }

export async function runSeed(subject: Subject, job: SeedJob, startEngine: StartEngine): Promise<Outcome> {
  const own = await simulatedFor(subject, job.seed)
  return await runPlan(own, generatePlan(own, job.seed, job.faults), { again: job.again, startEngine })
}

export async function runPlan(
  subject: Subject,
  plan: Plan,
  { again, startEngine }: { again: 'once' | 'twice'; startEngine: StartEngine },
): Promise<Outcome> {
  const run = (trace: 'recent' | 'all') => simulatePlan(subject, { plan, startEngine, trace })
  const { failure, stats, hash } = await run('recent')
  return { failure: failure ?? (again === 'twice' ? await differs(hash, run) : undefined), stats, hash }
}

function simulatePlan(
  { graph, expected }: Subject,
  how: { plan: Plan; startEngine: StartEngine; trace: 'recent' | 'all'; stepsMax?: number },
): Promise<RunResult> {
  return simulate({ ...how, graph, expected })
}

/** Runs the same plan again: the same hash, or the first line that differs. */
async function differs(
  hash: string,
  run: (trace: 'recent' | 'all') => Promise<RunResult>,
): Promise<Failure | undefined> {
  if ((await run('recent')).hash === hash) return undefined
  const [a, b] = [await run('all'), await run('all')]
  const { expected, seen, at } = determinism(a.lines, b.lines) ?? unrepeatable
  return { kind: 'nondeterminism', invariant: 'determinism', expected, seen, at }
}

/** The third and the fourth run were alike again. */
const unrepeatable = { expected: 'the same trace again', seen: 'another one, once', at: 0 }

export type FailedPlan = {
  subject: Subject
  plan: Plan
  failure: Failure
  /** Whether it is made smaller first. */
  shrinks: 'shrinks' | 'as it is'
}
export type ShrinkTools = {
  startEngine: StartEngine
  load: (source: Source) => Promise<Subject>
  /** Asked before each try: false leaves the plan as small as it is by then. */
  shrinks?: () => boolean
}

/** Makes the plan of a failure smaller, and tells its whole trace. */
export async function explain(failed: FailedPlan, { startEngine, load, shrinks }: ShrinkTools): Promise<Found> {
  const { failure, plan: original } = failed
  let { subject } = failed
  let [stepsMax, iterationsMax]: [number?, number?] = []
  const run = async (plan: Plan, trace: 'recent' | 'all', start = startEngine): Promise<RunResult> => {
    if (plan.workflow !== subject.workflow || plan.files !== subject.files) {
      const { workflow, files } = plan
      const { graph: _, expected: __, ...source } = subject
      subject = await load({ ...source, workflow, files, ...(iterationsMax === undefined ? {} : { iterationsMax }) })
    }
    return await simulatePlan(subject, {
      plan,
      startEngine: start,
      trace,
      ...(stepsMax === undefined ? {} : { stepsMax }),
    })
  }
  const fails = async (plan: Plan): Promise<boolean> => {
    if (shrinks?.() === false) return false
    // a candidate that is no workflow any more does not count
    const again = await run(plan, 'recent')
      .then(({ failure: seen }) => seen)
      .catch(() => undefined)
    return again?.kind === failure.kind && again.invariant === failure.invariant
  }
  const isShrunk = failed.shrinks === 'shrinks' && failure.kind !== 'nondeterminism'
  if (isShrunk && failure.kind !== 'inconclusive') {
    // a smaller plan that takes much longer is none, and a ring that was cut out of a workflow may go round for ever
    const { steps, iterations } = (await run(original, 'recent')).stats
    stepsMax = 2 * steps + 5_000
    iterationsMax = 4 * iterations + 500
  }
  const plan = isShrunk ? await shrinkPlan(original, fails) : original
  const recorder = recording(plan, startEngine)
  const { lines, failure: last } = await run(plan, 'all', recorder.startEngine)
  return { failure: last ?? failure, plan, original, lines, recorded: recorder.lines }
}
