/**
 * Those who watch workflows while they run (`/ws/workflow/ID`): what happens is collected and sent a few times a second, so
 * much that neither loops nor memory notice. Beyond that a sample is sent, and how much was left out is told.
 *
 * V1 an event costs a loop a place in a short list, or nothing where nobody watched lately. V2 ends, failures and warnings
 * are left out last. V3 a client that reads slower than it is sent misses events; nothing waits for it here.
 * V4 what was sent last is remembered for a while, for clients that come back.
 */
import type { Json, JsonObject } from '../engine/json.ts'
import type { NodeOutput } from '../engine/node/node.ts'
import type { Clock } from '../engine/ports.ts'
import type { EngineEvent, EventSink } from '../engine/trace/events.ts'

/** One connection, as much of it as is needed here. */
export type Watcher = {
  /** Bytes that were sent and have not left this process. */
  readonly waiting: number
  send(text: string): void
}

export const watching = {
  everyMs: 100,
  /** Messages a second over all clients of a workflow, and at least so many for each. */
  messagesMax: 2_000,
  messagesMin: 10,
  /** Messages for one client a second, however few there are. */
  clientMax: 1_000,
  /** Events that end something, kept on top of those. */
  importantMax: 500,
  /** A client that has left so many bytes unread misses what comes. */
  waitingMax: 256 * 1024,
  historyMax: 200,
  /** For how long after the last client left events are remembered for it. */
  historyMs: 60_000,
  /** Longest output that is shown, in characters of JSON. */
  outputMax: 16 * 1024,
} as const

const common = new Set<EngineEvent['type']>([
  'iteration_started',
  'iteration_completed',
  'node_started',
  'node_completed',
  'node_skipped',
])

type Sent = { id: string; text: string }

export class Watching {
  readonly #clock: Clock
  readonly #boot: string
  /** By workflow; those that are watched, or were until lately. */
  readonly #channels = new Map<string, Channel>()
  readonly #ending: AbortSignal
  #isTicking = false

  /** `boot` tells the ids of this process from those of another. */
  constructor(clock: Clock, boot: string, ending: AbortSignal) {
    this.#clock = clock
    this.#boot = boot
    this.#ending = ending
  }

  readonly see: EventSink = (event, output) => this.#channels.get(event.workflow_id)?.see(event, output)

  /**
   * `after`: the last event that this client has seen, in an earlier connection. What came since is sent to it at once, or
   * that it is no longer known. Returns what to call when it leaves.
   */
  join(workflow: string, watcher: Watcher, after?: string): () => void {
    const channel = this.#channels.get(workflow) ?? new Channel(this.#boot)
    this.#channels.set(workflow, channel)
    channel.join(watcher, after)
    void this.#tick()
    return () => channel.leave(watcher, this.#clock.monotonic())
  }

  async #tick(): Promise<void> {
    if (this.#isTicking) return
    this.#isTicking = true
    while (this.#channels.size > 0 && !this.#ending.aborted) {
      await this.#clock.sleep(watching.everyMs, this.#ending).catch(() => undefined)
      const nowMs = this.#clock.monotonic()
      for (const [workflow, channel] of this.#channels) {
        channel.flush()
        if (channel.isForgotten(nowMs)) this.#channels.delete(workflow)
      }
    }
    this.#isTicking = false
  }
}

/** One workflow. */
class Channel {
  readonly #boot: string
  readonly #watchers = new Map<Watcher, { missed: number }>()
  #collected: [EngineEvent, NodeOutput | undefined][] = []
  /** Of those, the ones that are sampled. */
  #commons = 0
  #left = 0
  #history: Sent[] = []
  #number = 0
  #leftMs = 0

  constructor(boot: string) {
    this.#boot = boot
  }

  see(event: EngineEvent, output: NodeOutput | undefined): void {
    const isCommon = common.has(event.type)
    const most = this.#perFlush()
    if (isCommon ? this.#commons >= most : this.#collected.length - this.#commons >= watching.importantMax) {
      this.#left += 1
      return
    }
    if (isCommon) this.#commons += 1
    this.#collected.push([event, output])
  }

  join(watcher: Watcher, after: string | undefined): void {
    this.#watchers.set(watcher, { missed: 0 })
    if (after === undefined) return
    // what is collected now comes with the next flush
    const at = this.#history.findIndex(({ id }) => id === after)
    const isLast = after === this.#idOf(this.#number)
    if (at === -1 && !isLast) watcher.send(JSON.stringify({ type: 'events_lost', after }))
    for (const { text } of at === -1 ? [] : this.#history.slice(at + 1)) watcher.send(text)
  }

  leave(watcher: Watcher, nowMs: number): void {
    this.#watchers.delete(watcher)
    this.#leftMs = nowMs
  }

  isForgotten(nowMs: number): boolean {
    return this.#watchers.size === 0 && nowMs - this.#leftMs > watching.historyMs
  }

  flush(): void {
    const [collected, left] = [this.#collected, this.#left]
    if (collected.length === 0 && left === 0) return
    this.#collected = []
    this.#commons = 0
    this.#left = 0
    const sent = collected.map(([event, output]): Sent => {
      const id = this.#idOf(++this.#number)
      return { id, text: JSON.stringify({ ...messageOf(event, output), event_id: id }) }
    })
    for (const [watcher, state] of this.#watchers) this.#send(watcher, state, sent, left)
    this.#history = [...this.#history, ...sent].slice(-watching.historyMax)
  }

  #send(watcher: Watcher, state: { missed: number }, sent: readonly Sent[], left: number): void {
    state.missed += left
    if (watcher.waiting > watching.waitingMax) {
      state.missed += sent.length
      return
    }
    if (state.missed > 0) watcher.send(JSON.stringify({ type: 'events_skipped', count: state.missed }))
    state.missed = 0
    for (const { text } of sent) watcher.send(text)
  }

  #idOf(number: number): string {
    return `${this.#boot}-${number}`
  }

  #perFlush(): number {
    const { messagesMax, messagesMin, clientMax, everyMs } = watching
    const aSecond = Math.min(clientMax, Math.max(messagesMin, messagesMax / Math.max(1, this.#watchers.size)))
    return Math.floor((aSecond * everyMs) / 1_000)
  }
}

/** An event as the existing clients read it: `started_at`, `duration`, `output_data` are theirs. */
function messageOf(event: EngineEvent, output: NodeOutput | undefined): JsonObject {
  const plain = event as unknown as JsonObject
  if (event.type === 'node_started') return { ...plain, started_at: new Date(event.time).toISOString() }
  if (event.type !== 'node_completed') return plain
  const output_data = shown(output)
  return { ...plain, output_data, ...(output !== undefined && output_data === null ? { output_too_large: true } : {}) }
}

/** Null where it is too large to be shown, or where the loop runs in a worker, where its items stay. */
function shown(output: NodeOutput | undefined): Json {
  return output !== undefined && JSON.stringify(output.data).length <= watching.outputMax ? output.data : null
}
