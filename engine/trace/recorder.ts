/** Tells a trace what one replica's iterations met, decided and changed: when they end, and when they are committed. */
import { limits } from '../limits.ts'
import type { Iteration } from '../run/iteration.ts'
import type { ClaimedEntry } from '../store/entry.ts'
import type { IterationLine, OutcomeNote, TraceSink, WriteNotes } from './trace.ts'
import { Notes, RecordingWitness, type Witness } from './witness.ts'

export type Recorded = { run: string; loop: string; replica: number; instance: string }

export class LoopRecorder {
  readonly #sink: TraceSink
  #where: Recorded
  readonly #now: () => number
  readonly #holder: string
  #chapter = 1
  #iterations = 0
  #beganMs: number
  #isRecording: boolean

  constructor(sink: TraceSink, where: Recorded, now: () => number) {
    this.#sink = sink
    this.#where = where
    this.#now = now
    this.#holder = where.instance
    this.#beganMs = now()
    this.#isRecording = sink.wants?.() ?? true
  }

  /** What an iteration of this chapter is to be seen by. */
  witness(): Witness | undefined {
    return this.#isRecording ? new RecordingWitness() : undefined
  }

  get isChapterOver(): boolean {
    return this.#iterations >= limits.chapterIterations || this.#now() - this.#beganMs >= limits.chapterMs
  }

  /** Once all before it is committed, the loop goes on with new instances. False when it was aborted meanwhile. */
  async nextChapter(
    committer: { settled(): Promise<boolean> },
    instances: { renew(): Promise<void> },
  ): Promise<boolean> {
    if (!(await committer.settled())) return false
    await instances.renew()
    this.end()
    this.#isRecording = this.#sink.wants?.() ?? true
    this.#iterations = 0
    this.#beganMs = this.#now()
    this.#where = { ...this.#where, instance: `${this.#holder}.${++this.#chapter}` }
    return true
  }

  /** Of what was not recorded, it is told how much. */
  end(): void {
    const { instance } = this.#where
    if (this.#isRecording || this.#iterations === 0) return
    this.#sink({ kind: 'gap', time: this.#now(), instance, iterations: this.#iterations })
    this.#iterations = 0
  }

  /** An iteration has ended, and will be committed unless the loop is aborted before. */
  ended(iteration: Iteration, entry: ClaimedEntry | undefined, outcome: OutcomeNote): void {
    this.#iterations += 1
    if (!this.#isRecording) return
    this.#sink({ kind: 'iteration', time: this.#now(), ...this.#where, ...describe(iteration, entry, outcome) })
  }

  /** Redis has said so. */
  committed({ number, key }: Iteration): void {
    if (!this.#isRecording) return
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
    ...(effects.response === undefined ? {} : { response: effects.response }),
  }
}
