/**
 * Records of a file, from any byte position: lines, or CSV records whose quoted fields may hold line ends. One window of
 * bytes is kept, so that reading on costs one read per chunk, not per record; it is only a cache: a position outside it
 * (an instance restarted from an older state) is read anew. Works on bytes, because positions in state are bytes; line
 * ends and quotes are ASCII and never part of another UTF-8 character.
 */
import { limits } from '../limits.ts'

/** `next` is the byte position after the record; its text is not decoded yet. */
export type RawRecord =
  | { next: number; bytes: Uint8Array; fault?: undefined }
  | { next: number; bytes: Uint8Array; fault: 'too-long' | 'open-quote' }

export type ReadBytes = (offset: number, bytesMax: number) => Promise<Uint8Array>

/** Where a record ends, fed with bytes as they come: the index of its line end, or -1 when more is needed. */
interface EndFinder {
  find(bytes: Uint8Array, from: number): number
  readonly openQuote: boolean
}

const LF = 10
const QUOTE = 34
const COMMA = 44

class LineEnd implements EndFinder {
  readonly openQuote = false
  find(bytes: Uint8Array, from: number): number {
    return bytes.indexOf(LF, from)
  }
}

/** A quote opens a field only at its start; inside, two quotes are one. */
class CsvEnd implements EndFinder {
  #at: 'start' | 'plain' | 'quoted' | 'quote' = 'start'

  get openQuote(): boolean {
    return this.#at === 'quoted'
  }

  find(bytes: Uint8Array, from: number): number {
    for (let i = from; i < bytes.length; i++) {
      const byte = bytes[i] as number
      if (this.#at === 'quoted') {
        if (byte === QUOTE) this.#at = 'quote'
      } else if (byte === LF) return i
      else if (byte === COMMA) this.#at = 'start'
      else if (byte === QUOTE && this.#at !== 'plain') this.#at = 'quoted'
      else this.#at = 'plain'
    }
    return -1
  }
}

export class RecordReader {
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)
  /** Whose bytes these are. */
  #file: string | undefined

  /** The record at a byte position; undefined at the end of the file. */
  async record(file: string, offset: number, format: 'line' | 'csv', read: ReadBytes): Promise<RawRecord | undefined> {
    this.#seek(file, offset)
    const finder = format === 'csv' ? new CsvEnd() : new LineEnd()
    let from = offset - this.#start
    for (;;) {
      const local = offset - this.#start
      const end = finder.find(this.#bytes, from)
      if (end >= 0) return { next: this.#start + end + 1, bytes: this.#bytes.subarray(local, end) }
      const length = this.#bytes.length - local
      if (length > limits.fileLineBytesMax) return await this.#broken(offset, finder.openQuote, read)
      if (!(await this.#more(offset, read))) {
        if (length === 0) return undefined
        if (finder.openQuote) return await this.#broken(offset, true, read)
        return { next: offset + length, bytes: this.#bytes }
      }
      from = length
    }
  }

  #seek(file: string, offset: number): void {
    const inside = offset >= this.#start && offset <= this.#start + this.#bytes.length
    if (file === this.#file && inside) return
    this.#file = file
    this.#start = offset
    this.#bytes = new Uint8Array(0)
  }

  /** Adds a chunk to the window and lets go of what is before `offset`; false at the end of the file. */
  async #more(offset: number, read: ReadBytes): Promise<boolean> {
    const kept = this.#bytes.subarray(offset - this.#start)
    const chunk = await read(offset + kept.length, limits.fileChunkBytes)
    const joined = new Uint8Array(kept.length + chunk.length)
    joined.set(kept)
    joined.set(chunk, kept.length)
    this.#start = offset
    this.#bytes = joined
    return chunk.length > 0
  }

  /** A record without an end is given up at the end of its first line, so that the lines after it are read. */
  async #broken(offset: number, openQuote: boolean, read: ReadBytes): Promise<RawRecord> {
    const fault = openQuote ? 'open-quote' : 'too-long'
    const window = this.#bytes.subarray(offset - this.#start)
    let end = window.indexOf(LF)
    let at = offset
    let chunk = window
    while (end < 0 && chunk.length > 0) {
      at += chunk.length
      chunk = await read(at, limits.fileChunkBytes)
      end = chunk.indexOf(LF)
    }
    const next = end < 0 ? at : at + end + 1
    return { next, bytes: window.subarray(0, Math.min(window.length, next - offset)), fault }
  }
}

/** The fields of one CSV record (RFC 4180), or undefined when something follows a closing quote. */
export function csvFields(record: string): string[] | undefined {
  const fields: string[] = []
  let at = 0
  for (;;) {
    let value: string
    if (record[at] === '"') {
      const quoted = /"((?:[^"]|"")*)"/y
      quoted.lastIndex = at
      const match = quoted.exec(record)
      if (match === null) return undefined
      value = (match[1] as string).replaceAll('""', '"')
      at = quoted.lastIndex
    } else {
      const comma = record.indexOf(',', at)
      const end = comma < 0 ? record.length : comma
      value = record.slice(at, end)
      at = end
    }
    fields.push(value)
    if (at === record.length) return fields
    if (record[at] !== ',') return undefined
    at += 1
  }
}
