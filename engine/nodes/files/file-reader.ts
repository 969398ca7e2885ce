/**
 * Yields the records of a file, as a stream. Its state is the byte position after the last record, so that a run goes
 * on there; the bytes read ahead are only a cache. A broken record fails its own iteration: the position moves on first,
 * then the node throws, and the next call reads what follows.
 */
import { EngineError } from '../../errors.ts'
import type { Json, JsonObject } from '../../json.ts'
import { limits } from '../../limits.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { choice, text } from '../../node/form-fields.ts'
import { parseJsonText } from '../../node/json-text.ts'
import {
  ExecutionCompleted,
  freeKey,
  type NodeOutput,
  type Produced,
  ProducerNode,
  withResult,
} from '../../node/node.ts'
import { csvFields, type RawRecord, RecordReader } from '../../node/record-reader.ts'

type Format = 'lines' | 'jsonl' | 'json' | 'csv'
type Values = { file_path: string; format: Format }

/** `offset` in bytes (in elements for a JSON array); `index` counts items, `line` lines, both as already passed. */
type State = { file: string; offset: number; index: number; line: number }

export class FileReader extends ProducerNode {
  static override identifier = 'file-reader'
  static override stateful = true
  static override category = 'Files'
  static override label = 'File reader'
  static override description =
    'Yields the lines, JSON values or CSV rows of a file, one per iteration, and then completes'
  static override example: JsonObject = { file_path: 'orders.csv', format: 'csv' }
  static override form = defineForm({
    file_path: text({ label: 'File', help: 'Below the files directory', required: true }),
    format: choice({
      label: 'Format',
      default: 'lines',
      labels: {
        lines: 'Lines of text',
        jsonl: 'JSON, one value a line',
        json: 'JSON, one array',
        csv: 'CSV with a header row',
      },
    }),
  })

  readonly #reader = new RecordReader()
  #header: { file: string; names: readonly string[]; end: number } | undefined
  #array: { file: string; items: readonly Json[] } | undefined

  async execute(input: NodeOutput, context: NodeContext): Promise<Produced> {
    const { file_path: file, format } = context.form as Values
    const known = context.state.get() as State | undefined
    const state: State = known?.file === file ? known : { file, offset: 0, index: 0, line: 0 }
    const item = format === 'json' ? await this.#element(state, context) : await this.#record(state, format, context)
    if (item === undefined) return new ExecutionCompleted()
    return withResult(input, 'file_reader', { item, index: state.index + 1 })
  }

  async #record(state: State, format: 'lines' | 'jsonl' | 'csv', context: NodeContext): Promise<Json | undefined> {
    const { file, index } = state
    const header = format === 'csv' ? await this.#headerOf(file, context) : undefined
    if (header === null) return undefined
    let { offset, line } = state
    if (header !== undefined && offset === 0) {
      offset = header.end
      line = header.lines
    }
    for (;;) {
      const raw = await this.#read(file, offset, format, context)
      if (raw === undefined) return undefined
      const first = line + 1
      line += newlines(raw.bytes) + 1
      offset = raw.next
      const bytes = withoutCarriageReturn(raw.bytes)
      if (format !== 'lines' && raw.fault === undefined && isBlank(bytes)) continue
      context.state.set({ file, offset, index: index + 1, line: raw.fault === undefined ? line : first })
      return toItem({ ...raw, bytes }, { file, line: first, format, names: header?.names ?? [] })
    }
  }

  #read(file: string, offset: number, format: Format, context: NodeContext): Promise<RawRecord | undefined> {
    const read = (from: number, bytesMax: number) => context.files.read(file, from, bytesMax)
    return this.#reader.record(file, offset, format === 'csv' ? 'csv' : 'line', read)
  }

  /** The names in the first row, and where the second begins; null for an empty file. */
  async #headerOf(file: string, context: NodeContext) {
    if (this.#header?.file !== file) {
      const raw = await this.#read(file, 0, 'csv', context)
      if (raw === undefined) return null
      const place = { file, line: 1 }
      const fields = raw.fault === undefined ? csvFields(decode(withoutCarriageReturn(raw.bytes), place)) : undefined
      if (fields === undefined) throw broken(place, 'the header row is not CSV; check its quotes')
      this.#header = { file, names: uniqueNames(fields), end: raw.next }
    }
    const { names, end } = this.#header
    return { names, end, lines: 1 }
  }

  async #element(state: State, context: NodeContext): Promise<Json | undefined> {
    if (this.#array?.file !== state.file) {
      this.#array = { file: state.file, items: await readArray(state.file, context) }
    }
    const item = this.#array.items[state.offset]
    if (item !== undefined) context.state.set({ ...state, offset: state.offset + 1, index: state.index + 1 })
    return item
  }
}

type Place = { file: string; line: number }

function toItem(raw: RawRecord, at: Place & { format: Format; names: readonly string[] }): Json {
  if (raw.fault === 'too-long') {
    const text = `is longer than ${limits.fileLineBytesMax} bytes; split it`
    throw new EngineError('PAYLOAD_TOO_LARGE', `Cannot read "${at.file}": line ${at.line} ${text}`, {
      details: place(at),
    })
  }
  if (raw.fault === 'open-quote') throw broken(at, 'a quote is never closed; write it twice where it is meant')
  const text = decode(raw.bytes, at)
  if (at.format === 'jsonl') {
    const parsed = parseJsonText(text)
    if (parsed.fault === undefined) return parsed.value
    throw broken(at, `column ${parsed.fault.column} ${parsed.fault.message.split(' at line ')[0]}`, text)
  }
  return at.format === 'csv' ? toRow(text, at) : text
}

function toRow(text: string, at: Place & { names: readonly string[] }): JsonObject {
  const fields = csvFields(text)
  if (fields === undefined) throw broken(at, 'something follows a closing quote; check the quotes', text)
  if (fields.length !== at.names.length) {
    throw broken(at, `the row has ${fields.length} fields, the header ${at.names.length}`, text)
  }
  return Object.fromEntries(at.names.map((name, i) => [name, fields[i] as string]))
}

async function readArray(file: string, context: NodeContext): Promise<Json[]> {
  const chunks: Uint8Array[] = []
  let length = 0
  for (;;) {
    const chunk = await context.files.read(file, length, limits.fileChunkBytes)
    if (chunk.length === 0) break
    chunks.push(chunk)
    length += chunk.length
    if (length <= limits.fileJsonBytesMax) continue
    const text = `it has more than ${limits.fileJsonBytesMax} bytes; use format "jsonl", which is read as a stream`
    throw new EngineError('PAYLOAD_TOO_LARGE', `Cannot read "${file}" as JSON: ${text}`, { details: { file } })
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  const parsed = parseJsonText(decode(whole, { file, line: 1 }))
  if (parsed.fault !== undefined) throw broken({ file, line: parsed.fault.line }, parsed.fault.message)
  if (!Array.isArray(parsed.value)) throw broken({ file, line: 1 }, 'it is JSON, but not an array; use format "jsonl"')
  return parsed.value
}

function decode(bytes: Uint8Array, at: Place): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw broken(at, 'it is not UTF-8; convert the file')
  }
}

function broken(at: Place, what: string, text?: string): EngineError {
  const shown = text === undefined ? {} : { text: text.slice(0, 1_000) }
  const message = `Cannot read "${at.file}": line ${at.line}: ${what}`
  return new EngineError('FILE_FAILED', message, { details: { ...place(at), ...shown } })
}

function place(at: Place): JsonObject {
  return { file: at.file, line: at.line }
}

/** Empty names become `column_3`; a name that comes twice gets `_2`. */
function uniqueNames(fields: readonly string[]): string[] {
  const taken: JsonObject = {}
  return fields.map((field, i) => {
    const name = freeKey(taken, field.trim() === '' ? `column_${i + 1}` : field.trim())
    taken[name] = null
    return name
  })
}

function newlines(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count += 1
  return count
}

function withoutCarriageReturn(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every(byte => byte === 32 || byte === 9 || byte === 13)
}
