/**
 * `theoneeye sim …`: reads its own words, explores, tells what was found, and resolves to the exit code of spec 2.4:
 * 0 held, 1 invariant, 2 bad usage, 3 liveness, 4 nondeterminism or escape, 5 crash of the engine, 6 inconclusive.
 * daemon/commands/sim.ts is the one that calls it, by a dynamic import.
 */
import { availableParallelism } from 'node:os'
import { Command, CommanderError } from 'commander'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { keepFailure, savePlan, withFound } from './artifacts.ts'
import { readDefaults, readTargets, type Targets, usage } from './cli-targets.ts'
import { type Exploration, explore, type Found, replayPlans, seedName } from './explore.ts'
import { allFaultKinds, type FaultKind, faultKinds, isFaultKind } from './faults.ts'
import { generatePlan } from './generate.ts'
import { plannedFor } from './generate-workflow.ts'
import { simSuite, writeJunit } from './junit.ts'
import { runMutants } from './mutants-cli.ts'
import { describeFailure, describePlan, exitCodes } from './report.ts'
import { loadSubject, type Subject } from './subject.ts'
import { progressInWords, summarise, summaryInWords } from './summary.ts'
import { sweepCrashes, sweepFaults } from './sweep.ts'
import { repeatInTest } from './user-test.ts'
import { type RegistryModule, Workers } from './workers.ts'

export { replayCommand } from './replay-cli.ts'

export type SimOptions = {
  seeds?: string
  seed: string
  faults: string
  out: string
  plan?: string
  timeBudget?: string
  workers: string
  save?: boolean
  junit?: string
  files?: string
  nodes?: string
  mutants?: boolean
  crashSweep?: boolean
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
  /** The module that exports `openRegistry`, for threads; without it custom nodes are simulated in this one. */
  registryModule?: string
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
    .argument(
      '[paths...]',
      'workflow files, stored plans, or folders of them (default: generated workflows, and scenarios)',
    )
    .option('--seeds <n>', 'how many lives of each workflow, or mutant (default: 200, with --mutants 500)')
    .option('--seed <n>', 'the first seed, e.g. 0x5eed; the others follow', '0x1')
    .option('--faults <list>', 'none, all, or kinds separated by commas', 'all')
    .option('--plan <file>', 'repeat a stored plan')
    .option('--time-budget <duration>', 'stop after so long, e.g. 60s')
    .option('--workers <n>', 'how many threads simulate; 0: this one does', String(availableParallelism()))
    .option('--out <dir>', 'where failures are kept', '.theoneeye/failures')
    .option('--save', 'put the plans of failures into scenarios/found')
    .option('--junit <file>', 'write the outcome as JUnit XML')
    .option('--files <dir>', 'the folder of the files that workflows read (default: beside each workflow)')
    .option('--nodes <dir>', 'custom nodes: a folder of JavaScript or TypeScript files that export node classes')
    .option('--crash-sweep', 'crash once at every moment around every operation, then lose the connection likewise')
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
  if (options.mutants === true) return await runMutants({ ...settings, seedsMax: settings.seeds }, io)
  const registry = await host.openRegistry(options)
  const read =
    paths.length > 0 || options.plan !== undefined || options.crashSweep === true ? readTargets : readDefaults
  const targets = await read(await given(paths, options), { ...options, registry })
  const stored = [...targets.tested, ...targets.plans]
  const names = [...stored.map(({ plan }) => plan), ...targets.subjects].map(({ name }) => name)
  const told: Told = { ...options, startedMs, names }
  if (options.crashSweep === true) return await sweepAll(targets, { settings, io, told })
  const nodes: Nodes = { registry, ...(options.nodes === undefined ? {} : { nodes: options.nodes }) }
  if (host.registryModule !== undefined) nodes.module = { url: host.registryModule, options }
  const done = await runAll(targets, { settings, nodes, io })
  return await tell(done, told, io)
}

/** The paths to simulate. What was found before comes first, unless one plan is wanted, or one fault at a time. */
async function given(paths: readonly string[], { plan, crashSweep }: SimOptions): Promise<readonly string[]> {
  if (plan !== undefined) return [plan, ...paths]
  if (crashSweep === true) return paths.length > 0 ? paths : ['scenarios']
  return await withFound(paths)
}

/** Lines for whoever reads them: people, or with `--json` programs. */
export type Io = { isJson: boolean; out(line: string): void; progress(line: string): void }

type Settings = {
  seeds: number
  firstSeed: number
  faults: readonly FaultKind[]
  budgetMs: number | undefined
  workers: number
}

/** The nodes there are, and how a thread gets at them. */
type Nodes = { registry: NodeRegistry; nodes?: string; module?: RegistryModule }

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
    seeds: whole('seeds', options.seeds ?? (options.mutants === true ? '500' : '200')),
    firstSeed: whole('seed', options.seed),
    faults: readFaults(options.faults),
    workers: whole('workers', options.workers),
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

type RunHow = { settings: Settings; nodes: Nodes; io: Io }

async function runAll(targets: Targets, { settings, nodes, io }: RunHow): Promise<Exploration[]> {
  const [first] = targets.subjects
  if (!io.isJson) {
    for (const { plan } of [...targets.tested, ...targets.plans]) io.out(describePlan(plan))
    if (first !== undefined) io.out(describeFirst(first, settings))
  }
  const replayed: Exploration[] = []
  for (const { plan, file } of targets.tested) replayed.push(await repeatInTest(plan, file))
  if (targets.plans.length > 0) replayed.push(await replayPlans(targets.plans))
  return first === undefined ? replayed : [...replayed, await exploreAll(targets.subjects, { settings, nodes, io })]
}

function describeFirst(first: Subject, { firstSeed, faults }: Settings): string {
  const seed = seedName(firstSeed)
  return describePlan(generatePlan(plannedFor(first, seed), seed, faults))
}

/** Until the seeds, or the time, are used up, or somebody presses Ctrl-C: then what was found so far is told. */
async function exploreAll(subjects: readonly Subject[], { settings, nodes, io }: RunHow): Promise<Exploration> {
  const startedMs = wallMs()
  const { budgetMs = Number.POSITIVE_INFINITY } = settings
  let isInterrupted = false
  const interrupt = (): void => {
    isInterrupted = true
  }
  process.once('SIGINT', interrupt)
  const crew = startCrew(subjects, settings, nodes)
  try {
    const explored = await explore(subjects, {
      ...settings,
      load: source => loadSubject(source, nodes.registry),
      ...(crew === undefined ? {} : { crew }),
      goesOn: () => !isInterrupted && wallMs() - startedMs < budgetMs,
      shrinks: () => !isInterrupted,
      onRun: progress => io.progress(progressInWords(progress, wallMs() - startedMs)),
    })
    return settings.budgetMs === undefined ? explored : { ...explored, traceHash: null }
  } finally {
    process.off('SIGINT', interrupt)
    await crew?.close()
  }
}

/** One fault at a time, at every operation of these workflows. */
async function sweepAll({ subjects }: Targets, how: { settings: Settings; io: Io; told: Told }): Promise<number> {
  const { settings, io, told } = how
  if (subjects.length === 0)
    throw usage('--crash-sweep wants workflows, and there are only plans; name a workflow file')
  const { budgetMs = Number.POSITIVE_INFINITY } = settings
  const sweep = await sweepCrashes(subjects, {
    seed: seedName(settings.firstSeed),
    goesOn: () => wallMs() - told.startedMs < budgetMs,
    onRun: ({ run, of, failures }) => io.progress(`${run} of ${of} runs, ${failures} failures`),
  })
  const { operations, hit, whole } = sweep
  if (!io.isJson) {
    io.out(
      `${operations} operations, each with ${sweepFaults.length} faults: ${whole.runs} runs, ${hit} faults came about`,
    )
  }
  return await tell([whole], told, io)
}

/** Undefined: this thread does it all. */
function startCrew(subjects: readonly Subject[], settings: Settings, { nodes, module }: Nodes): Workers | undefined {
  const workers = Math.min(settings.workers, settings.seeds * subjects.length)
  if (workers === 0 || (nodes !== undefined && module === undefined)) return undefined
  return new Workers(subjects, {
    workers,
    ...(nodes === undefined || module === undefined ? {} : { registry: module }),
  })
}

/** `save`: failures also go among the plans that are tried first. */
type Told = { out: string; save?: boolean; junit?: string; startedMs: number; names: readonly string[] }

async function tell(done: readonly Exploration[], how: Told, io: Io): Promise<number> {
  io.progress('')
  const found = done.flatMap(each => each.found)
  for (const each of found) await tellFailure(each, how, io)
  const summary = summarise(done, Math.round(wallMs() - how.startedMs))
  if (how.junit !== undefined) await writeJunit(how.junit, simSuite(done, how.names, summary.wall_ms))
  for (const line of io.isJson ? [JSON.stringify(summary)] : summaryInWords(summary)) io.out(line)
  const worst = found.find(each => each.failure.kind !== 'inconclusive') ?? found[0]
  return worst === undefined ? 0 : exitCodes[worst.failure.kind]
}

async function tellFailure(found: Found, { out, save }: Told, io: Io): Promise<void> {
  const { failure, plan } = found
  const folder = await keepFailure(found, out)
  const saved = save === true ? await savePlan(found) : undefined
  if (!io.isJson) {
    for (const line of describeFailure(found, folder)) io.out(line)
    if (saved !== undefined) io.out(`  saved: ${saved}`)
    return
  }
  const { invariant, expected, seen, at } = failure
  const where = { plan: `${folder}/plan.json`, artifacts: folder, events: plan.events.length }
  io.out(JSON.stringify({ type: 'failure', seed: plan.seed, invariant, expected, seen, at, ...where }))
}
