/**
 * The world beyond Redis: files in memory, and an HTTP server that answers everything with a 200 and an echo. What was
 * written is remembered write by write, because the outside sees each effect at least once.
 */
import { EngineError } from '../engine/errors.ts'
import type { Files, Http, HttpRequest, HttpResponse } from '../engine/ports.ts'

export type FileWrite = { path: string; mode: 'a' | 'w'; content: string }

/** The same for the simulated engine and for the reference. */
export function echo({ method, url, body }: Pick<HttpRequest, 'method' | 'url' | 'body'>): HttpResponse {
  const answer = { method, url, body: body ?? null }
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) }
}

/** Files below one directory, synchronous; throws `FILE_OUTSIDE` and `FILE_FAILED` as the real ones do. */
export class MemoryFiles {
  readonly writes: FileWrite[] = []
  readonly #files = new Map<string, Uint8Array>()

  constructor(files: Readonly<Record<string, string>>) {
    for (const [path, text] of Object.entries(files)) this.#files.set(normalise(path), new TextEncoder().encode(text))
  }

  read(path: string, offset: number, bytesMax: number): Uint8Array {
    const file = this.#files.get(normalise(path))
    if (file === undefined) throw new EngineError('FILE_FAILED', `Cannot read file "${path}": there is no such file`)
    return file.slice(offset, offset + bytesMax)
  }

  write(path: string, content: string, mode: 'a' | 'w'): void {
    const name = normalise(path)
    const added = new TextEncoder().encode(content)
    const before = mode === 'a' ? (this.#files.get(name) ?? new Uint8Array()) : new Uint8Array()
    const whole = new Uint8Array(before.length + added.length)
    whole.set(before)
    whole.set(added, before.length)
    this.#files.set(name, whole)
    this.writes.push({ path: name, mode, content })
  }
}

function normalise(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..' && parts.pop() === undefined) outside(path)
    if (part !== '' && part !== '.' && part !== '..') parts.push(part)
  }
  if (path.startsWith('/')) outside(path)
  return parts.join('/')
}

function outside(path: string): never {
  throw new EngineError('FILE_OUTSIDE', `Cannot use file "${path}": it leads out of the files directory`)
}

/** Runs work after a latency; never settles for a daemon that died meanwhile. `op` is what faults know it by. */
export type Later = <T>(op: 'http' | 'read' | 'write', work: () => T) => Promise<T>

export function simFiles(files: MemoryFiles, later: Later): Files {
  return {
    read: (path, offset, bytesMax) => later('read', () => files.read(path, offset, bytesMax)),
    write: (path, content, mode) => later('write', () => files.write(path, content, mode)),
  }
}

export function simHttp(later: Later): Http {
  return { request: request => later('http', () => echo(request)) }
}
