/**
 * Who carries simulations out: this very thread, one at a time, or workers (workers.ts). What comes back is the same,
 * since a run is a pure function of its plan.
 */
import { defaultRegistry } from '../engine/node/node-registry.ts'
import { startFlowEngine } from './instance.ts'
import {
  explain,
  type FailedPlan,
  type Found,
  type Outcome,
  runSeed,
  type SeedJob,
  type ShrinkTools,
} from './seed-run.ts'
import { loadSubject, type Source, type Subject } from './subject.ts'

export type Failed = Omit<FailedPlan, 'subject'>

export type Crew = {
  /** How many simulations it carries out at a time. */
  readonly size: number
  /** Simulates a seed of the how-manieth subject, from 0. */
  run(subject: number, job: SeedJob): Promise<Outcome>
  explain(subject: number, failed: Failed): Promise<Found>
}

export type HereOptions = Partial<ShrinkTools>

/** A crew of one: this thread. */
export function crewHere(subjects: readonly Subject[], options: HereOptions = {}): Crew {
  const { startEngine = startFlowEngine, load = loadPlainly, shrinks = () => true } = options
  const at = (n: number): Subject => subjects[n] as Subject
  return {
    size: 1,
    run: (subject, job) => runSeed(at(subject), job, startEngine),
    explain: (subject, failed) => explain({ ...failed, subject: at(subject) }, { startEngine, load, shrinks }),
  }
}

/** With the nodes that everybody has. */
export function loadPlainly(source: Source): Promise<Subject> {
  return loadSubject(source, defaultRegistry())
}
