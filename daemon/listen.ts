/** `host:port` to listen on. Loopback only: whoever else may ask needs keys, and those come with the HTTP API. */
import { EngineError } from '../engine/errors.ts'

export type ListenAddress = { host: string; port: number }

/**
 * Port 0 takes any free one. Throws `USAGE`.
 * @example parseListen('[::1]:7878') // { host: '::1', port: 7878 }
 */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<host>[^[\]:\s]+)):(?<port>\d{1,5})$/i.exec(text)
  const port = Number(match?.groups?.port)
  if (match === null || port > 65_535) throw usage(`"${text}" is not of the form HOST:PORT`)
  const host = match.groups?.v6 ?? (match.groups?.host as string)
  if (isLoopback(host)) return { host, port }
  throw usage(`"${host}" can be reached from other machines, which takes keys that this version does not have yet`)
}

/** As a URL writes it. */
export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function usage(why: string): EngineError {
  return new EngineError('USAGE', `Cannot listen: ${why}`)
}
