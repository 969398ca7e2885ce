/**
 * Without keys, whoever reaches the daemon may use it; and any web page that is open in a browser on this machine reaches
 * loopback. So a request that a browser sends for another site is refused, and so is one for a name that only pretends to be
 * this machine (DNS rebinding). Webhooks come from elsewhere by nature, as through a tunnel: theirs are let pass. Who gives a key is no browser that
 * was talked into something, and is not asked this.
 */
import { isLoopback } from './listen.ts'

type Incoming = { url: string; method: string; headers: Record<string, string | string[] | undefined> }

/** Why it is refused; undefined when it is not. Pages of `origins` are let pass. */
export function crossSiteFault(
  { url, method, headers }: Incoming,
  origins: readonly string[] = [],
): string | undefined {
  const host = String(headers.host ?? '')
  const isWebhook = method === 'POST' && url.startsWith('/api/webhooks/')
  const isInvited = origins.includes(String(headers.origin))
  if (headers['sec-fetch-site'] === 'cross-site' && !isInvited) return 'a browser sends it for another site'
  if (headers.origin !== undefined && !isInvited && hostOf(String(headers.origin)) !== host) {
    return `a browser sends it for ${String(headers.origin).slice(0, 200)}`
  }
  if (isLoopback(host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')) || isWebhook) return undefined
  return `its Host is "${host.slice(0, 200)}"; use 127.0.0.1 or localhost`
}

function hostOf(origin: string): string {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1] ?? ''
}
