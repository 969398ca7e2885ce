/** `sim --real` in words, and its exit code: 0 all held, 1 something did not, 3 something never ended, 5 the engine crashed. */
import type { Io } from './cli.ts'
import type { Settings } from './cli-options.ts'
import { type Targets, usage } from './cli-targets.ts'
import { seedName } from './explore.ts'
import { generatePlan } from './generate.ts'
import type { Patience } from './patience.ts'
import { type RealHost, type RealOptions, type RealRun, runReal } from './real.ts'

export type RealJob = {
  host: RealHost
  settings: Settings
  patience: Patience
  io: Io
} & Pick<RealOptions, 'registry' | 'nodes' | 'redis'>

const exitCodes = { stuck: 3, crash: 5 } as const

export async function realCommand({ plans, subjects }: Targets, job: RealJob): Promise<number> {
  const { settings, patience, io } = job
  // of a story with many seeds one is enough: the seed has no meaning in the real world
  const first = plans.filter(({ plan }, i) => plans.findIndex(other => other.plan.name === plan.name) === i)
  const seed = seedName(settings.firstSeed)
  const stories = [...first, ...subjects.map(subject => ({ subject, plan: generatePlan(subject, seed, []) }))]
  if (stories.length === 0) throw usage('there is nothing that could really run; name a workflow or a scenario')
  const runs: RealRun[] = []
  let leftOut = 0
  await runReal(stories, {
    ...job,
    goesOn: () => patience.goesOn(),
    onRun: (run, ms) => {
      runs.push(run)
      tellRun(run, ms, io)
    },
    onLeftOut: (name, why) => {
      leftOut += 1
      if (!io.isJson) io.out(`${name}: left out: ${why}`)
    },
  })
  tellSum(runs, { leftOut, wallMs: patience.tookMs() }, io)
  const failed = runs.find(({ failure }) => failure !== undefined)?.failure
  if (failed === undefined && patience.isInterrupted) return 130
  // nothing was seen, so nothing is known to hold
  if (failed === undefined) return runs.length === 0 ? 6 : 0
  return exitCodes[failed.invariant as keyof typeof exitCodes] ?? 1
}

function tellRun({ name, how, kills, iterations, failure }: RealRun, ms: number, io: Io): void {
  const way = how === 'killed' ? `killed ${kills} times` : how
  if (failure === undefined) {
    if (!io.isJson) io.out(`${name}, ${way}: held; ${iterations} iterations, ${(ms / 1_000).toFixed(1)} s`)
    return
  }
  const { invariant, expected, seen } = failure
  if (io.isJson) {
    const at = { at: ms, plan: null, artifacts: null, events: kills }
    io.out(JSON.stringify({ type: 'failure', name, how, seed: null, invariant, expected, seen, ...at }))
    return
  }
  io.out(`${name}, ${way}: ${invariant} does not hold`)
  io.out(`  expected  ${expected}`)
  io.out(`  seen      ${seen}`)
}

function tellSum(runs: readonly RealRun[], { leftOut, wallMs }: { leftOut: number; wallMs: number }, io: Io): void {
  const sum = (of: (run: RealRun) => number): number => runs.reduce((total, run) => total + of(run), 0)
  const failures = runs.filter(({ failure }) => failure !== undefined).length
  const [iterations, kills] = [sum(run => run.iterations), sum(run => run.kills)]
  const figures = {
    runs: runs.length,
    failures,
    inconclusive: 0,
    left_out: leftOut,
    iterations,
    kills,
    wall_ms: wallMs,
  }
  if (io.isJson) io.out(JSON.stringify({ type: 'summary', ...figures }))
  else {
    io.out(
      `${runs.length} real runs, ${failures} failures, ${leftOut} left out; ${iterations} iterations, ${kills} kills`,
    )
  }
}
