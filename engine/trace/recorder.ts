/** Tells a trace what one replica's iterations met, decided and changed: when they end, and when they are committed. */
import type { Iteration } from '../run/iteration.ts'
import type { ClaimedEntry } from '../store/entry.ts'
import type { IterationLine, OutcomeNote, TraceSink, WriteNotes } from './trace.ts'
import { Notes } from './witness.ts'

export type Recorded = { run: string; loop: string; replica: number; instance: string }

export class LoopRecorder {
  readonly #sink: TraceSink
  readonly #where: Recorded
  readonly #now: () => number

  constructor(sink: TraceSink, where: Recorded, now: () => number) {
    this.#sink = sink
    this.#where = where
    this.#now = now
  }

  /** An iteration has ended, and will be committed unless the loop is aborted before. */
  ended(iteration: Iteration, entry: ClaimedEntry | undefined, outcome: OutcomeNote): void {
    this.#sink({ kind: 'iteration', time: this.#now(), ...this.#where, ...describe(iteration, entry, outcome) })
  }

  /** Redis has said so. */
  committed({ number, key }: Iteration): void {
    this.#sink({ kind: 'commit', time: this.#now(), ...this.#where, iteration: number, key })
  }
}

/** An iteration as a trace has it, but for when and where. */
export function describe(
  iteration: Iteration,
  entry: ClaimedEntry | undefined,
  outcome: OutcomeNote,
): Omit<IterationLine, 'kind' | 'time' | keyof Recorded> {
  const { number, key, pushPrefix: prefix } = iteration
  const { reads, clock, calls, open, steps } = iteration.witness?.notes ?? new Notes()
  return {
    iteration: number,
    key,
    prefix,
    entry: entry ?? null,
    reads,
    clock,
    calls: [...calls, ...open],
    steps,
    outcome,
    writes: writesOf(iteration),
  }
}

function writesOf({ effects, witness }: Iteration): WriteNotes {
  const runtime = [...effects.runtime].map(([key, text]) => [key, text ?? null] as const)
  return {
    state: Object.fromEntries(effects.state),
    runtime: Object.fromEntries(runtime),
    delays: effects.delays,
    pushes: witness?.notes.pushes ?? [],
  }
}
