/**
 * Writes a trace to a file, in batches: what one turn of the event loop brings goes out with one write; to a file that ends
 * in `.gz`, what half a second brings, packed. A disk that fails ends the recording, never the run.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { gzipSync } from 'node:zlib'
import { EngineError, messageOf } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { openTrace, type TraceSink } from '../engine/trace/trace.ts'
import { version } from './version.ts'

export type TraceFile = { record: TraceSink; close(): void }

const batchUnitsMax = 1024 * 1024
const packedEveryMs = 500

/** Replaces the file. Throws `USAGE` when it can't be written; `onFailure` is told once when that comes later. */
export function openTraceFile(path: string, graph: FlowGraph, onFailure: (message: string) => void): TraceFile {
  const file = new BatchedFile(path, onFailure)
  const record = openTrace(graph, { engine: version, source: 'recorded' }, line => file.write(line))
  return { record, close: () => file.close() }
}

class BatchedFile {
  readonly #path: string
  readonly #onFailure: (message: string) => void
  #fd: number | undefined
  readonly #isPacked: boolean
  #batch: string[] = []
  #units = 0
  #due: NodeJS.Timeout | undefined

  constructor(path: string, onFailure: (message: string) => void) {
    this.#path = path
    this.#onFailure = onFailure
    this.#isPacked = path.endsWith('.gz')
    try {
      mkdirSync(dirname(path), { recursive: true })
      this.#fd = openSync(path, 'w')
    } catch (error) {
      throw new EngineError('USAGE', `Cannot record a trace to "${path}": ${messageOf(error)}; name a file to write`)
    }
  }

  write(line: string): void {
    if (this.#fd === undefined) return
    if (this.#batch.length === 0) this.#schedule()
    this.#batch.push(line)
    this.#units += line.length
    if (this.#units >= batchUnitsMax) this.#flush()
  }

  close(): void {
    this.#flush()
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #schedule(): void {
    if (this.#isPacked) this.#due = setTimeout(() => this.#flush(), packedEveryMs)
    else setImmediate(() => this.#flush())
  }

  #flush(): void {
    clearTimeout(this.#due)
    if (this.#fd === undefined || this.#batch.length === 0) return
    const text = Buffer.from(`${this.#batch.join('\n')}\n`)
    // a gzip file may have many members, one after the other
    const bytes = this.#isPacked ? gzipSync(text) : text
    this.#batch = []
    this.#units = 0
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
    } catch (error) {
      closeSync(this.#fd)
      this.#fd = undefined
      this.#onFailure(`the trace "${this.#path}" ends here: ${messageOf(error)}`)
    }
  }
}
