/**
 * What an iteration will change if it commits: pushes, node state, runtime variables. Collected here while nodes run and
 * seen by later nodes of the same iteration; nothing leaves before the commit, so a failure has nothing to undo.
 *
 * F1 state and variables are kept as text: whoever reads one gets a value of its own, and changing it changes nothing.
 */
import { EngineError } from '../errors.ts'
import { type Json, utf8Bytes } from '../json.ts'
import { limits } from '../limits.ts'
import type { Response, RuntimeVariables } from '../node/context.ts'
import { freezeJson, type NodeOutput } from '../node/node.ts'
import { encodeEntry, encodeItem } from '../store/entry.ts'
import type { IterationCommit } from '../store/replica-store.ts'
import type { Reads } from '../trace/witness.ts'

/** JSON texts: of the state of this loop's nodes, and of the run's variables. */
export type Committed = { state: Reads; runtime: Reads }

export class Effects {
  readonly pushes: { queue: string; lengthMax: number; entry: string }[] = []
  readonly delays: string[] = []
  /** What an `api` workflow answers, and the node that said so. */
  #response: { said: Response; by: string } | undefined
  // most iterations need none of these
  #variables: Variables | undefined
  #state: Map<string, string> | undefined
  #runtime: Map<string, string | undefined> | undefined
  readonly #committed: Committed
  readonly #keyPrefix: string
  #pushBytes = 0

  /** `keyPrefix` makes the keys of pushed entries unique: run, loop, replica and count of the iteration. */
  constructor(committed: Committed, keyPrefix: string) {
    this.#committed = committed
    this.#keyPrefix = keyPrefix
  }

  /** As nodes and templates of this iteration see them: what is committed, with its own writes on top. */
  get variables(): RuntimeVariables {
    this.#variables ??= new Variables(this)
    return this.#variables
  }

  get state(): ReadonlyMap<string, string> {
    return this.#state ?? nothing
  }

  /** undefined: deleted */
  get runtime(): ReadonlyMap<string, string | undefined> {
    return this.#runtime ?? nothing
  }

  push(queue: { name: string; lengthMax: number }, output: NodeOutput, now: number): void {
    const payload = encodeItem(output)
    this.#checkSize(queue.name, utf8Bytes(payload))
    const key = `${this.#keyPrefix}.${this.pushes.length}`
    this.pushes.push({ queue: queue.name, lengthMax: queue.lengthMax, entry: encodeEntry(key, now, payload) })
  }

  #checkSize(queue: string, bytes: number): void {
    this.#pushBytes += bytes
    const tooLarge = (what: string) => new EngineError('PAYLOAD_TOO_LARGE', `Cannot push to queue "${queue}": ${what}`)
    if (bytes > limits.payloadBytesMax)
      throw tooLarge(`the item has ${bytes} bytes, at most ${limits.payloadBytesMax} are allowed`)
    if (this.pushes.length >= limits.pushesMax) throw tooLarge(`an iteration may push ${limits.pushesMax} items`)
    if (this.#pushBytes > limits.pushBytesMax) throw tooLarge(`an iteration may push ${limits.pushBytesMax} bytes`)
  }

  get response(): Response | undefined {
    return this.#response?.said
  }

  respond(said: Response, by: string): void {
    if (this.#response !== undefined) {
      const before = `node "${this.#response.by}" has answered it`
      throw new EngineError('RESPONDED', `Cannot answer the request in node "${by}": ${before}; let one branch answer`)
    }
    this.#response = { said, by }
  }

  getState(node: string): Json | undefined {
    return parse(this.state.get(node) ?? this.#committed.state.get(node))
  }

  setState(node: string, value: Json): void {
    const text = encode(value, () => `the state of node "${node}"`)
    this.#state ??= new Map()
    this.#state.set(node, text)
  }

  getVariable(key: string): Json | undefined {
    return parse(this.runtime.has(key) ? this.runtime.get(key) : this.#committed.runtime.get(key))
  }

  setVariable(key: string, value: Json): void {
    this.#keepVariable(
      key,
      encode(value, () => `runtime variable "${key}"`),
    )
  }

  deleteVariable(key: string): void {
    this.#keepVariable(key, undefined)
  }

  #keepVariable(key: string, text: string | undefined): void {
    this.#runtime ??= new Map()
    this.#runtime.set(key, text)
  }

  /** All of it, for an iteration that went well. */
  toCommit(claimKey: string | undefined): IterationCommit {
    return {
      claimKey,
      pushes: this.pushes,
      state: this.state,
      runtime: this.runtime,
      delays: this.delays,
      outcome: 'ok',
    }
  }

  /** Only what a failed iteration keeps: its claim goes, the producer's state stays, a dead letter is written. */
  toFailure(
    claimKey: string | undefined,
    producer: string | undefined,
    letter: { id: string; record: string },
  ): IterationCommit {
    return {
      claimKey,
      pushes: [],
      state: new Map([...this.state].filter(([node]) => node === producer)),
      runtime: new Map(),
      delays: this.delays,
      outcome: 'failed',
      deadLetter: letter,
    }
  }
}

class Variables implements RuntimeVariables {
  readonly #effects: Effects
  constructor(effects: Effects) {
    this.#effects = effects
  }
  get(key: string): Json | undefined {
    return this.#effects.getVariable(key)
  }
  set(key: string, value: Json): void {
    this.#effects.setVariable(key, value)
  }
  delete(key: string): void {
    this.#effects.deleteVariable(key)
  }
}

const nothing: ReadonlyMap<string, never> = new Map<string, never>()

function parse(text: string | undefined): Json | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as Json)
}

function encode(value: Json, what: () => string): string {
  freezeJson(value, what)
  const text = JSON.stringify(value)
  const bytes = utf8Bytes(text)
  if (bytes <= limits.payloadBytesMax) return text
  throw new EngineError(
    'PAYLOAD_TOO_LARGE',
    `Cannot keep ${what()}: it has ${bytes} bytes, at most ${limits.payloadBytesMax} are allowed`,
  )
}
