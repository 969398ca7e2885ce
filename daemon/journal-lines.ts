/**
 * The journal's text: one line per entry, `CRC32 JSON`, so that it can be read, cut and mended with ordinary tools.
 * First the header, then a snapshot of the keys (maybe empty) up to `#end`, then the operations since, in their order.
 * An operation is its script's name and arguments, not its effects: replaying runs the same TypeScript at the same time.
 */

import { readSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { KeyDump } from '../engine/memory-redis/keyspace.ts'

/** Goes up whenever a script reads its arguments differently: the journal holds calls, and replays them. */
export const journalVersion = 2

export type Entry =
  | readonly ['#journal', version: number]
  | readonly ['#key', KeyDump]
  | readonly ['#end', keys: number]
  | readonly ['#pop', timeMs: number, key: string]
  | readonly [script: string, timeMs: number, keys: readonly string[], args: readonly string[]]

export function encodeEntry(entry: Entry): string {
  const json = JSON.stringify(entry)
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`
}

/** A snapshot's lines are cut at about this many characters, so that one long list is not one endless line. */
const partCharsMax = 256 * 1024

/** The lines of a whole keyspace; a long list, set or hash comes in several `#key` entries of the same key. */
export function* snapshotEntries(dump: readonly KeyDump[]): Generator<Entry> {
  for (const key of dump) {
    if (key.type === 'string') yield ['#key', key]
    else
      for (const part of parts<string | [string, string]>(key.value)) yield ['#key', { ...key, value: part } as KeyDump]
  }
  yield ['#end', dump.length]
}

function* parts<T extends string | [string, string]>(values: readonly T[]): Generator<T[]> {
  let part: T[] = []
  let chars = 0
  for (const value of values) {
    part.push(value)
    chars += typeof value === 'string' ? value.length : value[0].length + value[1].length
    if (chars < partCharsMax) continue
    yield part
    part = []
    chars = 0
  }
  if (part.length > 0) yield part
}

/** One line as it was found. `end` is the offset of the byte after it. Damaged lines have no entry. */
export type Line = { number: number; start: number; end: number; entry: Entry | undefined }

const chunkBytes = 1024 * 1024

/** Reads line by line, never the whole file: memory is bounded by the longest line. */
export function* readLines(fd: number): Generator<Line> {
  let carry: Buffer[] = []
  let number = 0
  let start = 0
  for (let at = 0; ; ) {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    const n = readSync(fd, chunk, 0, chunkBytes, at)
    if (n === 0) break
    let from = 0
    for (let nl = indexOfNewline(chunk, from, n); nl >= 0; nl = indexOfNewline(chunk, from, n)) {
      carry.push(chunk.subarray(from, nl))
      from = nl + 1
      number += 1
      yield { number, start, end: at + from, entry: decode(carry) }
      start = at + from
      carry = []
    }
    if (from < n) carry.push(chunk.subarray(from, n))
    at += n
  }
  if (carry.length > 0) {
    const end = start + carry.reduce((sum, part) => sum + part.length, 0)
    yield { number: number + 1, start, end, entry: undefined }
  }
}

function indexOfNewline(chunk: Buffer, from: number, end: number): number {
  const at = chunk.indexOf(10, from)
  return at < end ? at : -1
}

function decode(parts: readonly Buffer[]): Entry | undefined {
  const line = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  if (line.length < 10 || line[8] !== 32) return undefined
  const json = line.subarray(9)
  if (line.toString('latin1', 0, 8) !== crc32(json).toString(16).padStart(8, '0')) return undefined
  try {
    return JSON.parse(json.toString('utf8')) as Entry
  } catch {
    return undefined
  }
}
