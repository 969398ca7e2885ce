/**
 * Is the simulator worth its trust? Small, realistic bugs are planted in the engine, and it must find each. A mutant is
 * a patch of one line of the engine's text, made by a loader hook in a process of its own: the engine knows nothing of
 * it, and a production build carries nothing. `find` holds no types and ends before the compiler breaks a line, so that
 * it is the same text before and after compilation.
 */
import { spawn } from 'node:child_process'
import { EngineError } from '../engine/errors.ts'
import type { JsonObject } from '../engine/json.ts'
import { defaultRegistry } from '../engine/node/node-registry.ts'
import { explore } from './explore.ts'
import { allFaultKinds } from './faults.ts'
import { loadSubject } from './subject.ts'

export type Mutant = {
  name: string
  /** Below engine/, without its extension. */
  file: string
  find: string
  replace: string
  /** The invariants one of which must find it. */
  caughtBy: readonly string[]
}

export const mutants: readonly Mutant[] = [
  {
    name: 'double push after an ambiguous commit',
    file: 'store/scripts/prelude',
    find: '=== call.token)',
    replace: '=== call.token) return undefined; else if (db === undefined)',
    caughtBy: ['conservation', 'exactly-once'],
  },
  {
    name: 'state saved outside the commit',
    file: 'run/flow-runner',
    find: 'const failure = await this.#outcome(next)',
    replace: `if (next.iteration.effects.state.size > 0)
      await this.#store.commit([{ ...next.iteration.effects.toCommit(undefined), pushes: [], outcome: 'state' }], 1000, { ...this.#source.wish(), most: 0 })
    const failure = await this.#outcome(next)`,
    caughtBy: ['exactly-once'],
  },
  {
    name: 'join that waits for a dead branch',
    file: 'run/walk',
    find: 'this.#live[edge] = live',
    replace: `this.#live[edge] = live
    if (!live && this.#plan.steps[this.#plan.edges[edge].to].incoming.length > 1) return`,
    caughtBy: ['exactly-once'],
  },
  {
    name: '`ended` written too early',
    file: 'store/scripts/complete',
    find: 'if (!upstream.every(ended))',
    replace: 'if (db === undefined)',
    caughtBy: ['completion'],
  },
  {
    name: 'reversed recovery',
    file: 'store/scripts/prelude',
    find: 'claims.toReversed()',
    replace: 'claims',
    caughtBy: ['fifo'],
  },
  {
    name: 'seq not checked after a rollback',
    file: 'store/scripts/prelude',
    find: '!== call.seq)',
    replace: '!== call.seq && db === undefined)',
    caughtBy: ['exactly-once', 'conservation', 'crash'],
  },
  {
    name: 'an ended loop is forgotten before the run is complete',
    file: 'run/supervisor',
    find: 'if (this.#allEnded(answer.run))',
    replace: 'if (replica !== undefined)',
    caughtBy: ['stuck'],
  },
  {
    name: 'reads give up in an outage',
    file: 'run/flow-runner',
    find: 'return retryTransient({ clock: ports.clock, signal: control.aborted, pauseMsMax: limits.wakeWaitMs }, call)',
    replace: 'return call()',
    caughtBy: ['crash'],
  },
]

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
    .then(here => here.huntHere(${seedsMax})).then(found => process.stdout.write(JSON.stringify(found)))`
  const loaders = ['--import', hookOf(mutant), ...(isSource ? ['--import', 'tsx'] : [])]
  const output = await run([...loaders, '--input-type=module', '--eval', script])
  const { caughtBy, seeds } = JSON.parse(output) as { caughtBy?: string; seeds: number }
  return { name: mutant.name, caughtBy, seeds }
}

/** What the process with the planted bug does. */
export async function huntHere(seedsMax: number): Promise<{ caughtBy?: string; seeds: number }> {
  const subject = await loadSubject({ name: 'canary', workflow: canary, files: {} }, defaultRegistry())
  const done = await explore([subject], { seeds: seedsMax, firstSeed: 1, faults: allFaultKinds, stopAtFailure: true })
  const caughtBy = done.found[0]?.failure.invariant
  return caughtBy === undefined ? { seeds: done.runs } : { caughtBy, seeds: done.runs }
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

/** Two loops over a queue that fills, with state, a join of a taken and an untaken branch, and durable delays. */
const canary: JsonObject = {
  id: 'canary',
  nodes: [
    { id: 'count', type: 'counter', data: { form: { min_value: 1, max_value: 12 } } },
    { id: 'odd', type: 'if-condition', data: { form: { condition_expression: 'data.counter.current % 2 == 1' } } },
    { id: 'note', type: 'data-transformer', data: { form: { output_template: '{"odd": true}', overwrite: false } } },
    { id: 'join', type: 'log', data: { form: { message: 'joined' } } },
    { id: 'out', type: 'queue-writer', data: { form: {} } },
    { id: 'in', type: 'queue-reader', data: { form: {} } },
    { id: 'slow', type: 'static-delay-node', data: { form: { interval: 0.04, unit: 'seconds' } } },
    { id: 'done', type: 'queue-writer', data: { form: { queue_name: 'done' } } },
  ],
  edges: [
    { id: 'e1', source: 'count', target: 'odd' },
    { id: 'e2', source: 'odd', target: 'note', sourceHandle: 'yes' },
    { id: 'e3', source: 'note', target: 'join' },
    { id: 'e4', source: 'odd', target: 'join', sourceHandle: 'no' },
    { id: 'e5', source: 'join', target: 'out' },
    { id: 'e6', source: 'out', target: 'in' },
    { id: 'e7', source: 'in', target: 'slow' },
    { id: 'e8', source: 'slow', target: 'done' },
  ],
}
