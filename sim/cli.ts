/**
 * `theoneeye sim …`: reads its own words, explores, tells what was found, and resolves to the exit code of spec 2.4:
 * 0 held, 1 invariant, 2 bad usage, 3 liveness, 4 nondeterminism or escape, 5 crash of the engine, 6 inconclusive.
 * daemon/commands/sim.ts is the one that calls it, by a dynamic import.
 */
import { Command, CommanderError } from 'commander'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { keepFailure, readTargets, type Targets, usage } from './cli-targets.ts'
import { type Exploration, explore, type Found, replayPlans, seedName } from './explore.ts'
import { allFaultKinds, type FaultKind, faultKinds, isFaultKind } from './faults.ts'
import { generatePlan } from './generate.ts'
import { runMutants } from './mutants.ts'
import { describeFailure, describePlan, exitCodes } from './report.ts'

export type SimOptions = {
  seeds: string
  seed: string
  faults: string
  out: string
  plan?: string
  timeBudget?: string
  files?: string
  nodes?: string
  mutants?: boolean
  json?: boolean
}

/** Where it speaks, and what only a host can give it. */
export type SimHost = {
  out: {
    readonly format: 'text' | 'json'
    text(line?: string): void
    json(value: unknown): void
    progress(line: string): void
  }
  openRegistry(options: { nodes?: string }): Promise<NodeRegistry>
}

/** Taken before a simulation replaces the globals. */
const wallMs = performance.now.bind(performance)

/** Simulates workflows, folders of workflows, or stored plans. Rejects with `USAGE` or `WORKFLOW_INVALID`. */
export async function simCommand(words: readonly string[], host: SimHost): Promise<number> {
  const command = declare()
  try {
    command.parse(words, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? 0 : 2
  }
  return await perform(command.args, command.opts<SimOptions>(), host)
}

function declare(): Command {
  const kinds = allFaultKinds.map(kind => `  ${kind.padEnd(16)}${faultKinds[kind]}`).join('\n')
  return new Command('theoneeye sim')
    .description(
      'Simulates many lives of workflows: crashes, lost replies, a server that forgets; and checks what must hold.',
    )
    .argument('[paths...]', 'workflow files, stored plans, or folders of them (default: scenarios)')
    .option('--seeds <n>', 'how many lives of each workflow', '200')
    .option('--seed <n>', 'the first seed, e.g. 0x5eed; the others follow', '0x1')
    .option('--faults <list>', 'none, all, or kinds separated by commas', 'all')
    .option('--plan <file>', 'repeat a stored plan')
    .option('--time-budget <duration>', 'stop after so long, e.g. 60s')
    .option('--out <dir>', 'where failures are kept', '.theoneeye/failures')
    .option('--files <dir>', 'the folder of the files that workflows read (default: beside each workflow)')
    .option('--nodes <dir>', 'custom nodes: a folder of JavaScript or TypeScript files that export node classes')
    .option('--mutants', 'plant bugs in the engine and see whether they are found')
    .option('--json', 'print machine-readable lines on stdout, and nothing else there')
    .option('--debug', 'show stack traces of errors')
    .exitOverride()
    .addHelpText('after', `\nKinds of faults:\n${kinds}`)
}

async function perform(paths: readonly string[], options: SimOptions, host: SimHost): Promise<number> {
  const startedMs = wallMs()
  const settings = readOptions(options)
  const io: Io = {
    isJson: options.json === true,
    out: line => (host.out.format === 'json' ? host.out.json(JSON.parse(line)) : host.out.text(line)),
    progress: line => host.out.progress(line),
  }
  if (options.mutants === true) return await runMutants(settings.seeds, io)
  const given = options.plan === undefined ? paths : [options.plan, ...paths]
  const registry = await host.openRegistry(options)
  const targets = await readTargets(given.length > 0 ? given : ['scenarios'], { ...options, registry })
  const done = await runAll(targets, settings, io)
  return await tell(done, { out: options.out, tookMs: Math.round(wallMs() - startedMs) }, io)
}

/** Lines for whoever reads them: people, or with `--json` programs. */
export type Io = { isJson: boolean; out(line: string): void; progress(line: string): void }

type Settings = { seeds: number; firstSeed: number; faults: readonly FaultKind[]; budgetMs: number | undefined }

function readOptions(options: SimOptions): Settings {
  const whole = (name: string, value: string): number => {
    const number = value.trim() === '' ? Number.NaN : Number(value)
    if (Number.isSafeInteger(number) && number >= 0) return number
    throw usage(`--${name} is "${value}", not a whole number; give one such as 200 or 0x5eed`)
  }
  const budget = options.timeBudget
  const seconds = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(budget ?? '')
  if (budget !== undefined && seconds === null) throw usage(`--time-budget is "${budget}"; give one such as 60s`)
  const unit = { ms: 1, s: 1_000, m: 60_000 }[seconds?.[2] ?? 's'] as number
  return {
    seeds: whole('seeds', options.seeds),
    firstSeed: whole('seed', options.seed),
    faults: readFaults(options.faults),
    budgetMs: seconds === null ? undefined : Number(seconds[1]) * unit,
  }
}

function readFaults(text: string): readonly FaultKind[] {
  if (text === 'all') return allFaultKinds
  if (text === 'none') return []
  const kinds = text.split(',').map(kind => kind.trim())
  const unknown = kinds.find(kind => !isFaultKind(kind))
  if (unknown === undefined) return kinds as FaultKind[]
  throw usage(`there is no kind of fault "${unknown}"; there are ${allFaultKinds.join(', ')}, and none and all`)
}

// --- doing it

async function runAll(targets: Targets, settings: Settings, io: Io): Promise<Exploration[]> {
  const untilMs = settings.budgetMs === undefined ? undefined : wallMs() + settings.budgetMs
  const [first] = targets.subjects
  if (!io.isJson) {
    for (const { plan } of targets.plans) io.out(describePlan(plan))
    if (first !== undefined) io.out(describePlan(generatePlan(first, seedName(settings.firstSeed), settings.faults)))
  }
  const replayed = targets.plans.length === 0 ? [] : [await replayPlans(targets.plans)]
  if (first === undefined) return replayed
  const explored = await explore(targets.subjects, {
    ...settings,
    ...(untilMs === undefined ? {} : { goesOn: () => wallMs() < untilMs }),
    onRun: ({ run, of, failures }) => io.progress(`${run} of ${of} runs, ${failures} failures`),
  })
  return [...replayed, untilMs === undefined ? explored : { ...explored, traceHash: null }]
}

async function tell(done: readonly Exploration[], how: { out: string; tookMs: number }, io: Io): Promise<number> {
  io.progress('')
  const found = done.flatMap(each => each.found)
  for (const each of found) await tellFailure(each, how.out, io)
  const summary = summarise(done, how.tookMs)
  for (const line of io.isJson ? [JSON.stringify(summary)] : inWords(summary)) io.out(line)
  const worst = found.find(each => each.failure.kind !== 'inconclusive') ?? found[0]
  return worst === undefined ? 0 : exitCodes[worst.failure.kind]
}

async function tellFailure(found: Found, out: string, io: Io): Promise<void> {
  const { failure, plan } = found
  const folder = await keepFailure(found, out)
  if (!io.isJson) {
    for (const line of describeFailure(found, folder)) io.out(line)
    return
  }
  const { invariant, expected, seen, at } = failure
  const where = { plan: `${folder}/plan.json`, artifacts: folder, events: plan.events.length }
  io.out(JSON.stringify({ type: 'failure', seed: plan.seed, invariant, expected, seen, at, ...where }))
}

function inWords(summary: ReturnType<typeof summarise>): string[] {
  const { runs, failures, inconclusive, commits, crashes, never_reached: never } = summary
  const faults = Object.values(summary.faults_applied).reduce((sum, n) => sum + n, 0)
  const did = `${commits} commits, ${faults} faults applied, ${crashes} crashes`
  const time = `${Math.round(summary.simulated_ms / 1000)} s simulated in ${(summary.wall_ms / 1000).toFixed(1)} s`
  return [
    ...(never.length === 0 ? [] : [`never reached: ${never.join('; ')}`]),
    `${runs} runs, ${failures} failures, ${inconclusive} inconclusive; ${did}; ${time}`,
    `trace hash ${summary.trace_hash ?? 'none: the time budget decided how far it got'}`,
  ]
}

function summarise(done: readonly Exploration[], tookMs: number) {
  const sum = (of: (each: Exploration) => number): number => done.reduce((total, each) => total + of(each), 0)
  const faults: Record<string, number> = {}
  for (const each of done) {
    for (const [kind, n] of Object.entries(each.faults)) faults[kind] = (faults[kind] ?? 0) + n
  }
  const last = done.at(-1)
  return {
    type: 'summary',
    runs: sum(each => each.runs),
    failures: sum(each => each.found.length) - sum(each => each.inconclusive),
    inconclusive: sum(each => each.inconclusive),
    simulated_ms: sum(each => each.totals.simulatedMs),
    iterations: sum(each => each.totals.iterations),
    commits: sum(each => each.totals.commits),
    faults_applied: faults,
    crashes: sum(each => each.totals.crashes),
    wall_ms: tookMs,
    trace_hash: last?.traceHash ?? null,
    never_reached: last?.neverReached ?? [],
  }
}
