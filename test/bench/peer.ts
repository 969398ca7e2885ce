/**
 * What both sides of a comparison are asked to do, so that neither bench favours one: items of 300 bytes wait in a queue,
 * a consumer passes them on to a second queue, whose consumer ends them; one consumer each, in order. An item is finished
 * when its consumer's last acknowledgement has come back.
 */
import type { JsonObject } from '../../engine/json.ts'

export type Hops = 1 | 2

export type Peer = {
  name: string
  /** Consumers that wait to be started. */
  open(url: string, options: PeerOptions): Promise<OpenPeer>
}

export type PeerOptions = {
  hops: Hops
  /** Told the number of each item that has left the last queue. */
  onFinished: (n: number) => void
  /** Told what went wrong, so that nobody waits for ever for what won't come. */
  onFailed: (error: unknown) => void
}

export type OpenPeer = {
  /** Appends items to the first queue, in few calls. */
  fill(numbers: readonly number[]): Promise<void>
  /** Begins to consume. */
  start(): Promise<void>
  /** Appends one item, as a client with a connection of its own does. */
  add(n: number): Promise<void>
  close(): Promise<void>
}

const itemBytes = 300

/** An item's data: JSON of 300 bytes, its number in it. */
export function itemData(n: number): JsonObject {
  const bare = JSON.stringify({ n, note: '' }).length
  return { n, note: 'x'.repeat(itemBytes - bare) }
}

export function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i)
}
