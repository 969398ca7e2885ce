/**
 * What an iteration will change if it commits: pushes, node state, runtime variables. Collected here while nodes run and
 * seen by later nodes of the same iteration; nothing leaves before the commit, so a failure has nothing to undo.
 */
import { EngineError } from '../errors.ts'
import { type Json, utf8Bytes } from '../json.ts'
import { limits } from '../limits.ts'
import type { RuntimeVariables } from '../node/context.ts'
import type { NodeOutput } from '../node/node.ts'
import { encodeEntry, encodeItem } from '../store/entry.ts'
import type { IterationCommit } from '../store/replica-store.ts'

export type Committed = { state: ReadonlyMap<string, Json>; runtime: ReadonlyMap<string, Json> }

export class Effects {
  readonly pushes: { queue: string; lengthMax: number; entry: string }[] = []
  readonly state = new Map<string, Json>()
  /** undefined: deleted */
  readonly runtime = new Map<string, Json | undefined>()
  readonly delays: string[] = []
  readonly #committed: Committed
  readonly #keyPrefix: string
  #pushBytes = 0

  /** `keyPrefix` makes the keys of pushed entries unique: run, loop, replica and count of the iteration. */
  constructor(committed: Committed, keyPrefix: string) {
    this.#committed = committed
    this.#keyPrefix = keyPrefix
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

  getState(node: string): Json | undefined {
    return this.state.has(node) ? this.state.get(node) : this.#committed.state.get(node)
  }

  setState(node: string, value: Json): void {
    const bytes = utf8Bytes(JSON.stringify(value))
    if (bytes > limits.payloadBytesMax) {
      const most = `at most ${limits.payloadBytesMax} are allowed`
      throw new EngineError(
        'PAYLOAD_TOO_LARGE',
        `Cannot keep the state of node "${node}": it has ${bytes} bytes, ${most}`,
      )
    }
    this.state.set(node, value)
  }

  /** Variables as this iteration sees them: what is committed, with its own writes on top. */
  get variables(): RuntimeVariables {
    const { runtime } = this
    const committed = this.#committed.runtime
    return {
      get: key => (runtime.has(key) ? runtime.get(key) : committed.get(key)),
      set: (key, value) => void runtime.set(key, value),
      delete: key => void runtime.set(key, undefined),
    }
  }

  /** All of it, for an iteration that went well. */
  toCommit(claimKey: string | undefined): IterationCommit {
    return {
      claimKey,
      pushes: this.pushes,
      state: new Map([...this.state].map(([node, value]) => [node, JSON.stringify(value)])),
      runtime: new Map(
        [...this.runtime].map(([key, value]) => [key, value === undefined ? undefined : JSON.stringify(value)]),
      ),
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
    const kept = [...this.state].filter(([node]) => node === producer)
    return {
      claimKey,
      pushes: [],
      state: new Map(kept.map(([node, value]) => [node, JSON.stringify(value)])),
      runtime: new Map(),
      delays: this.delays,
      outcome: 'failed',
      deadLetter: letter,
    }
  }
}
