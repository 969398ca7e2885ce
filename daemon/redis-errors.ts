/**
 * What Redis and the connection to it say, in the engine's codes and in words that tell what to do. Servers before 7
 * wrap the error of a command in that of its script (`ERR Error running script …: -READONLY …`), so codes are looked for
 * there too. The place is `host:port`; a password never gets into a message.
 */
import { codeOf, EngineError, type ErrorCode, messageOf } from '../engine/errors.ts'

type Meaning = readonly [code: ErrorCode, advice: string]

const replies: Readonly<Record<string, Meaning>> = {
  LOADING: ['REDIS_LOADING', 'it is loading its data; wait until it has'],
  MASTERDOWN: ['REDIS_UNAVAILABLE', 'it is a replica that has lost its master; mend the link'],
  READONLY: ['REDIS_READONLY', 'it is a read-only replica; connect to the master'],
  OOM: ['REDIS_OUT_OF_MEMORY', 'it is out of memory; raise maxmemory or make room'],
  NOAUTH: ['REDIS_AUTH', 'it wants a password; put it into the URL: redis://:PASSWORD@HOST'],
  WRONGPASS: ['REDIS_AUTH', 'it refuses this user or password; check both'],
  NOPERM: ['REDIS_AUTH', 'this user may not do that; extend its ACL'],
  WRONGTYPE: ['REDIS_WRONG_TYPE', 'a key of ours holds something else; another program uses the same names'],
  MISCONF: ['REDIS_FAILED', 'it refuses writes since it cannot save its data; look at its disk and its log'],
  BUSY: ['REDIS_FAILED', 'a script blocks it; look at its slow log'],
  MOVED: ['REDIS_FAILED', 'it is a cluster, which is not supported; use a single server'],
  CLUSTERDOWN: ['REDIS_FAILED', 'it is a cluster, which is not supported; use a single server'],
}

const hostErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused; is the server running, and is the port right?',
  ENOTFOUND: 'the host name is unknown; check it',
  EAI_AGAIN: 'the host name could not be looked up; check the network',
  ETIMEDOUT: 'no answer in time; check host, port and firewall',
  ECONNRESET: 'the connection was reset; does the server want rediss:// (or redis://)?',
  EHOSTUNREACH: 'the host cannot be reached; check the network',
}

/** Any error of ioredis as an EngineError that says what was tried (`verb`) and where. */
export function toRedisError(error: unknown, where: string, verb = 'use'): EngineError {
  if (error instanceof EngineError) return error
  const text = messageOf(error)
  const meaning = meaningOf(text)
  if (meaning !== undefined)
    return make(meaning[0], `Cannot ${verb} Redis at ${where}: ${meaning[1]} (${firstLine(text)})`, error)
  const host = hostErrors[codeOf(error) ?? '']
  if (host !== undefined)
    return make('REDIS_UNAVAILABLE', `Cannot reach Redis at ${where}: ${host} (${codeOf(error)})`, error)
  if ((error as { name?: string } | null)?.name === 'ReplyError') {
    return make('REDIS_FAILED', `Cannot ${verb} Redis at ${where}: it answered "${firstLine(text)}"`, error)
  }
  return make(
    'REDIS_UNAVAILABLE',
    `Cannot reach Redis at ${where}: ${firstLine(text)}; is the server up and well?`,
    error,
  )
}

function meaningOf(text: string): Meaning | undefined {
  const own = replies[/^-?([A-Z]+)/.exec(text)?.[1] ?? '']
  if (own !== undefined) return own
  if (/invalid password|AUTH failed|without any password configured/i.test(text)) return replies.WRONGPASS
  return replies[/ -([A-Z]+) /.exec(text)?.[1] ?? '']
}

function firstLine(text: string): string {
  return (text.split('\n')[0] as string).slice(0, 300).replace(/\.$/, '')
}

function make(code: ErrorCode, message: string, cause: unknown): EngineError {
  return new EngineError(code, message, { cause })
}
