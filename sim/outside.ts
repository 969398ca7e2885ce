/**
 * The world beyond Redis: files in memory, and an HTTP server that answers as a scenario says, and else with a 200 and
 * an echo. What was written is remembered write by write, because the outside sees each effect at least once.
 *
 * What a scenario says of the outside travels with the files of its plan, under names that no workflow reads; so a
 * stored plan, a worker and the reference all know it.
 */
import { EngineError } from '../engine/errors.ts'
import { hashText } from '../engine/hash.ts'
import { canonicalJson, type Json } from '../engine/json.ts'
import type { Files, Http, HttpRequest, HttpResponse } from '../engine/ports.ts'

export type FileWrite = { path: string; mode: 'a' | 'w'; content: string }

/** Names that are no files: answers to HTTP requests, and what must hold in the end. */
export const saidOutside = { http: 'sim:http', must: 'sim:must' } as const

/** `url` ends in `*` where only its beginning counts; `call` names a function of this process. */
export type HttpRule = {
  method: string
  url: string
  status?: number
  headers?: Record<string, string>
  body?: Json
  /** No answer at all, for this reason. */
  error?: string
  call?: string
}

export type HttpAnswer = Pick<HttpRule, 'status' | 'headers' | 'body' | 'error'>
export type HttpHandler = (request: { method: string; url: string; body: string | undefined }) => HttpAnswer

/** Handlers that are functions, by the names that rules call them by. */
export const httpHandlers = new Map<string, HttpHandler>()

function isMeant({ method, url }: HttpRule, request: Pick<HttpRequest, 'method' | 'url'>): boolean {
  if (method !== request.method && method !== '*') return false
  return url.endsWith('*') ? request.url.startsWith(url.slice(0, -1)) : request.url === url
}

function toResponse({ status = 200, headers = {}, body = '', error }: HttpAnswer, url: string): HttpResponse {
  if (error !== undefined) throw new EngineError('HTTP_FAILED', `Cannot reach "${url}": ${error}`)
  if (typeof body === 'string') return { status, headers, body }
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }
}

function echo({ method, url, body }: Pick<HttpRequest, 'method' | 'url' | 'body'>): HttpResponse {
  const answer = { method, url, body: body ?? null }
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) }
}

/** Files below one directory, synchronous; throws `FILE_OUTSIDE` and `FILE_FAILED` as the real ones do. */
export class MemoryFiles {
  readonly writes: FileWrite[] = []
  readonly #files = new Map<string, Uint8Array>()

  readonly #rules: readonly HttpRule[]
  readonly #given: Readonly<Record<string, string>>

  constructor(files: Readonly<Record<string, string>>) {
    this.#given = files
    this.#rules = JSON.parse(files[saidOutside.http] ?? '[]') as HttpRule[]
    for (const [path, text] of Object.entries(files)) this.#files.set(normalise(path), new TextEncoder().encode(text))
  }

  /** What the HTTP server answers, to the engine and to the reference alike; throws `HTTP_FAILED`. */
  answer(request: Pick<HttpRequest, 'method' | 'url' | 'body'>): HttpResponse {
    const rule = this.#rules.find(each => isMeant(each, request))
    if (rule === undefined) return echo(request)
    const { method, url, body } = request
    const handler = rule.call === undefined ? undefined : httpHandlers.get(rule.call)
    return toResponse(handler === undefined ? rule : handler({ method, url, body }), url)
  }

  /** What was said to hold in the end, as text; undefined when the files are not those of which it was said. */
  must(workflowHash: string): string | undefined {
    const text = this.#given[saidOutside.must]
    if (text === undefined) return undefined
    const [inputs, said] = text.split('\n')
    return inputs === inputsHash(workflowHash, this.#given) ? said : undefined
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

/** Names a workflow and the files that it finds. */
export function inputsHash(workflowHash: string, files: Readonly<Record<string, string>>): string {
  const { [saidOutside.must]: _, ...given } = files
  return hashText(`${workflowHash}|${canonicalJson(given)}`)
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

export function simHttp(files: MemoryFiles, later: Later): Http {
  return { request: request => later('http', () => files.answer(request)) }
}
