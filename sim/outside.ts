/**
 * The world beyond Redis: files in memory, and an HTTP server that answers as a scenario says, and else with a 200 and
 * an echo. What was written is remembered write by write, because the outside sees each effect at least once.
 *
 * What a scenario says of the outside travels with the files of its plan, under names that no workflow reads; so a
 * stored plan, a worker and the reference all know it.
 */
import { EngineError } from '../engine/errors.ts'
import { hashText } from '../engine/hash.ts'
import { canonicalJson, type Json, type JsonObject } from '../engine/json.ts'
import { limits } from '../engine/limits.ts'
import type { HttpCall } from '../engine/node/context.ts'
import type { Files, Http, HttpRequest, HttpResponse } from '../engine/ports.ts'
import type { FaultKind } from './faults.ts'
import {
  diskFull,
  fileMishaps,
  httpMishaps,
  isCarriedOut,
  Mishaps,
  mishapAnswer,
  requestName,
  writeName,
} from './mishaps.ts'

export type FileWrite = { path: string; mode: 'a' | 'w'; content: string }
/** A request that the outside has carried out. `isSure`: by an iteration that went well. */
export type Sent = { what: string; key: string; isSure: boolean }
/** How often something was asked for, by Idempotency-Key: by iterations that went well, and by all; and these keys. */
export type Requests = Record<string, { sure: number; most: number; keys: string[] }>

/** Names that are no files: answers to HTTP requests, what must hold in the end, and what went wrong with which request. */
export const saidOutside = { http: 'sim:http', must: 'sim:must', mishaps: 'sim:mishaps' } as const

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

type Asked = Omit<HttpRequest, 'signal'>

function isMeant({ method, url }: HttpRule, request: Pick<HttpRequest, 'method' | 'url'>): boolean {
  if (method !== request.method && method !== '*') return false
  return url.endsWith('*') ? request.url.startsWith(url.slice(0, -1)) : request.url === url
}

function toResponse({ status = 200, headers = {}, body = '', error }: HttpAnswer, url: string): HttpResponse {
  if (error !== undefined) throw new EngineError('HTTP_FAILED', `Cannot reach "${url}": ${error}`)
  if (typeof body === 'string') return { status, headers, body }
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }
}

function echo({ method, url, body }: Asked): HttpAnswer {
  return { status: 200, body: { method, url, body: body ?? null } }
}

/** Files below one directory, synchronous; throws `FILE_OUTSIDE` and `FILE_FAILED` as the real ones do. */
export class MemoryFiles {
  readonly writes: FileWrite[] = []
  readonly sent: Sent[] = []
  readonly mishaps: Mishaps
  /** The first request that no handler was there for. */
  echoed: string | undefined
  readonly #files = new Map<string, Uint8Array>()

  readonly #rules: readonly HttpRule[]
  readonly #given: Readonly<Record<string, string>>

  constructor(files: Readonly<Record<string, string>>) {
    this.#given = files
    this.mishaps = new Mishaps(files[saidOutside.mishaps])
    this.#rules = JSON.parse(files[saidOutside.http] ?? '[]') as HttpRule[]
    for (const [path, text] of Object.entries(files)) this.#files.set(normalise(path), new TextEncoder().encode(text))
  }

  /**
   * What the HTTP server answers, to the engine and to the reference alike; throws `HTTP_FAILED`. `patienceMs` is how long
   * the node waits that asks; 0: for ever.
   */
  answer(call: HttpCall, patienceMs = 0): HttpResponse {
    const request = { headers: {}, timeoutMs: limits.nodeTimeoutMs, ...call }
    const what = requestName(request)
    const mishap = this.mishaps.of(what)
    const carriedOut = isCarriedOut(mishap) ? this.#carryOut(request, what) : undefined
    if (mishap !== undefined) return mishapAnswer(mishap, request, patienceMs)
    return toResponse(carriedOut as HttpAnswer, request.url)
  }

  #carryOut(request: Asked, what: string): HttpAnswer {
    const [, key = ''] = Object.entries(request.headers).find(([name]) => /^idempotency-key$/i.test(name)) ?? []
    this.sent.push({ what, key, isSure: true })
    const rule = this.#rules.find(each => isMeant(each, request))
    if (rule === undefined) {
      this.echoed ??= `${request.method} ${request.url}`
      return echo(request)
    }
    const { method, url, body } = request
    const handler = rule.call === undefined ? undefined : httpHandlers.get(rule.call)
    return handler === undefined ? rule : handler({ method, url, body })
  }

  /** What was asked of the outside. */
  requests(): Requests {
    const keys = new Map<string, { sure: Set<string>; most: Set<string> }>()
    for (const { what, key, isSure } of this.sent) {
      const known = keys.get(what) ?? { sure: new Set(), most: new Set() }
      keys.set(what, known)
      known.most.add(key)
      if (isSure) known.sure.add(key)
    }
    const counted = [...keys].map(([what, { sure, most }]) => [
      what,
      { sure: sure.size, most: most.size, keys: [...most] },
    ])
    return Object.fromEntries(counted) as Requests
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
    if (this.mishaps.of(writeName(name, content)) !== undefined) throw diskFull(path)
    const added = new TextEncoder().encode(content)
    const before = mode === 'a' ? (this.#files.get(name) ?? new Uint8Array()) : new Uint8Array()
    const whole = new Uint8Array(before.length + added.length)
    whole.set(before)
    whole.set(added, before.length)
    this.#files.set(name, whole)
    this.writes.push({ path: name, mode, content })
  }
}

/** What was written to each file, write by write. */
export function byPath(writes: readonly FileWrite[]): Record<string, string[]> {
  const files: Record<string, string[]> = {}
  for (const { path, content } of writes) files[path] = [...(files[path] ?? []), content]
  return files
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
export type Later = <T>(op: 'http' | 'read' | 'write', work: (due: Due) => T, limit?: Limit) => Promise<T>
export type Limit = Pick<HttpRequest, 'timeoutMs' | 'signal'>
/** What plans have in store for what is asked of the outside. */
export type Due = (kind: FaultKind) => JsonObject | undefined

export function simFiles(files: MemoryFiles, later: Later, now: () => number): Files {
  return {
    read: (path, offset, bytesMax) => later('read', () => files.read(path, offset, bytesMax)),
    write: (path, content, mode) =>
      later('write', due => {
        files.mishaps.decide(writeName(normalise(path), content), fileMishaps, { ms: now(), due })
        files.write(path, content, mode)
      }),
  }
}

export function simHttp(files: MemoryFiles, later: Later, now: () => number): Http {
  const answer = (request: HttpRequest, due: Due): HttpResponse => {
    files.mishaps.decide(requestName(request), httpMishaps, { ms: now(), due })
    // what gets through twice on its way is carried out twice
    if (due('http-duplicate') !== undefined) files.answer(request)
    return files.answer(request)
  }
  return { request: request => later('http', due => answer(request, due), request) }
}
