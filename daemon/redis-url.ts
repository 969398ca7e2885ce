/** `redis://user:password@host:port/db`, read by us: so that a mistake is named without printing the password. */
import { EngineError } from '../engine/errors.ts'

export type RedisAddress = {
  host: string
  port: number
  username?: string
  password?: string
  db: number
  tls: boolean
  /** `host:port`, for messages. */
  where: string
}

/** Throws `USAGE`. */
export function parseRedisUrl(text: string): RedisAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '') {
    throw usage('it is not of the form redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]; rediss:// is the same over TLS')
  }
  const db = url.pathname.replace(/^\//, '')
  if (!/^\d{0,4}$/.test(db)) throw usage(`database "${db}" is not a number; end it in /0`)
  const port = url.port === '' ? 6379 : Number(url.port)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port,
    ...(url.username === '' ? {} : { username: decode(url.username) }),
    ...(url.password === '' ? {} : { password: decode(url.password) }),
    db: Number(db),
    tls: url.protocol === 'rediss:',
    where: `${url.hostname}:${port}`,
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw usage('user or password has a "%" that is not an escape; write it as %25')
  }
}

function usage(why: string): EngineError {
  return new EngineError('USAGE', `Cannot read the Redis URL: ${why}`)
}
