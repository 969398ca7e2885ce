/**
 * Takes webhooks in: a request is answered when it lies in the queue of every workflow that names its webhook, running or
 * not (4.3). Requests that arrive while a batch is on its way go together with the next one, so that a storm costs few
 * round trips and one request alone costs one.
 *
 * K1 nothing is accepted before Redis said so. K2 requests of one workflow go in the order in which they came. K3 a batch
 * whose reply is lost is sent again with the same token.
 */
import { EngineError } from '../errors.ts'
import type { FlowGraph } from '../graph/flow-graph.ts'
import { type Json, type JsonObject, utf8Bytes } from '../json.ts'
import { limits } from '../limits.ts'
import { webhookQueue } from '../nodes/network/webhook-producer.ts'
import type { Clock, Random, Redis } from '../ports.ts'
import { encodeEntry, encodeItem } from '../store/entry.ts'
import { workflowPrefix } from '../store/keys.ts'
import { retryTransient } from '../store/retry.ts'
import { intake } from '../store/scripts/intake.ts'
import { listArg } from '../store/scripts/prelude.ts'

export type WebhookRequest = {
  body: Json
  headers: Record<string, string>
  method: string
  query: JsonObject
  /** Of an `Idempotency-Key`: each workflow takes one request per key. */
  key?: string
}

/** `full` names the first workflow that has no room; those that had keep what they took. */
export type WebhookAnswer =
  | { status: 'accepted'; subscribers: number }
  | { status: 'unknown' }
  | { status: 'full'; workflow: string }

export type IntakeOptions = {
  redis: Redis
  clock: Clock
  random: Random
  /** How long an outage of Redis is waited out before a request is refused. */
  patienceMs: number
}

type Waiting = { args: string[]; settle: (letter: string) => void; fail: (error: unknown) => void }
type Lane = { waiting: Waiting[]; busy: boolean }

export class WebhookIntake {
  readonly #options: IntakeOptions
  readonly #lanes = new Map<string, Lane>()

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** `graphs`: all workflows that may run. Rejects with PAYLOAD_TOO_LARGE or a `REDIS_…` error: nothing was accepted then. */
  async accept(graphs: readonly FlowGraph[], webhookId: string, request: WebhookRequest): Promise<WebhookAnswer> {
    const subscribers = graphs.filter(graph => namesWebhook(graph, webhookId))
    if (subscribers.length === 0) return { status: 'unknown' }
    const entry = this.#entryOf(webhookId, request)
    const letters = await Promise.all(
      subscribers.map(({ workflow }) => {
        const key = request.key === undefined ? '' : `webhook:${webhookId}:${request.key}`
        const limit = String(workflow.settings.queues.max_length)
        return this.#send(workflow.id, [key, webhookQueue(webhookId), limit, entry])
      }),
    )
    const full = subscribers[letters.indexOf('f')]
    if (full !== undefined) return { status: 'full', workflow: full.workflow.id }
    return { status: 'accepted', subscribers: subscribers.length }
  }

  #entryOf(webhookId: string, { body, headers, method, query }: WebhookRequest): string {
    const { clock, random } = this.#options
    const now = clock.now()
    const webhook = { webhook_id: webhookId, data: { body, headers, method, query_params: query }, timestamp: now }
    const id = random.nonce('webhook')
    const payload = encodeItem({ id, data: { webhook }, metadata: {} })
    const bytes = utf8Bytes(payload)
    if (bytes <= limits.payloadBytesMax) return encodeEntry(id, now, payload)
    const most = `an item has at most ${limits.payloadBytesMax} bytes`
    throw new EngineError('PAYLOAD_TOO_LARGE', `Cannot take the request to webhook "${webhookId}": ${most}`)
  }

  #send(workflow: string, args: string[]): Promise<string> {
    const lane = this.#lanes.get(workflow) ?? { waiting: [], busy: false }
    this.#lanes.set(workflow, lane)
    return new Promise((settle, fail) => {
      lane.waiting.push({ args, settle, fail })
      if (!lane.busy) void this.#drain(workflow, lane)
    })
  }

  async #drain(workflow: string, lane: Lane): Promise<void> {
    lane.busy = true
    while (lane.waiting.length > 0) {
      const batch = lane.waiting.splice(0, limits.batchRequestsMax)
      try {
        const letters = await this.#call(workflow, batch)
        for (const [i, { settle }] of batch.entries()) settle(letters[i] as string)
      } catch (error) {
        for (const { fail } of batch) fail(error)
      }
    }
    lane.busy = false
    this.#lanes.delete(workflow)
  }

  async #call(workflow: string, batch: readonly Waiting[]): Promise<string> {
    const { redis, clock, random, patienceMs } = this.#options
    const args = [random.nonce('batch'), ...listArg(batch.flatMap(each => each.args))]
    const patience = new AbortController()
    const untilMs = clock.monotonic() + patienceMs
    const onRetry = (error: unknown): void => {
      if (clock.monotonic() >= untilMs) patience.abort(error)
    }
    const how = { clock, signal: patience.signal, pauseMsMax: limits.producerPauseMs, onRetry }
    return (await retryTransient(how, () => redis.call(intake, [workflowPrefix(workflow)], args))) as string
  }
}

/** Whether a production workflow has a loop that starts with this webhook. */
export function namesWebhook({ workflow, loops }: FlowGraph, webhookId: string): boolean {
  return (
    workflow.type === 'production' &&
    loops.some(({ endless, producer }) => endless && producer?.form.values.webhook_id === webhookId)
  )
}
