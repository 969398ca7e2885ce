/** The Redis of the daemon: the configured one, looked at before anything is entrusted to it, or the embedded one. */
import type { Clock, Log, Redis } from '../engine/ports.ts'
import { allScripts } from '../engine/store/scripts/index.ts'
import type { DaemonConfig } from './config.ts'
import type { Finding } from './redis-checks.ts'
import { parseRedisUrl } from './redis-url.ts'

/** `name` is for people, without a password. */
export type OpenedRedis = { redis: Redis; name: string; findings: Finding[] }

/** Rejects with REDIS_… or REDIS_UNSUITABLE, or JOURNAL_… for the embedded one. */
export async function openDaemonRedis(config: DaemonConfig, ports: { clock: Clock; log: Log }): Promise<OpenedRedis> {
  const opened = config.redis === undefined ? await openEmbedded(config, ports) : await openReal(config, config.redis)
  for (const { level, message } of opened.findings) {
    ports.log.write(level === 'info' ? 'info' : 'warn', `${opened.name}: ${message}`, {})
  }
  return opened
}

async function openReal(config: DaemonConfig, url: string): Promise<OpenedRedis> {
  // each is loaded only where it is used: loading is most of the time that a start takes
  const [{ connectRedis }, { checkRedis, refuseUnfit }] = await Promise.all([
    import('./redis.ts'),
    import('./redis-checks.ts'),
  ])
  const { where } = parseRedisUrl(url)
  const redis = await connectRedis(url)
  try {
    const findings = await checkRedis(redis, config.redis_accept)
    refuseUnfit(findings, where)
    return { redis, name: `Redis at ${where}`, findings }
  } catch (error) {
    await redis.close()
    throw error
  }
}

async function openEmbedded(config: DaemonConfig, { clock, log }: { clock: Clock; log: Log }): Promise<OpenedRedis> {
  const { openEmbeddedRedis } = await import('./embedded-redis.ts')
  const redis = await openEmbeddedRedis({ dir: config.data, clock, scripts: allScripts, log })
  const message = `its journal is in ${config.data}; the last second can be lost when the machine dies`
  return { redis, name: 'embedded Redis', findings: [{ level: 'info', message }] }
}
