/**
 * What a node may touch while it works on one item. It is revoked when the iteration ends: later use throws
 * `ITERATION_ENDED`. The host stands behind it only through ports, so every node runs unchanged in the simulator.
 */
import type { Json, JsonObject } from '../json.ts'
import type { HttpResponse } from '../ports.ts'

/** Variables of the run, shared by its loops; writes commit with the iteration. */
export interface RuntimeVariables {
  get(key: string): Json | undefined
  set(key: string, value: Json): void
  delete(key: string): void
}

export type HttpCall = {
  method: string
  url: string
  headers?: Record<string, string>
  body?: string
  /** Milliseconds; the node's own limit (300 s) still holds. */
  timeoutMs?: number
}

/** The answer to a request; `body` is sent as JSON. */
export type Response = { status: number; headers: Record<string, string>; body: Json }

export interface NodeContext {
  /** The node's form, rendered for this item and validated. */
  readonly form: JsonObject
  readonly workflow: { readonly id: string; readonly run: string; readonly env: JsonObject }
  /** `iteration` counts from 1 per run and loop. */
  readonly iteration: { readonly loop: string; readonly iteration: number; readonly run: string }
  readonly clock: {
    /** Epoch milliseconds. */
    now(): number
    /** Ends early, rejecting, when the iteration is aborted. Not durable: see `delay`. */
    sleep(ms: number): Promise<void>
  }
  /** Repeats its values when an item is processed again. In [0, 1). */
  readonly random: { next(): number }
  /** Repeats its values when an item is processed again. */
  readonly ids: { next(): string }
  readonly http: { request(call: HttpCall): Promise<HttpResponse> }
  readonly files: {
    read(path: string, offset: number, bytesMax: number): Promise<Uint8Array>
    write(path: string, content: string, mode: 'w' | 'a'): Promise<void>
  }
  /** The node's own state: one JSON value that commits with the iteration; undefined before the first `set`. */
  readonly state: { get(): Json | undefined; set(value: Json): void }
  readonly runtime: RuntimeVariables
  readonly log: Record<'debug' | 'info' | 'warn' | 'error', (message: string, fields?: JsonObject) => void>
  /** Answers the request that started an `api` workflow, when it commits. Throws when it was answered before. */
  respond(response: Response): void
  /** Aborted when the iteration fails elsewhere, times out, or the loop stops for good. */
  readonly signal: AbortSignal
  /** The same whenever this node processes this item again: hand it to the outside. */
  readonly idempotencyKey: string
  /**
   * A durable delay: the wake-up time is stored beside the claim, once, so that after a crash only the rest is waited for.
   * Milliseconds; may be longer than a timer holds.
   */
  delay(ms: number): Promise<void>
}
