/**
 * Is the simulator worth its trust? Small, realistic bugs are planted in the engine, and it must find each. A mutant is
 * a patch of one line of the engine's text, made by a loader hook in a process of its own: the engine knows nothing of
 * it, and a production build carries nothing. `find` holds no types and ends before the compiler breaks a line, so that
 * it is the same text before and after compilation.
 */
import { spawn } from 'node:child_process'
import { EngineError } from '../engine/errors.ts'
import { defaultRegistry } from '../engine/node/node-registry.ts'
import { type CanaryName, canaries } from './canaries.ts'
import { allFaultKinds } from './faults.ts'
import { generatePlan } from './generate.ts'
import { startFlowEngine } from './instance.ts'
import { runMutants as ofRunning } from './mutants-run.ts'
import { storeMutants } from './mutants-store.ts'
import { loadSubject } from './subject.ts'
import { simulate } from './world.ts'

export type Mutant = {
  name: string
  /** Below engine/, without its extension. */
  file: string
  find: string
  replace: string
  /** The invariants (or other kinds of failure) one of which must find it. */
  caughtBy: readonly string[]
  /** The workflow in which it is looked for; `plain` unless told. */
  canary?: CanaryName
}

export const mutants: readonly Mutant[] = [...storeMutants, ...ofRunning]

export type Hunt = {
  name: string
  /** Undefined: it survived. */
  caughtBy: string | undefined
  /** How many seeds it took. */
  seeds: number
}

const isSource = import.meta.url.endsWith('.ts')
const extension = isSource ? '.ts' : '.js'

/** The engine file that a mutant patches. */
export function fileOf({ file }: Mutant): URL {
  return new URL(`../engine/${file}${extension}`, import.meta.url)
}

/** Plants a bug in a process of its own and simulates there until something fails, or `seedsMax` is reached. */
export async function hunt(mutant: Mutant, seedsMax: number): Promise<Hunt> {
  const script = `import(${JSON.stringify(import.meta.url)})
    .then(here => here.huntHere(${seedsMax}, ${JSON.stringify(mutant.canary ?? 'plain')})).then(found => process.stdout.write(JSON.stringify(found)))`
  const loaders = ['--import', hookOf(mutant), ...(isSource ? ['--import', 'tsx'] : [])]
  const output = await run([...loaders, '--input-type=module', '--eval', script])
  const { caughtBy, seeds } = JSON.parse(output) as { caughtBy?: string; seeds: number }
  return { name: mutant.name, caughtBy, seeds }
}

/** What the process with the planted bug does. */
export async function huntHere(
  seedsMax: number,
  canary: CanaryName = 'plain',
): Promise<{ caughtBy?: string; seeds: number }> {
  const subject = await loadSubject({ name: canary, workflow: canaries[canary], files: {} }, defaultRegistry())
  const { graph, expected } = subject
  for (let seed = 1; seed <= seedsMax; seed++) {
    const plan = generatePlan(subject, `0x${seed.toString(16)}`, allFaultKinds)
    const { failure } = await simulate({ plan, graph, expected, startEngine: startFlowEngine, trace: 'recent' })
    if (failure !== undefined) return { caughtBy: failure.invariant, seeds: seed }
  }
  return { seeds: seedsMax }
}

/** Plants all bugs, one after another; 0 when each was found by one of its invariants. */
export async function runMutants(seedsMax: number, io: { isJson: boolean; out(line: string): void }): Promise<number> {
  const hunts: Hunt[] = []
  for (const mutant of mutants) {
    const found = await hunt(mutant, seedsMax)
    hunts.push(found)
    const { name, caughtBy = null, seeds } = found
    const words = caughtBy === null ? `survived ${seeds} seeds` : `found by ${caughtBy} after ${seeds} seeds`
    io.out(io.isJson ? JSON.stringify({ type: 'mutant', name, caught_by: caughtBy, seeds }) : `${name}: ${words}`)
  }
  const caught = hunts.filter((found, i) => mutants[i]?.caughtBy.includes(found.caughtBy ?? ''))
  const median = caught.map(({ seeds }) => seeds).sort((a, b) => a - b)[Math.floor(caught.length / 2)] ?? null
  const summary = { caught: caught.length, survived: hunts.length - caught.length, median_seeds: median }
  const words = `${summary.caught} found, ${summary.survived} survived; median ${median ?? 'none'} seeds`
  io.out(io.isJson ? JSON.stringify({ type: 'summary', ...summary }) : words)
  return summary.survived === 0 ? 0 : 1
}

/** A loader hook as a data URL: it reads one file itself and gives it out patched. */
function hookOf(mutant: Mutant): string {
  const { find, replace } = mutant
  const hooks = `
    import { readFile } from 'node:fs/promises'
    export async function load(url, context, next) {
      if (!url.startsWith(${JSON.stringify(fileOf(mutant).href)})) return next(url, context)
      const text = await readFile(new URL(${JSON.stringify(fileOf(mutant).href)}), 'utf8')
      const parts = text.split(${JSON.stringify(find)})
      if (parts.length !== 2) throw new Error('the mutant does not fit: ' + url)
      return { format: 'module', shortCircuit: true, source: parts.join(${JSON.stringify(replace)}) }
    }`
  const asUrl = (source: string): string => `data:text/javascript,${encodeURIComponent(source)}`
  return asUrl(`import { register } from 'node:module'; register(${JSON.stringify(asUrl(hooks))})`)
}

function run(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', text => {
      stdout += text
    })
    child.stderr.on('data', text => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => {
      if (code === 0 && stdout !== '') resolve(stdout)
      else
        reject(new EngineError('BUG', `Cannot run a mutant: its process ended with ${code}: ${stderr.slice(-2_000)}`))
    })
  })
}
