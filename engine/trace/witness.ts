/**
 * Stands between one iteration and what it meets outside itself: the clock, calls that take time, committed state.
 * Recording, it lets the world answer and notes what it said, in the order in which it said it; in a replay
 * (`sim/replay.ts`) the notes answer and the world is never asked. Without one an iteration talks to its ports directly.
 */
import { toErrorRecord } from '../errors.ts'
import type { Json, JsonObject } from '../json.ts'
import type { NodeOutput } from '../node/node.ts'
import type { Clock, Files, HttpResponse } from '../ports.ts'

/** What the outside answers, by the operation it was asked for. */
export type Answers = {
  http: HttpResponse
  read: Uint8Array
  write: Awaited<ReturnType<Files['write']>>
  sleep: Awaited<ReturnType<Clock['sleep']>>
  /** When the delay ends, epoch milliseconds. */
  delay: number
}
export type Operation = keyof Answers
/** A question to the outside. `at` is the node's place: its id, and inside for-each bodies the elements it runs for. */
export type Ask<O extends Operation = Operation> = { at: string; op: O; ask: JsonObject }

export type ErrorNote = { name: string; code: string; message: string }
/** A call with its answer, one that was never answered, or (`timeout`) a node whose time was up. */
export type CallNote = { at: string; op: Operation | 'timeout'; ask: JsonObject; answer?: Json; error?: ErrorNote }
/** What a node decided; `set` and `unset` are the keys of its data that differ from its input. */
export type StepNote = { at: string } & (
  | { did: 'complete'; set: JsonObject; unset: string[]; id?: string; metadata?: JsonObject; route: string }
  | { did: 'skip' }
  | { did: 'fail'; error: ErrorNote }
)
/** JSON texts; null for what was not there. */
export type ReadNotes = { state: Record<string, string | null>; runtime: Record<string, string | null> }

/** Committed values as an iteration reads them, as JSON texts. */
export type Reads = { get(key: string): string | undefined }

export interface Witness {
  readonly notes: Notes
  /** The committed values, seen through the witness. */
  committed(kind: keyof ReadNotes, live: Reads): Reads
  /** Epoch milliseconds. */
  now(at: string, live: () => number): number
  call<O extends Operation>(ask: Ask<O>, live: () => Promise<Answers[O]>): Promise<Answers[O]>
  /** What is to be called when the time of the node at this place is up. */
  deadline(at: string, expire: () => void): () => void
}

/** What was seen of one iteration. */
export class Notes {
  readonly reads: ReadNotes = { state: {}, runtime: {} }
  /** Clock reads by place, epoch milliseconds. */
  readonly clock: Record<string, number[]> = {}
  /** In the order of the answers. */
  readonly calls: CallNote[] = []
  /** Asked, and not answered yet. */
  readonly open = new Set<Ask>()
  readonly steps: StepNote[] = []
  readonly pushes: { at: string; queue: string }[] = []

  clockRead(at: string, ms: number): void {
    const times = this.clock[at]
    if (times === undefined) this.clock[at] = [ms]
    else times.push(ms)
  }

  answered(ask: Ask, answer: Pick<CallNote, 'answer' | 'error'>): void {
    this.open.delete(ask)
    this.calls.push({ ...ask, ...answer })
  }

  completed(at: string, input: NodeOutput, { output, route }: { output: NodeOutput; route: string }): void {
    const set: JsonObject = {}
    for (const key of Object.keys(output.data)) {
      if (!Object.hasOwn(input.data, key) || output.data[key] !== input.data[key]) define(set, key, output.data[key])
    }
    const unset = Object.keys(input.data).filter(key => !Object.hasOwn(output.data, key))
    const id = output.id === input.id ? {} : { id: output.id }
    const metadata = output.metadata === input.metadata ? {} : { metadata: output.metadata }
    this.steps.push({ at, did: 'complete', set, unset, ...id, ...metadata, route })
  }

  skipped(at: string): void {
    this.steps.push({ at, did: 'skip' })
  }

  failed(at: string, error: unknown): void {
    this.steps.push({ at, did: 'fail', error: errorNote(error) })
  }
}

/** A key may be `__proto__`; every other is set the quick way: this runs for each key that any node adds. */
function define(target: JsonObject, key: string, value: Json | undefined): void {
  if (key !== '__proto__') target[key] = value as Json
  else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
}

/** An error without its stack. */
export function errorNote(error: unknown): ErrorNote {
  const { name, code, message } = toErrorRecord(error)
  return { name, code, message }
}

/** Lets the world answer, and notes what it said. */
export class RecordingWitness implements Witness {
  readonly notes = new Notes()

  committed(kind: keyof ReadNotes, live: Reads): Reads {
    const noted = this.notes.reads[kind]
    return {
      get: key => {
        const text = live.get(key)
        noted[key] = text ?? null
        return text
      },
    }
  }

  now(at: string, live: () => number): number {
    const ms = live()
    this.notes.clockRead(at, ms)
    return ms
  }

  /** The very promise of the world comes back, so that nothing happens a moment later than without a witness. */
  call<O extends Operation>(ask: Ask<O>, live: () => Promise<Answers[O]>): Promise<Answers[O]> {
    const { notes } = this
    notes.open.add(ask)
    const answer = live()
    answer.then(
      value => notes.answered(ask, { answer: encodeAnswer(value) }),
      error => notes.answered(ask, { error: errorNote(error) }),
    )
    return answer
  }

  deadline(at: string, expire: () => void): () => void {
    return () => {
      this.notes.calls.push({ at, op: 'timeout', ask: {} })
      expire()
    }
  }
}

/** Bytes as a text of one character each: most files are ASCII, and a chunk may end within a character. */
function encodeAnswer(value: Answers[Operation]): Json {
  if (value instanceof Uint8Array) return bytesToText(value)
  return value === undefined ? null : (value as Json)
}

export function decodeAnswer<O extends Operation>(op: O, answer: Json): Answers[O] {
  if (op === 'read') return textToBytes(String(answer)) as Answers[O]
  return (answer === null ? undefined : answer) as Answers[O]
}

function bytesToText(bytes: Uint8Array): string {
  const parts: string[] = []
  for (let i = 0; i < bytes.length; i += 8_192) parts.push(String.fromCharCode(...bytes.subarray(i, i + 8_192)))
  return parts.join('')
}

function textToBytes(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0))
}
