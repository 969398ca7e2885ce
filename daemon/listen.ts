/** `host:port` to listen on. */
import { EngineError } from '../engine/errors.ts'

export type ListenAddress = { host: string; port: number }

/**
 * Port 0 takes any free one. Throws `USAGE`.
 * @example parseListen('[::1]:7878') // { host: '::1', port: 7878 }
 */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<host>[^[\]:\s]+)):(?<port>\d{1,5})$/i.exec(text)
  const port = Number(match?.groups?.port)
  if (match === null || port > 65_535) {
    throw new EngineError('USAGE', `Cannot listen: "${text}" is not of the form HOST:PORT`)
  }
  return { host: match.groups?.v6 ?? (match.groups?.host as string), port }
}

/** As a URL writes it. */
export function formatListen({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
