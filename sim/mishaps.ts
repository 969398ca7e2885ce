/**
 * What goes wrong beyond Redis: a service that cannot be reached, is silent, refuses, or does the work and loses the
 * answer; a disk that is full. What becomes of a request or a write is decided when it is asked for first, and stays so:
 * whoever asks for the same again is told the same. So an item that is processed again meets what it met before, and the
 * reference can be told after the run what the outside answered, instead of being excused.
 */
import { EngineError } from '../engine/errors.ts'
import type { JsonObject } from '../engine/json.ts'
import type { HttpRequest, HttpResponse } from '../engine/ports.ts'

export const httpMishaps = ['http-error', 'http-timeout', 'http-status', 'http-answer-lost'] as const
export const fileMishaps = ['disk-full'] as const
export type Mishap = (typeof httpMishaps)[number] | (typeof fileMishaps)[number]

/** What a request asks for; headers are left out, for they may hold keys and times. */
export function requestName({ method, url, body }: Pick<HttpRequest, 'method' | 'url' | 'body'>): string {
  return `${method} ${url}${body === undefined ? '' : ` ${body}`}`
}

export function writeName(path: string, content: string): string {
  return `write ${path} ${content}`
}

/** Asks a plan whether something of this kind is due now. */
export type Due = (kind: Mishap) => JsonObject | undefined

export class Mishaps {
  /** By what was asked for; null: nothing goes wrong with it. */
  readonly #decided: Map<string, Mishap | null>
  /** Until when everything meets it, in milliseconds. */
  readonly #until = new Map<Mishap, number>()

  /** @param told what `toJSON` gave after an earlier run */
  constructor(told = '{}') {
    this.#decided = new Map(Object.entries(JSON.parse(told) as Record<string, Mishap>))
  }

  of(what: string): Mishap | undefined {
    return this.#decided.get(what) ?? undefined
  }

  /** Settles what becomes of something, unless that is settled. */
  decide(what: string, kinds: readonly Mishap[], now: { ms: number; due: Due }): void {
    if (this.#decided.has(what)) return
    const mishap = kinds.find(kind => {
      const args = now.due(kind)
      if (args !== undefined) this.#until.set(kind, now.ms + Number(args.ms ?? 0))
      return args !== undefined || now.ms < (this.#until.get(kind) ?? 0)
    })
    this.#decided.set(what, mishap ?? null)
  }

  /** What went wrong, for another to be told; undefined when nothing did. */
  told(): string | undefined {
    const bad = [...this.#decided].filter(([, mishap]) => mishap !== null)
    return bad.length === 0 ? undefined : JSON.stringify(Object.fromEntries(bad))
  }
}

/** Whether the service has done what it was asked for. */
export function isCarriedOut(mishap: Mishap | undefined): boolean {
  return mishap === undefined || mishap === 'http-answer-lost'
}

type Asked = Pick<HttpRequest, 'method' | 'url' | 'timeoutMs'>

/**
 * What a request comes to. Throws as systemHttp does; and where the node's patience (milliseconds; 0: endless) ends
 * no later than that of its request, which begins after it, as the engine does then.
 */
export function mishapAnswer(mishap: Mishap, { method, url, timeoutMs }: Asked, patienceMs: number): HttpResponse {
  if (mishap === 'http-status') return { status: 503, headers: { 'retry-after': '1' }, body: 'not now' }
  if (mishap === 'http-timeout' && patienceMs > 0 && patienceMs <= timeoutMs) {
    throw new EngineError('NODE_TIMEOUT', 'Cannot wait longer for the node')
  }
  const [reason, code] = {
    'http-error': ['the connection was refused; is the server running, and is the port right?', 'ECONNREFUSED'],
    'http-answer-lost': ['the connection was reset by the server', 'ECONNRESET'],
    'http-timeout': [`no answer within ${timeoutMs} ms; raise timeout_seconds or look at the server`, 'ETIMEDOUT'],
    'disk-full': ['', ''],
  }[mishap]
  throw new EngineError('HTTP_FAILED', `Cannot ${method} ${url}: ${reason}`, { details: { code } })
}

/** A request to which nobody answered, rather than one that failed at once. */
export function isTimeout(error: unknown): boolean {
  return ((error as EngineError | undefined)?.details as { code?: string } | undefined)?.code === 'ETIMEDOUT'
}

export function diskFull(path: string): EngineError {
  const what = `Cannot write file ${JSON.stringify(path)}: the disk is full; make room`
  return new EngineError('FILE_FAILED', what, { details: { path, code: 'ENOSPC' } })
}
