/**
 * Answers an iteration from what was recorded of it: the same answers, in the same order, and the world is never asked.
 * A question that has no recorded answer makes the iteration stale.
 */
import { EngineError, type ErrorCode, errorCodes } from '../engine/errors.ts'
import { jsonEqual } from '../engine/json.ts'
import type { IterationLine } from '../engine/trace/trace.ts'
import {
  type Answers,
  type Ask,
  type CallNote,
  decodeAnswer,
  type ErrorNote,
  Notes,
  type Operation,
  type ReadNotes,
  type Reads,
  type Witness,
} from '../engine/trace/witness.ts'

/** What was asked and never recorded. `at` is the place of a node, or empty. */
export type Stale = { at: string; field: string }

type Waiting = { ask: Ask; settle: (note: CallNote) => void }

export class ReplayWitness implements Witness {
  readonly notes = new Notes()
  stale: Stale | undefined
  readonly #line: IterationLine
  /** Recorded and not given yet, in their order. */
  readonly #answers: CallNote[]
  readonly #waiting = new Set<Waiting>()
  readonly #expiries = new Map<string, () => void>()

  constructor(line: IterationLine) {
    this.#line = line
    this.#answers = [...line.calls]
  }

  committed(kind: keyof ReadNotes): Reads {
    const recorded = this.#line.reads[kind]
    return {
      get: key => {
        const text = Object.hasOwn(recorded, key) ? recorded[key] : undefined
        const at = kind === 'state' ? key : ''
        if (text === undefined) this.stale ??= { at, field: kind === 'state' ? 'state' : `runtime.${key}` }
        return text ?? undefined
      },
    }
  }

  /** A look at the clock that was not recorded sees what the last one saw: times alone make nothing stale. */
  now(at: string): number {
    const times = this.#line.clock[at] ?? []
    const seen = this.notes.clock[at]?.length ?? 0
    const ms = times[seen] ?? times.at(-1) ?? this.#line.time
    this.notes.clockRead(at, ms)
    return ms
  }

  call<O extends Operation>(ask: Ask<O>): Promise<Answers[O]> {
    this.notes.open.add(ask)
    const isSame = ({ at, op }: { at: string; op: string }): boolean => at === ask.at && op === ask.op
    const asked = [...this.#waiting].filter(({ ask: other }) => isSame(other)).length
    if (this.#answers.filter(isSame).length <= asked) this.stale ??= { at: ask.at, field: ask.op }
    return new Promise((resolve, reject) => {
      const settle = ({ answer, error }: CallNote): void => {
        if (error === undefined) resolve(decodeAnswer(ask.op, answer ?? null))
        else reject(revive(error))
      }
      this.#waiting.add({ ask, settle })
    })
  }

  deadline(at: string, expire: () => void): () => void {
    this.#expiries.set(at, expire)
    return () => undefined
  }

  /** Gives the next recorded answer for which somebody waits; false when there is none. */
  answerNext(): boolean {
    for (const [i, note] of this.#answers.entries()) {
      if (!this.#give(note)) continue
      this.#answers.splice(i, 1)
      return true
    }
    return false
  }

  #give(note: CallNote): boolean {
    if (note.op === 'timeout') return this.#expire(note)
    if (note.answer === undefined && note.error === undefined) return false
    const there = [...this.#waiting].filter(({ ask }) => ask.at === note.at && ask.op === note.op)
    const waiting = there.find(({ ask }) => jsonEqual(ask.ask, note.ask)) ?? there[0]
    if (waiting === undefined) return false
    this.#waiting.delete(waiting)
    const { answer, error } = note
    this.notes.answered(waiting.ask, error === undefined ? { answer: answer ?? null } : { error })
    waiting.settle(note)
    return true
  }

  #expire(note: CallNote): boolean {
    const expire = this.#expiries.get(note.at)
    if (expire === undefined) return false
    this.#expiries.delete(note.at)
    this.notes.calls.push(note)
    expire()
    return true
  }
}

function revive({ name, code, message }: ErrorNote): Error {
  if (name === 'EngineError' && Object.hasOwn(errorCodes, code)) return new EngineError(code as ErrorCode, message)
  return Object.assign(new Error(message), { name }, code === 'NODE_FAILED' ? {} : { code })
}
