/**
 * HTTP over undici: an answer of any status is an answer; everything else is `HTTP_FAILED` with its reason. The time limit
 * covers the whole exchange, body included. Query and credentials of a URL stay out of messages: they may be secret.
 */
import { promisify, TextDecoder } from 'node:util'
import { brotliDecompress, gunzip, inflate, type ZlibOptions } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { Http, HttpRequest, HttpResponse } from '../engine/ports.ts'
import { guardedConnector, type OutgoingRules, outgoingPolicy } from './outgoing-policy.ts'

export const redirectsMax = 5
export const responseBytesMax = 16 * 1024 * 1024

type Client = { send: typeof import('undici').request; dispatcher: Dispatcher }

/** Goes where `outgoing` lets it; anywhere without. Loads undici with the first request: most workflows make none, and it is a tenth of what an idle daemon holds. */
export function systemHttp(options: { bytesMax?: number; outgoing?: OutgoingRules } = {}): Http {
  const bytesMax = options.bytesMax ?? responseBytesMax
  let client: Promise<Client> | undefined
  return {
    request: async request => {
      client ??= openClient(options.outgoing)
      return exchange(await client, request, bytesMax)
    },
  }
}

async function openClient(outgoing: OutgoingRules | undefined): Promise<Client> {
  const { Agent, buildConnector, interceptors, request } = await import('undici')
  const connect = outgoing === undefined ? {} : guardedConnector(outgoingPolicy(outgoing), buildConnector)
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect })
  return { send: request, dispatcher: agent.compose(interceptors.redirect({ maxRedirections: redirectsMax })) }
}

/** Rejects with `HTTP_FAILED`, or with `signal.reason` when the caller aborts. */
async function exchange({ send, dispatcher }: Client, request: HttpRequest, bytesMax: number): Promise<HttpResponse> {
  const where = placeOf(request)
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), request.timeoutMs)
  try {
    const answer = await send(request.url, {
      dispatcher,
      method: request.method as Dispatcher.HttpMethod,
      headers: request.headers,
      body: request.body ?? null,
      signal: AbortSignal.any([request.signal, limit.signal]),
    })
    const body = await readText(answer, bytesMax)
    return { status: answer.statusCode, headers: flatten(answer.headers), body }
  } catch (error) {
    if (request.signal.aborted) throw request.signal.reason
    const reason = limit.signal.aborted
      ? `no answer within ${request.timeoutMs} ms; raise timeout_seconds or look at the server`
      : explain(error)
    throw new EngineError('HTTP_FAILED', `Cannot ${where}: ${reason}`, {
      cause: error,
      details: { code: limit.signal.aborted ? 'ETIMEDOUT' : codeOf(error) },
    })
  } finally {
    clearTimeout(timer)
  }
}

function placeOf(request: HttpRequest): string {
  const url = URL.canParse(request.url) ? new URL(request.url) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return `${request.method} ${url.origin}${url.pathname}`
  throw new EngineError(
    'HTTP_FAILED',
    `Cannot send ${request.method}: "${request.url}" is not an http or https URL; give a whole one`,
    { details: { code: 'ERR_INVALID_URL' } },
  )
}

async function readText(answer: Dispatcher.ResponseData, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) {
      throw Object.assign(new Error(`the body is larger than ${bytesMax} bytes; ask for less`), { code: 'EMSGSIZE' })
    }
    chunks.push(chunk)
  }
  const plain = await decompress(Buffer.concat(chunks), String(answer.headers['content-encoding'] ?? ''), bytesMax)
  return decoderFor(answer.headers['content-type']).decode(plain)
}

/** We never ask for compression, but a workflow's own headers may, and some servers do it unasked. */
async function decompress(body: Buffer, encoding: string, maxOutputLength: number): Promise<Buffer> {
  const unpack = unpackers[encoding.trim().toLowerCase()]
  if (unpack === undefined || body.length === 0) return body
  return unpack(body, { maxOutputLength })
}

const unpackers: Readonly<Record<string, (body: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify<Buffer, ZlibOptions, Buffer>(gunzip),
  'x-gzip': promisify<Buffer, ZlibOptions, Buffer>(gunzip),
  deflate: promisify<Buffer, ZlibOptions, Buffer>(inflate),
  br: promisify<Buffer, ZlibOptions, Buffer>(brotliDecompress),
}

function decoderFor(contentType: string | string[] | undefined): TextDecoder {
  const charset = /charset="?([^";\s]+)/i.exec(String(contentType ?? ''))?.[1]
  try {
    return new TextDecoder(charset ?? 'utf-8')
  } catch {
    return new TextDecoder('utf-8')
  }
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const entries = Object.entries(headers).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : String(value)]),
  )
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused; is the server running, and is the port right?',
  ENOTFOUND: 'the host name is unknown; check it',
  EAI_AGAIN: 'the host name could not be looked up; check the network',
  ECONNRESET: 'the connection was reset by the server',
  UND_ERR_SOCKET: 'the server closed the connection before it answered',
  UND_ERR_CONNECT_TIMEOUT: 'the server could not be reached in time',
}

function explain(error: unknown): string {
  const code = codeOf(error) ?? ''
  return reasons[code] === undefined ? messageOf(error) : `${reasons[code]} (${code})`
}
