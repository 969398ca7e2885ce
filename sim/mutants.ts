/**
 * Is the simulator worth its trust? Small, realistic bugs are planted in the engine, and it must find each. A mutant is
 * a patch of one line of the engine's text: the engine knows nothing of it, and a production build carries nothing
 * (mutant-hunt.ts plants it). `find` holds no types and ends before the compiler breaks a line, so that it is the same
 * text before and after compilation.
 */
import type { CanaryName } from './canaries.ts'
import type { FaultKind } from './faults.ts'
import { callMutants } from './mutants-calls.ts'
import { daemonMutants } from './mutants-daemon.ts'
import { liveMutants } from './mutants-lives.ts'
import { poolMutants } from './mutants-pools.ts'
import { runMutants } from './mutants-run.ts'
import { storeMutants } from './mutants-store.ts'

export type Mutant = {
  name: string
  /** Below engine/, without its extension. */
  file: string
  find: string
  replace: string
  /** The invariants (or other kinds of failure) one of which must find it; first the one it is meant for. */
  caughtBy: readonly string[]
  /** Why the others may find it first. */
  also?: string
  /** Why nothing can find it; then it need not be found. */
  survives?: string
  /** The workflow in which it is looked for; `plain` unless told. */
  canary?: CanaryName
  /** Kinds of faults without which it never shows; no others come in between. All, unless told. */
  faults?: readonly FaultKind[]
}

/** Every item is lost or comes twice: whoever does not find this with any seed at all finds nothing. */
export const canary: Mutant = {
  name: 'the canary: a claim loses its item',
  file: 'store/scripts/claim',
  find: 'db.rpush(by.claims, ',
  replace: 'void (',
  caughtBy: ['conservation'],
}

export const mutants: readonly Mutant[] = [
  ...storeMutants,
  ...runMutants,
  ...liveMutants,
  ...daemonMutants,
  ...poolMutants,
  ...callMutants,
]
