/**
 * A crew of threads: each carries out one simulation at a time, since a simulation replaces the globals of its thread.
 * They are handed data (workflows, seeds) and load the rest themselves. A run that takes too long by the real clock, or
 * takes its thread down, is a failure of that seed; the others go on.
 */
import { Piscina } from 'piscina'
import { codeOf, messageOf } from '../engine/errors.ts'
import type { Crew, Failed } from './crew.ts'
import type { RegistryModule } from './registry-module.ts'
import type { Found, Outcome, SeedJob } from './seed-run.ts'
import type { Source, Subject } from './subject.ts'
import type { Failure } from './world.ts'

export type WorkerData = {
  sources: readonly Source[]
  registry: RegistryModule | undefined
  /** 1 when nothing more shall be tried. */
  over: Int32Array | undefined
}
export type Task = { subject: number } & ({ job: SeedJob } | { failed: Failed })

export type WorkersOptions = {
  workers: number
  registry?: RegistryModule
  /** How long a run may take by the real clock, in milliseconds. */
  hangMs?: number
  /** In shared memory: 1 when nothing more shall be tried. */
  over?: Int32Array
}

/** The longest runs take some ten seconds. */
const defaultHangMs = 120_000
/** Making a plan smaller takes many runs. */
const explainFactor = 10

/** Threads that each carry out one task at a time, by the default export of a module (`….js`, also where it is not built). */
export function openThreads<T, R>({ href }: URL, threads: number, workerData?: unknown): Piscina<T, R> {
  const isSource = import.meta.url.endsWith('.ts')
  return new Piscina({
    filename: isSource ? href.replace(/js$/, 'ts') : href,
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: 1,
    recordTiming: false,
    execArgv: isSource ? ['--import', 'tsx'] : [],
    workerData,
  })
}

export class Workers implements Crew {
  readonly size: number
  readonly #pool: Piscina<Task, Outcome | Found>
  readonly #hangMs: number

  constructor(subjects: readonly Subject[], { workers, registry, over, hangMs = defaultHangMs }: WorkersOptions) {
    const sources = subjects.map(({ graph: _, expected: __, ...source }) => source)
    this.size = workers
    this.#hangMs = hangMs
    this.#pool = openThreads(new URL('./worker.js', import.meta.url), workers, {
      sources,
      registry,
      over,
    } satisfies WorkerData)
  }

  async run(subject: number, job: SeedJob): Promise<Outcome> {
    try {
      return (await this.#task({ subject, job }, this.#hangMs)) as Outcome
    } catch (error) {
      const stats = {
        simulatedMs: 0,
        iterations: 0,
        commits: 0,
        crashes: 0,
        steps: 0,
        faults: {},
        reached: new Set(''),
      }
      return { failure: this.#failureOf(error), stats, hash: 'none' }
    }
  }

  async explain(subject: number, failed: Failed): Promise<Found> {
    const { failure, plan } = failed
    const asItIs: Found = { failure, plan, original: plan, lines: [] }
    // to repeat what hangs, or kills its thread, would do so again
    if (failure.at < 0) return asItIs
    return (await this.#task({ subject, failed }, this.#hangMs * explainFactor).catch(() => asItIs)) as Found
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #task(task: Task, limitMs: number): Promise<Outcome | Found> {
    const patience = new AbortController()
    const timer = setTimeout(() => patience.abort(), limitMs)
    try {
      return await this.#pool.run(task, { signal: patience.signal })
    } finally {
      clearTimeout(timer)
    }
  }

  #failureOf(error: unknown): Failure {
    const isHang = error instanceof Error && error.name === 'AbortError'
    if (isHang) {
      const expected = `a run ends within ${this.#hangMs / 1_000} s of real time`
      return { kind: 'stuck', invariant: 'hang', expected, seen: 'it did not, and was ended', at: -1 }
    }
    const seen = `${codeOf(error) ?? 'Error'}: ${messageOf(error)}`
    return { kind: 'crash', invariant: 'crash', expected: 'a run does not take its thread down', seen, at: -1 }
  }
}
