/** What is said of a Redis before anything is entrusted to it: in words, and refused where it would lose data silently. */
import { Redis as Client } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connectRedis, reconnectMs, type ServerDescription } from '../../daemon/redis.ts'
import { type CheckedRedis, checkRedis, probes, refuseUnfit } from '../../daemon/redis-checks.ts'
import { allScripts } from '../../engine/store/scripts/index.ts'
import { RedisServer, type ServerOptions } from '../support/redis-server.ts'
import { errorOf } from '../support/temp-dir.ts'

const fine: ServerDescription = {
  version: '7.0.15',
  role: 'master',
  cluster: 'no',
  appendonly: 'yes',
  appendfsync: 'everysec',
  save: '',
  maxmemory: '0',
  maxmemoryPolicy: 'noeviction',
}

async function found(change: Partial<ServerDescription>, accept: 'eviction'[] = []): Promise<string[]> {
  const redis = {
    describe: async () => ({ ...fine, ...change }),
    call: async () => [],
    mayWait: async () => true,
  } as unknown as CheckedRedis
  const findings = await checkRedis(redis, accept)
  return findings.map(({ level, message }) => `${level}: ${message}`)
}

describe('checkRedis', () => {
  it('says of a good one what could be lost', async () => {
    expect(await found({})).toEqual([
      'info: version 7.0.15',
      'info: append-only file: the last second can be lost when its machine dies',
    ])
  })

  it.each<[Partial<ServerDescription>, RegExp]>([
    [{ version: '5.0.14' }, /^refuse: .*5\.0\.14; upgrade it to 6\.0/],
    [{ version: '6.2.7' }, /^warn: .*6\.2\.7/],
    [{ version: 'unknown' }, /^warn: .*6\.0 or newer/],
    [{ role: 'slave' }, /^refuse: .*read-only replica; connect to its master/],
    [{ cluster: 'yes' }, /^refuse: .*cluster/],
    [{ appendfsync: 'always' }, /^info: .*nothing that was answered is lost/],
    [{ appendfsync: 'no' }, /^warn: .*half a minute/],
    [{ appendonly: 'no' }, /^warn: .*keeps nothing.*appendonly yes/],
    [{ appendonly: 'no', save: '3600 1' }, /^warn: .*snapshots only.*3600 1/],
    [{ appendonly: 'no', save: 'unknown' }, /^warn: .*last snapshot/],
    [{ appendonly: 'unknown' }, /^warn: .*unknown/],
    [{ maxmemory: '1000' }, /^info: .*producers wait/],
    [{ maxmemory: '1000', maxmemoryPolicy: 'volatile-lru' }, /^info: .*producers wait/],
    [{ maxmemory: '1000', maxmemoryPolicy: 'allkeys-lru' }, /^refuse: .*noeviction.*redis_accept: \[eviction\]/],
    [{ maxmemoryPolicy: 'allkeys-lru' }, /^warn: .*no limit is set now/],
    [{ maxmemoryPolicy: 'unknown' }, /^warn: .*noeviction/],
  ])('%j', async (change, says) => {
    expect(await found(change)).toContainEqual(expect.stringMatching(says))
  })

  it('lets eviction be accepted, and says so', async () => {
    const findings = await found({ maxmemory: '1000', maxmemoryPolicy: 'allkeys-lru' }, ['eviction'])
    expect(findings.filter(line => line.startsWith('refuse'))).toEqual([])
    expect(findings.join()).toMatch(/warn: .*accepted by redis_accept/)
  })

  it('tries every command that a script uses', () => {
    const used = allScripts.flatMap(({ lua }) => [...lua.matchAll(/redis\.p?call\('(\w+)'/g)].map(match => match[1]))
    const tried = new Set<string>(['TIME', ...probes.map(([command]) => command)])
    expect([...new Set(used)].filter(command => !tried.has(command as string))).toEqual([])
  })
})

describe('a real server', () => {
  async function findingsOf(options: ServerOptions): Promise<string[]> {
    const server = await RedisServer.start(options)
    onTestFinished(() => server.remove())
    const redis = await connectRedis(server.url)
    onTestFinished(() => redis.close())
    const findings = await checkRedis(redis, [])
    const probe = new Client({ port: server.port, lazyConnect: true })
    onTestFinished(() => probe.disconnect())
    expect(await probe.keys('*').catch(() => []), 'nothing is left behind').toEqual([])
    return findings.map(({ level, message }) => `${level}: ${message}`)
  }
  const user = (...rights: string[]) => ['--user', 'default', 'on', 'nopass', ...rights]

  it('with an append-only file is fine', async () => {
    expect(await findingsOf({ appendonly: 'yes' })).toEqual([
      expect.stringMatching(/^info: version \d/),
      'info: append-only file: the last second can be lost when its machine dies',
    ])
  })

  it.each<[string, string[], RegExp]>([
    ['evicts', ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lfu'], /^refuse: maxmemory-policy allkeys-lfu/],
    ['is a replica', ['--replicaof', '127.0.0.1', '1'], /^refuse: .*read-only replica/],
    ['is a cluster', ['--cluster-enabled', 'yes'], /^refuse: .*cluster/],
    [
      'forbids some commands',
      user('~*', '&*', '+@all', '-blpop', '-hset'),
      /^refuse: this user may not use HSET, BLPOP/,
    ],
    [
      'forbids scripts',
      user('~*', '&*', '+@all', '-@scripting'),
      /^refuse: this user may not run scripts.*\+@scripting/,
    ],
    ['forbids our keys', user('~other:*', '&*', '+@all'), /^refuse: this user may not run scripts on the keys oe:\*/],
    ['forbids INFO and CONFIG', user('~*', '&*', '+@all', '-info', '-config'), /^warn: its version is unknown/],
  ])('that %s', async (_, args, says) => {
    expect(await findingsOf({ args })).toContainEqual(expect.stringMatching(says))
  })
})

it('refuseUnfit lists every reason', async () => {
  const findings = [
    { level: 'refuse', message: 'it is a cluster' },
    { level: 'warn', message: 'old' },
    { level: 'refuse', message: 'it evicts' },
  ] as const
  const error = await errorOf(() => refuseUnfit(findings, 'h:1'))
  expect(error).toMatchObject({
    code: 'REDIS_UNSUITABLE',
    message: 'Cannot use Redis at h:1:\n  it is a cluster\n  it evicts',
  })
  expect(refuseUnfit([findings[1]], 'h:1')).toBe(undefined)
})

it('reconnectMs doubles, is bounded, and never the same for all', () => {
  expect([1, 2, 3].map(attempt => reconnectMs(attempt, 1))).toEqual([100, 200, 400])
  expect([reconnectMs(99, 0), reconnectMs(99, 1)]).toEqual([1_000, 2_000])
})
