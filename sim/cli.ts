/**
 * `theoneeye sim …`: reads its own words, explores, tells what was found, and resolves to the exit code of spec 2.4:
 * 0 held, 1 invariant, 2 bad usage, 3 liveness, 4 nondeterminism or escape, 5 crash of the engine, 6 inconclusive.
 * daemon/commands/sim.ts is the one that calls it, by a dynamic import.
 */
import { availableParallelism } from 'node:os'
import { Command, CommanderError } from 'commander'
import { messageOf } from '../engine/errors.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { keepFailure, savePlan, withFound } from './artifacts.ts'
import { checkPlaces, readOptions, type Settings, type SimOptions } from './cli-options.ts'
import { readDefaults, readTargets, type Targets, usage } from './cli-targets.ts'
import { type Exploration, explore, type Found, replayPlans, seedName } from './explore.ts'
import { allFaultKinds, faultKinds } from './faults.ts'
import { generatePlan } from './generate.ts'
import { plannedFor } from './generate-workflow.ts'
import { simSuite, writeJunit } from './junit.ts'
import { runMutants } from './mutants-cli.ts'
import { Patience } from './patience.ts'
import type { RealHost } from './real.ts'
import { realCommand } from './real-cli.ts'
import type { RegistryModule } from './registry-module.ts'
import { describeFailure, describePlan, exitCodes } from './report.ts'
import { loadSubject, type Subject } from './subject.ts'
import { progressInWords, summarise, summaryInWords } from './summary.ts'
import { sweepCrashes, sweepFaults } from './sweep.ts'
import { repeatInTest } from './user-test.ts'
import { Workers } from './workers.ts'

export { replayCommand } from './replay-cli.ts'
export { reportCommand } from './report-cli.ts'
export { toScenarioCommand } from './to-scenario-cli.ts'

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
  /** What `--real` needs of it. */
  loadReal?: () => Promise<RealHost>
}

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
    .option(
      '--real',
      'run it really: the engine, a Redis server, processes that are killed; checks the simulator itself',
    )
    .option('--redis <url>', 'a Redis for tests, for --real (default: one of its own)')
    .option('--mutants', 'plant bugs in the engine and see whether they are found')
    .option('--json', 'print machine-readable lines on stdout, and nothing else there')
    .option('--debug', 'show stack traces of errors')
    .exitOverride()
    .addHelpText('after', `\nKinds of faults:\n${kinds}`)
}

async function perform(paths: readonly string[], options: SimOptions, host: SimHost): Promise<number> {
  const settings = readOptions(options)
  await checkPlaces(options)
  const io: Io = {
    isJson: options.json === true,
    out: line => (host.out.format === 'json' ? host.out.json(JSON.parse(line)) : host.out.text(line)),
    progress: line => host.out.progress(line),
  }
  if (options.mutants === true) return await runMutants({ ...settings, seedsMax: settings.seeds }, io)
  const registry = await host.openRegistry(options)
  const isNamed = paths.length > 0 || options.plan !== undefined
  const read = isNamed || options.crashSweep === true || options.real === true ? readTargets : readDefaults
  const targets = await read(await given(paths, options), { ...options, registry })
  const stored = [...targets.tested, ...targets.plans]
  const names = [...stored.map(({ plan }) => plan), ...targets.subjects].map(({ name }) => name)
  const patience = new Patience(settings.budgetMs)
  const told: Told = { ...options, patience, names }
  const nodes: Nodes = { registry, ...(options.nodes === undefined ? {} : { nodes: options.nodes }) }
  if (host.registryModule !== undefined) nodes.module = { url: host.registryModule, options }
  try {
    if (options.real === true) {
      const real = await (host.loadReal ?? missing)()
      return await realCommand(targets, { host: real, settings, patience, io, redis: options.redis, ...nodes })
    }
    if (options.crashSweep === true) return await sweepAll(targets, { settings, io, told })
    return await tell(await runAll(targets, { settings, nodes, io, patience }), told, io)
  } finally {
    patience.end()
  }
}

function missing(): never {
  throw usage('--real wants a host that has a Redis and processes, and this one has none; run it as theoneeye sim')
}

/** The paths to simulate. What was found before comes first, unless one plan is wanted, or one fault at a time. */
async function given(paths: readonly string[], { plan, crashSweep, real }: SimOptions): Promise<readonly string[]> {
  if (plan !== undefined) return [plan, ...paths]
  if (crashSweep === true || real === true) return paths.length > 0 ? paths : ['scenarios']
  return await withFound(paths)
}

/** Lines for whoever reads them: people, or with `--json` programs. */
export type Io = { isJson: boolean; out(line: string): void; progress(line: string): void }

/** The nodes there are, and how a thread gets at them. */
type Nodes = { registry: NodeRegistry; nodes?: string; module?: RegistryModule }

// --- doing it

type RunHow = { settings: Settings; nodes: Nodes; io: Io; patience: Patience }

async function runAll(targets: Targets, how: RunHow): Promise<Exploration[]> {
  const { settings, io, patience } = how
  const [first] = targets.subjects
  if (!io.isJson) {
    for (const { plan } of [...targets.tested, ...targets.plans]) io.out(describePlan(plan))
    if (first !== undefined) io.out(describeFirst(first, settings))
  }
  const replayed: Exploration[] = []
  for (const { plan, file } of targets.tested) replayed.push(await repeatInTest(plan, file))
  if (targets.plans.length > 0) replayed.push(await replayPlans(targets.plans, { goesOn: () => patience.goesOn() }))
  return first === undefined ? replayed : [...replayed, await exploreAll(targets.subjects, how)]
}

function describeFirst(first: Subject, { firstSeed, faults }: Settings): string {
  const seed = seedName(firstSeed)
  return describePlan(generatePlan(plannedFor(first, seed), seed, faults))
}

async function exploreAll(subjects: readonly Subject[], how: RunHow): Promise<Exploration> {
  const { settings, nodes, io, patience } = how
  const crew = startCrew(subjects, how)
  try {
    const explored = await explore(subjects, {
      ...settings,
      load: source => loadSubject(source, nodes.registry),
      ...(crew === undefined ? {} : { crew }),
      goesOn: () => patience.goesOn(),
      shrinks: () => patience.shrinks,
      onRun: progress => io.progress(progressInWords(progress, patience.tookMs())),
    })
    return settings.budgetMs === undefined ? explored : { ...explored, traceHash: null }
  } finally {
    await crew?.close()
  }
}

/** One fault at a time, at every operation of these workflows. */
async function sweepAll({ subjects }: Targets, how: { settings: Settings; io: Io; told: Told }): Promise<number> {
  const { settings, io, told } = how
  if (subjects.length === 0)
    throw usage('--crash-sweep wants workflows, and there are only plans; name a workflow file')
  const sweep = await sweepCrashes(subjects, {
    seed: seedName(settings.firstSeed),
    goesOn: () => told.patience.goesOn(),
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
function startCrew(subjects: readonly Subject[], { settings, patience, nodes: given }: RunHow): Workers | undefined {
  const { nodes, module } = given
  const workers = Math.min(settings.workers, settings.seeds * subjects.length)
  if (workers === 0 || (nodes !== undefined && module === undefined)) return undefined
  return new Workers(subjects, {
    workers,
    over: patience.over,
    ...(nodes === undefined || module === undefined ? {} : { registry: module }),
  })
}

/** As shells say of what SIGINT ended: not everything ran, and what did, held. */
const interrupted = 130

/** `save`: failures also go among the plans that are tried first. */
type Told = { out: string; save?: boolean; junit?: string; patience: Patience; names: readonly string[] }

async function tell(done: readonly Exploration[], how: Told, io: Io): Promise<number> {
  io.progress('')
  const found = done.flatMap(each => each.found)
  for (const each of found) await tellFailure(each, how, io)
  const summary = summarise(done, how.patience.tookMs())
  if (how.junit !== undefined) await writeJunit(how.junit, simSuite(done, how.names, summary.wall_ms))
  for (const line of io.isJson
    ? [JSON.stringify(summary)]
    : summaryInWords(summary, done.find(each => each.echoed)?.echoed))
    io.out(line)
  const worst = found.find(each => each.failure.kind !== 'inconclusive') ?? found[0]
  if (worst !== undefined) return exitCodes[worst.failure.kind]
  if (!how.patience.isInterrupted) return 0
  if (!io.isJson) io.out('interrupted: what had not run yet is not known to hold')
  return interrupted
}

async function tellFailure(found: Found, { out, save }: Told, io: Io): Promise<void> {
  const { failure, plan } = found
  const folder = await keepFailure(found, out).catch(error => {
    throw usage(`a failure (seed ${plan.seed}: ${failure.invariant}) cannot be kept in "${out}": ${messageOf(error)}`)
  })
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
