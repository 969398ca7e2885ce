/**
 * What an operator must know about a Redis before anything is entrusted to it, in words: whether it is fit at all, and
 * what it could lose. A server that would lose data without anybody noticing is refused.
 */
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { Redis, Script } from '../engine/ports.ts'
import { keyPattern, workflowPrefix } from '../engine/store/keys.ts'
import type { ServerDescription } from './redis.ts'

/** `refuse`: the daemon does not start. */
export type Finding = { level: 'info' | 'warn' | 'refuse'; message: string }

/** BLPOP with fractions of a second. */
const versionMin = [6, 0] as const
/** The oldest that the tests run against. */
const versionTested = 7

export type CheckedRedis = Redis & { describe(): Promise<ServerDescription>; mayWait(key: string): Promise<boolean> }

export async function checkRedis(redis: CheckedRedis, accept: readonly 'eviction'[]): Promise<Finding[]> {
  const described = await redis.describe()
  const findings = [version(described), placing(described), persistence(described), memory(described, accept)].flat()
  const isUsable = findings.every(({ level }) => level !== 'refuse')
  return isUsable ? [...findings, ...(await permissions(redis))] : findings
}

/** Rejects what no daemon may run on: `REDIS_UNSUITABLE`, each reason on a line of its own. */
export function refuseUnfit(findings: readonly Finding[], where: string): void {
  const reasons = findings.filter(({ level }) => level === 'refuse')
  if (reasons.length === 0) return
  const lines = reasons.map(({ message }) => `\n  ${message}`).join('')
  throw new EngineError('REDIS_UNSUITABLE', `Cannot use Redis at ${where}:${lines}`)
}

function version({ version }: ServerDescription): Finding[] {
  if (version === 'unknown') {
    return [warn('its version is unknown, since this user may not ask for INFO; it must be 6.0 or newer')]
  }
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const isOld = major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1])
  if (isOld) return [refuse(`it is version ${version}; upgrade it to ${versionMin.join('.')} or newer`)]
  if (major < versionTested) return [warn(`it is version ${version}; tests run against ${versionTested}.0`)]
  return [info(`version ${version}`)]
}

function placing({ role, cluster }: ServerDescription): Finding[] {
  const findings: Finding[] = []
  if (role === 'slave') findings.push(refuse('it is a read-only replica; connect to its master'))
  if (cluster === 'yes') findings.push(refuse('it is a cluster, which is not supported; use a single server'))
  return findings
}

function persistence({ appendonly, appendfsync, save }: ServerDescription): Finding[] {
  const often = 'set "appendonly yes" and "appendfsync everysec"'
  if (appendonly === 'unknown') return [warn('what it keeps is unknown, since this user may not ask for INFO')]
  if (appendonly === 'yes') {
    if (appendfsync === 'always') return [info('appendfsync always: nothing that was answered is lost')]
    if (appendfsync !== 'no') return [info('append-only file: the last second can be lost when its machine dies')]
    return [warn(`appendfsync no: half a minute can be lost when its machine dies; ${often}`)]
  }
  if (save === '') return [warn(`it keeps nothing: all items are lost when it stops; ${often}`)]
  if (save === 'unknown') return [warn(`no append-only file: all since its last snapshot can be lost; ${often}`)]
  return [warn(`snapshots only ("save ${save}"): all since the last one is lost when it dies; ${often}`)]
}

/** None of our keys has an expiry, so the policies `volatile-…` can't evict them. */
function memory({ maxmemory, maxmemoryPolicy }: ServerDescription, accept: readonly 'eviction'[]): Finding[] {
  const fix = 'set "maxmemory-policy noeviction"'
  if (maxmemoryPolicy === 'unknown') return [warn(`its maxmemory-policy is unknown; make sure that it is noeviction`)]
  if (!maxmemoryPolicy.startsWith('allkeys-')) {
    return maxmemory === '0' ? [] : [info(`maxmemory ${maxmemory} bytes: when it is full, producers wait`)]
  }
  const danger = `maxmemory-policy ${maxmemoryPolicy} deletes items, without a word, when memory is short`
  if (accept.includes('eviction')) return [warn(`${danger}; accepted by redis_accept`)]
  if (maxmemory === '0') return [warn(`${danger}; no limit is set now, but ${fix}`)]
  return [refuse(`${danger}; ${fix}, or accept that by "redis_accept: [eviction]"`)]
}

// --- permissions

/** Every command that the scripts and the port use but BLPOP, which no script may, harmlessly, on three keys of our own. */
export const probes: readonly (readonly [command: string, key: string, ...args: string[]])[] = [
  ['TYPE', 'h'],
  ['EXISTS', 'h'],
  ['HSET', 'h', 'f', '1'],
  ['HSETNX', 'h', 'f', '1'],
  ['HINCRBY', 'h', 'f', '1'],
  ['HGET', 'h', 'f'],
  ['HMGET', 'h', 'f'],
  ['HGETALL', 'h'],
  ['HEXISTS', 'h', 'f'],
  ['HKEYS', 'h'],
  ['HLEN', 'h'],
  ['HDEL', 'h', 'f'],
  ['SADD', 's', 'm'],
  ['SMEMBERS', 's'],
  ['SISMEMBER', 's', 'm'],
  ['RPUSH', 'l', 'a', 'b', 'c'],
  ['LPUSH', 'l', 'd'],
  ['LLEN', 'l'],
  ['LRANGE', 'l', '0', '-1'],
  ['LINDEX', 'l', '0'],
  ['LREM', 'l', '1', 'c'],
  ['LTRIM', 'l', '0', '-1'],
  ['LPOP', 'l'],
  ['DEL', 'l'],
  ['DEL', 's'],
]

const permissionProbe: Script = {
  name: 'permission-probe',
  lua: `
local denied = {}
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then return end
  if string.find(reply.err, 'NOPERM') or string.find(reply.err, "executing the script can't") then table.insert(denied, command) end
end
try('TIME')
${probes.map(([command, key, ...args]) => `try(${[`'${command}'`, `KEYS[1] .. '${key}'`, ...args.map(arg => `'${arg}'`)].join(', ')})`).join('\n')}
return denied`,
  run: () => [],
}

/** What this user may not do. Rejects when the server cannot be asked at all. */
async function permissions(redis: CheckedRedis): Promise<Finding[]> {
  const prefix = workflowPrefix('\tprobe')
  const how = `extend its ACL, e.g. "ACL SETUSER NAME ~${keyPattern} +@read +@write +@scripting +@blocking +info +client"`
  try {
    const denied = (await redis.call(permissionProbe, [prefix], [])) as string[]
    if (!(await redis.mayWait(prefix))) denied.push('BLPOP')
    return denied.length === 0 ? [] : [refuse(`this user may not use ${[...new Set(denied)].join(', ')}; ${how}`)]
  } catch (error) {
    if (codeOf(error) !== 'REDIS_AUTH') throw error
    return [refuse(`this user may not run scripts on the keys ${keyPattern} (${messageOf(causeOf(error))}); ${how}`)]
  }
}

function causeOf(error: unknown): unknown {
  return (error as { cause?: unknown }).cause ?? error
}

function info(message: string): Finding {
  return { level: 'info', message }
}
function warn(message: string): Finding {
  return { level: 'warn', message }
}
function refuse(message: string): Finding {
  return { level: 'refuse', message }
}
