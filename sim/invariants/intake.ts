/**
 * A webhook that was accepted was put into its queue once, just as it was sent, and one that was refused for want of room
 * was not; several with one key are one. What becomes of it then, `conservation` watches, as of any item. The books go
 * back in time with a server that loses writes, for so do the queues.
 */
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '../../engine/json.ts'
import { webhookQueue } from '../../engine/nodes/network/webhook-producer.ts'
import { decodeEntry } from '../../engine/store/entry.ts'
import type { CallNews } from '../callers.ts'
import { bodyOf, type CallOf, markOf, webhooksOf } from '../calls.ts'
import type { Applied } from '../server.ts'
import { Book } from './book.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

class Intake implements Invariant {
  readonly name = 'intake'
  readonly #report: Report
  /** By webhook, and key or number of the call: what is in the queue, or was. */
  readonly #taken = new Book<string, true>()
  /** The same, whatever the server lost since: what was told of it is excused. */
  readonly #everTaken = new Set<string>()
  readonly #sent = new Map<string, string>()
  /** Whoever posts to others is told that nobody knows them. */
  readonly #webhooks: readonly string[]

  constructor({ graph, report }: InvariantContext) {
    this.#webhooks = webhooksOf(graph)
    this.#report = report
  }

  call(news: CallNews): void {
    if (news.what === 'develops' || news.call.kind !== 'post') return
    const { call } = news
    const name = nameOf(call)
    if (news.what === 'begins') this.#sent.set(name, canonicalJson(bodyOf(call)))
    if (news.what !== 'is answered' || news.answer.kind !== 'post') return
    const { status } = news.answer
    if (status === 'unknown' && this.#webhooks.includes(call.webhook))
      this.#report(`webhook "${call.webhook}" is known`, `post ${call.n} was told it is not`)
    if (status === 'accepted' && !this.#everTaken.has(name))
      this.#report(`post ${call.n}, which was accepted, is in its queue`, 'it never was')
    // of several with one key another may have been taken meanwhile
    if (status === 'full' && call.key === undefined && this.#taken.has(name))
      this.#report(`post ${call.n}, which was refused, is in no queue`, 'it was put into its queue')
  }

  applied({ op, moves }: Applied): void {
    if (op !== 'intake') return
    for (const { kind, key, value } of moves) if (kind === 'in') this.#enters(key, decodeEntry(value).item.data)
  }

  #enters(key: string, { webhook }: JsonObject): void {
    const { webhook_id: id, data } = (isJsonObject(webhook) ? webhook : {}) as { webhook_id?: Json; data?: Json }
    const body = isJsonObject(data) ? data.body : undefined
    const name = `${id} ${isJsonObject(body) ? (body.key ?? body.mark) : ''}`
    if (this.#sent.get(name) !== canonicalJson(body ?? null))
      this.#report(`what enters a queue is as it was sent`, `"${name}" came as ${canonicalJson(body ?? null)}`)
    if (!key.endsWith(`:q:${webhookQueue(String(id))}`))
      this.#report(`post "${name}" goes to the queue of its webhook`, `it went to ${key}`)
    if (this.#taken.has(name)) this.#report(`post "${name}" is queued once`, 'it was queued again')
    this.#taken.set(name, true)
    this.#everTaken.add(name)
  }

  save(): () => void {
    return this.#taken.save()
  }
}

/** Those with the same key are the same. */
function nameOf({ webhook, key, n }: CallOf<'post'>): string {
  return `${webhook} ${key ?? markOf(n)}`
}

export const intake: MakeInvariant = context => new Intake(context)
