/**
 * An item as it lies in a queue: `FLAGS|KEY|ENQUEUED_AT|JSON`. Scripts look at the flags only; the rest is opaque to them.
 * FLAGS is the number of charges (1.6), with `s` in front when the item is a suspect and must be claimed alone.
 * KEY names the entry for ever (also through recovery and requeueing): idempotency keys, draws and delays hang on it.
 */
import { assert } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { NodeOutput } from '../node/node.ts'

export type Entry = {
  key: string
  /** epoch milliseconds */
  enqueuedAt: number
  suspect: boolean
  charges: number
  item: NodeOutput
}

export type ClaimedEntry = Entry & { queue: string }

export function encodeEntry(key: string, enqueuedAt: number, payload: string): string {
  return `0|${key}|${enqueuedAt}|${payload}`
}

export function encodeItem(item: NodeOutput): string {
  return JSON.stringify({ id: item.id, data: item.data, metadata: item.metadata })
}

export function decodeEntry(text: string): Entry {
  const flagsEnd = text.indexOf('|')
  const keyEnd = text.indexOf('|', flagsEnd + 1)
  const timeEnd = text.indexOf('|', keyEnd + 1)
  assert(
    flagsEnd > 0 && keyEnd > 0 && timeEnd > 0,
    () => `A queue entry has the form FLAGS|KEY|TIME|JSON, not "${text.slice(0, 80)}"`,
  )
  const flags = text.slice(0, flagsEnd)
  const suspect = flags.startsWith('s')
  const payload = JSON.parse(text.slice(timeEnd + 1)) as { id: string; data: JsonObject; metadata: JsonObject }
  return {
    key: text.slice(flagsEnd + 1, keyEnd),
    enqueuedAt: Number(text.slice(keyEnd + 1, timeEnd)),
    suspect,
    charges: Number(suspect ? flags.slice(1) : flags),
    item: payload,
  }
}

/** A line of a claimed list. */
export function decodeClaim(text: string): ClaimedEntry {
  const end = text.indexOf('\n')
  return { ...decodeEntry(text.slice(end + 1)), queue: text.slice(0, end) }
}
