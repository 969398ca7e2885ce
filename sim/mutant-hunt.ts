/**
 * Plants a mutant by a loader hook in a process of its own, and simulates there until something fails. A planted bug may
 * also hang that process, or take it down: both count as found, once it has begun to simulate.
 */
import { spawn } from 'node:child_process'
import { EngineError } from '../engine/errors.ts'
import { defaultRegistry } from '../engine/node/node-registry.ts'
import { canaries } from './canaries.ts'
import { allFaultKinds } from './faults.ts'
import { generatePlan } from './generate.ts'
import { startFlowEngine } from './instance.ts'
import type { Mutant } from './mutants.ts'
import { loadSubject } from './subject.ts'
import { simulate } from './world.ts'

export type Hunt = {
  name: string
  /** Undefined: it survived. */
  caughtBy: string | undefined
  /** How many seeds it took. */
  seeds: number
}

export type HuntOptions = { seedsMax: number; firstSeed?: number }

const isSource = import.meta.url.endsWith('.ts')
const extension = isSource ? '.ts' : '.js'
/** No run takes so long by the real clock, on the slowest machine. */
const silenceMsMax = 120_000
/** Canaries are small: a life that takes longer does not end. */
const stepsMax = 60_000
const begun = '.'

/** The engine file that a mutant patches. */
export function fileOf({ file }: Mutant): URL {
  return new URL(`../engine/${file}${extension}`, import.meta.url)
}

/** Plants a bug in a process of its own and simulates there until something fails, or `seedsMax` is reached. */
export async function hunt(mutant: Mutant, { seedsMax, firstSeed = 1 }: HuntOptions): Promise<Hunt> {
  const options = JSON.stringify({ seedsMax, firstSeed, canary: mutant.canary, faults: mutant.faults })
  const script = `const say = text => process.stdout.write(text)
    import(${JSON.stringify(import.meta.url)}).then(here => here.huntHere(${options}, () => say('${begun}')))
      .then(found => say(JSON.stringify(found)))`
  const loaders = ['--import', hookOf(mutant), ...(isSource ? ['--import', 'tsx'] : [])]
  const { stdout, stderr, end } = await run([...loaders, '--input-type=module', '--eval', script])
  const seeds = stdout.lastIndexOf(begun) + 1
  const { name } = mutant
  if (end === 'ended') return { name, ...(JSON.parse(stdout.slice(seeds)) as Omit<Hunt, 'name'>) }
  if (seeds > 0) return { name, caughtBy: end === 'silent' ? 'hang' : 'crash', seeds }
  throw new EngineError('BUG', `Cannot run mutant "${name}": its process ended: ${stderr.slice(-2_000)}`)
}

/** What the process with the planted bug does. `onSeed` is called as each seed begins. */
export async function huntHere(
  {
    seedsMax,
    firstSeed = 1,
    canary = 'plain',
    faults = allFaultKinds,
  }: HuntOptions & Pick<Mutant, 'canary' | 'faults'>,
  onSeed: () => void = () => undefined,
): Promise<{ caughtBy?: string; seeds: number }> {
  const subject = await loadSubject({ name: canary, workflow: canaries[canary], files: {} }, defaultRegistry())
  const { graph, expected } = subject
  for (let seeds = 1; seeds <= seedsMax; seeds++) {
    onSeed()
    const plan = generatePlan(subject, `0x${(firstSeed + seeds - 1).toString(16)}`, faults)
    const { failure } = await simulate({
      plan,
      graph,
      expected,
      startEngine: startFlowEngine,
      trace: 'recent',
      stepsMax,
    })
    if (failure !== undefined) return { caughtBy: failure.invariant, seeds }
  }
  return { seeds: seedsMax }
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

type ProcessEnd = { stdout: string; stderr: string; end: 'ended' | 'died' | 'silent' }

function run(args: readonly string[]): Promise<ProcessEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { stdout: '', stderr: '' }
    let isSilent = false
    const patience = setTimeout(() => {
      isSilent = true
      child.kill('SIGKILL')
    }, silenceMsMax)
    child.stdout.on('data', text => {
      said.stdout += text
      patience.refresh()
    })
    child.stderr.on('data', text => {
      said.stderr += text
    })
    child.on('error', reject)
    child.on('close', code => {
      clearTimeout(patience)
      const ended = code === 0 && said.stdout.endsWith('}') ? 'ended' : 'died'
      resolve({ ...said, end: isSilent ? 'silent' : ended })
    })
  })
}
