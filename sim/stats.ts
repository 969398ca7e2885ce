/** What a run really did: a green one that did little says little. */
import type { FaultKind } from './faults.ts'

export type Stats = {
  simulatedMs: number
  /** Committed ones; those that Redis lost again count each time. */
  iterations: number
  /** Groups of them. */
  commits: number
  crashes: number
  steps: number
  faults: Partial<Record<FaultKind, number>>
  /** The first request that got a plain 200, because nobody says what the outside answers it. */
  echoed?: string
  /** Rare situations that came up. */
  reached: Set<string>
}
