import { Redis as Client } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type ConnectOptions, connectRedis } from '../../daemon/redis.ts'
import { toRedisError } from '../../daemon/redis-errors.ts'
import { parseRedisUrl } from '../../daemon/redis-url.ts'
import { freePort, RedisServer, type ServerOptions } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { errorOf } from '../support/temp-dir.ts'
import { lease, move, pushOnce } from '../support/toy-scripts.ts'

async function connect(url: string, options: ConnectOptions = {}) {
  const redis = await connectRedis(url, options)
  onTestFinished(() => redis.close())
  return redis
}

async function startServer(options: ServerOptions = {}) {
  const server = await RedisServer.start(options)
  onTestFinished(() => server.remove())
  return server
}

async function startProxy(server: RedisServer) {
  const proxy = await TcpProxy.start(server.port)
  onTestFinished(() => proxy.close())
  return proxy
}

/** Until the server holds a blocking command. */
async function untilBlocked(own: RedisServer): Promise<void> {
  const client = new Client(own.url)
  while (!String(await client.client('LIST')).includes('cmd=blpop'));
  client.disconnect()
}

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.remove())

describe('parseRedisUrl', () => {
  test.each([
    ['redis://h', { host: 'h', port: 6379, db: 0, tls: false, where: 'h:6379' }],
    ['rediss://u:p%40@h:1/3', { host: 'h', port: 1, username: 'u', password: 'p@', db: 3, tls: true, where: 'h:1' }],
    ['redis://:p@[::1]:2', { host: '::1', port: 2, password: 'p', db: 0, tls: false, where: '[::1]:2' }],
  ])('%s', (url, address) => expect(parseRedisUrl(url)).toEqual(address))

  test.each(['', 'h:1', 'http://h', 'redis://', 'redis://u:secret@h/x', 'redis://u:secret%@h'])(
    'refuses %j',
    async url => {
      const error = await errorOf(() => parseRedisUrl(url))
      expect(error.code).toBe('USAGE')
      expect(error.message).not.toContain('secret')
    },
  )
})

describe('toRedisError', () => {
  const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' })
  test.each([
    ['LOADING Redis is loading the dataset in memory', 'REDIS_LOADING'],
    ["READONLY You can't write against a read only replica.", 'REDIS_READONLY'],
    ["ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write", 'REDIS_READONLY'],
    ["OOM command not allowed when used memory > 'maxmemory'. script: 1, on @user_script:1.", 'REDIS_OUT_OF_MEMORY'],
    ['NOAUTH Authentication required.', 'REDIS_AUTH'],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'REDIS_AUTH'],
    ['ERR invalid password', 'REDIS_AUTH'],
    ["NOPERM this user has no permissions to run the 'blpop' command", 'REDIS_AUTH'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'REDIS_WRONG_TYPE'],
    ['MISCONF Redis is configured to save RDB snapshots', 'REDIS_FAILED'],
    ['ERR no such thing', 'REDIS_FAILED'],
  ])('%s is %s', (message, code) => {
    const error = toRedisError(reply(message), 'h:1')
    expect(error.code).toBe(code)
    expect(error.message).toMatch(/^Cannot .* Redis at h:1: .*[^.]$/)
  })
  test.each(['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'EPIPE'])('%s is REDIS_UNAVAILABLE', code => {
    expect(toRedisError(Object.assign(new Error(code), { code }), 'h:1').code).toBe('REDIS_UNAVAILABLE')
  })
})

describe('connecting', () => {
  test('to a port where nothing listens fails at once', async () => {
    const port = await freePort()
    const error = await errorOf(() => connectRedis(`redis://:secret@127.0.0.1:${port}`))
    expect(error.code).toBe('REDIS_UNAVAILABLE')
    expect(error.message).toContain(`127.0.0.1:${port}`)
    expect(error.message).toContain('refused')
    expect(error.message).not.toContain('secret')
  })

  test('with no, a wrong, and the right password', async () => {
    const guarded = await startServer({ password: 'p@ss' })
    const at = `127.0.0.1:${guarded.port}`
    const none = await errorOf(() => connectRedis(`redis://${at}`))
    expect([none.code, none.message]).toEqual(['REDIS_AUTH', expect.stringContaining('wants a password')])
    const wrong = await errorOf(() => connectRedis(`redis://:secret@${at}`))
    expect([wrong.code, wrong.message]).toEqual(['REDIS_AUTH', expect.stringMatching(new RegExp(`${at}.*refuses`))])
    expect(wrong.message).not.toContain('secret')
    const redis = await connect(`redis://:p%40ss@${at}`)
    expect(await redis.llen('x')).toBe(0)
    expect(await redis.wait('x', 10)).toBe(false)
  })

  test('to something that accepts and never answers', async () => {
    const proxy = await startProxy(server)
    proxy.silence()
    const error = await errorOf(() => connectRedis(proxy.url, { connectMsMax: 100 }))
    expect(error.code).toBe('REDIS_UNAVAILABLE')
  })

  test('to a server that is loading', async () => {
    const delays = ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024']
    const slow = await startServer({ args: [...delays, '--rdbcompression', 'no'] })
    const redis = await connect(slow.url)
    for (let i = 0; i < 200; i++) await redis.call(pushOnce, [`list${i}`, 'tokens'], [`${i}`, 'x'.repeat(2_000)])
    await redis.close()
    await slow.saveAndStop()
    await slow.start()
    expect((await errorOf(() => connectRedis(slow.url, { connectMsMax: 300 }))).code).toBe('REDIS_LOADING')
  })

  test('describe tells what a server is', async () => {
    const redis = await connect(server.url)
    const found = await redis.describe()
    expect(found).toMatchObject({ role: 'master', appendonly: 'no', maxmemoryPolicy: 'noeviction' })
    expect(found.version).toMatch(/^\d+\./)
  })

  test('databases are apart', async () => {
    const redis = await connect(`${server.url}/5`)
    const other = await connect(server.url)
    await redis.call(pushOnce, ['apart', 'apart-tokens'], ['a', 'x'])
    expect([await redis.llen('apart'), await other.llen('apart')]).toEqual([1, 0])
  })
})

describe('calls', () => {
  test('answer like the embedded one', async () => {
    const redis = await connect(server.url)
    expect(await redis.call(pushOnce, ['list', 'tokens'], ['a', 'é\ud83d\ude00', 'y'])).toBe(2)
    expect(await redis.call(move, ['list', 'taken'], ['1'])).toEqual(['é\ud83d\ude00'])
    expect(await redis.call(lease, ['r', 'n', 's'], ['me'])).toEqual(['me', 1, null])
    expect(await redis.hget('r', 'holder')).toBe('me')
    expect(await redis.hget('r', 'none')).toBe(null)
    expect(await redis.hgetall('tokens')).toEqual({ a: '2' })
    expect(await redis.hgetall('none')).toEqual({})
    expect(await redis.lrange('list', 0, -1)).toEqual(['y'])
    expect(await redis.smembers('s')).toEqual(['me'])
    expect((await errorOf(() => redis.llen('r'))).code).toBe('REDIS_WRONG_TYPE')
    expect((await errorOf(() => redis.call(move, ['r', 'x'], ['1']))).code).toBe('REDIS_WRONG_TYPE')
  })

  test('a script whose reply was lost is applied once', async () => {
    const proxy = await startProxy(server)
    const redis = await connect(proxy.url)
    const probe = await connect(server.url)
    for (let i = 1; i <= 5; i++) {
      proxy.cutReplyTo(`token-${i}`)
      expect(await redis.call(pushOnce, ['lost', 'lost-tokens'], [`token-${i}`, 'x'])).toBe(i)
      expect(proxy.cuts).toBe(i)
      expect(await probe.llen('lost')).toBe(i)
    }
  })

  test('sockets killed under load: every call is answered, every script applied once', async () => {
    const proxy = await startProxy(server)
    const redis = await connect(proxy.url)
    const calls: Promise<unknown>[] = []
    for (let i = 0; i < 300; i++) {
      calls.push(redis.call(pushOnce, ['load', 'load-tokens'], [`t${i}`, `${i}`]))
      if (i % 60 === 59) proxy.killAll()
      if (i % 7 === 0) await new Promise(setImmediate)
    }
    await Promise.all(calls)
    expect(new Set(await redis.lrange('load', 0, -1)).size).toBe(300)
    expect(await redis.llen('load')).toBe(300)
  })

  test('a connection that swallows everything is replaced', async () => {
    const proxy = await startProxy(server)
    const redis = await connect(proxy.url, { silenceMsMax: 200 })
    proxy.silence()
    const call = redis.call(pushOnce, ['silent', 'silent-tokens'], ['a', 'x'])
    proxy.heal()
    expect(await call).toBe(1)
  })

  test('a server that stays away: the call ends with REDIS_UNAVAILABLE, a restart mends it', async () => {
    const own = await startServer({ appendonly: 'yes' })
    const redis = await connect(own.url, { callMsMax: 400 })
    await redis.call(pushOnce, ['list', 'tokens'], ['a', 'x'])
    await own.stop('SIGTERM')
    expect((await errorOf(() => redis.call(pushOnce, ['list', 'tokens'], ['b', 'y']))).code).toBe('REDIS_UNAVAILABLE')
    await own.start()
    const again = await connect(own.url)
    expect(await again.call(pushOnce, ['list', 'tokens'], ['a', 'x'])).toBe(1)
  })

  test('a server that is restarted while calls are made: they go on', async () => {
    const own = await startServer({ appendonly: 'yes' })
    const redis = await connect(own.url)
    await redis.call(pushOnce, ['list', 'tokens'], ['a', 'x'])
    await own.stop('SIGTERM')
    const call = redis.call(pushOnce, ['list', 'tokens'], ['b', 'y'])
    const woken = redis.wait('bell', 5_000)
    await own.start()
    expect(await call).toBe(2)
    await redis.call(pushOnce, ['bell', 'tokens'], ['c', '1'])
    expect(await woken).toBe(true)
  })

  test.each([
    ['a read-only replica', ['--replicaof', '127.0.0.1', '1'], 'REDIS_READONLY'],
    ['a full server', ['--maxmemory', '1'], 'REDIS_OUT_OF_MEMORY'],
  ])('%s', async (_what, args, code) => {
    const own = await startServer({ args })
    const redis = await connect(own.url)
    const error = await errorOf(() => redis.call(pushOnce, ['list', 'tokens'], ['a', 'x']))
    expect(error.code).toBe(code)
    expect(await redis.llen('list')).toBe(0)
  })
})

describe('wait', () => {
  test('takes an element that is there, and one that comes', async () => {
    const redis = await connect(server.url)
    await redis.call(pushOnce, ['bell', 'bell-tokens'], ['a', '1'])
    expect(await redis.wait('bell', 1_000)).toBe(true)
    const woken = redis.wait('bell', 5_000)
    await redis.call(pushOnce, ['bell', 'bell-tokens'], ['b', '1'])
    expect(await woken).toBe(true)
    expect(await redis.llen('bell')).toBe(0)
  })

  test('ends with false: time over, aborted, closed', async () => {
    const redis = await connect(server.url)
    expect(await redis.wait('quiet', 5)).toBe(false)
    const stop = new AbortController()
    const aborted = redis.wait('quiet', 5_000, stop.signal)
    stop.abort()
    expect(await aborted).toBe(false)
    const closed = redis.wait('quiet', 5_000)
    await redis.close()
    expect(await closed).toBe(false)
    expect((await errorOf(() => redis.wait('quiet', 5))).code).toBe('REDIS_UNAVAILABLE')
  })

  test('1,000 loops over two connections: each is woken once, whenever it joined', async () => {
    const redis = await connect(server.url)
    // as a loop does: a wait that ends in vain, on however slow a machine, is begun again
    const untilWoken = async (key: string): Promise<void> => {
      while (!(await redis.wait(key, 5_000)));
    }
    const waits: Promise<void>[] = []
    for (let i = 0; i < 1_000; i++) {
      waits.push(untilWoken(`bell-${i}`))
      if (i % 100 === 0) await redis.llen('x')
    }
    for (let i = 999; i >= 0; i--) await redis.call(pushOnce, [`bell-${i}`, 'many-tokens'], [`${i}`, '1'])
    await Promise.all(waits)
    const left = await Promise.all(waits.map((_, i) => redis.llen(`bell-${i}`)))
    expect(left.filter(length => length > 0)).toEqual([])
  })

  test('an element that comes when nobody waits any more is kept for the next', async () => {
    const redis = await connect(server.url)
    expect(await redis.wait('late', 5)).toBe(false)
    await redis.call(pushOnce, ['late', 'late-tokens'], ['a', '1'])
    expect(await redis.wait('late', 5_000)).toBe(true)
  })

  test('a key of another type fails its own waiter only', async () => {
    const redis = await connect(server.url)
    await redis.call(lease, ['odd', 'odd-n', 'odd-s'], ['me'])
    const good = redis.wait('good', 5_000)
    expect((await errorOf(() => redis.wait('odd', 5_000))).code).toBe('REDIS_WRONG_TYPE')
    await redis.call(pushOnce, ['good', 'good-tokens'], ['a', '1'])
    expect(await good).toBe(true)
  })

  test('a socket that swallows everything does not hold a wait, and is replaced', async () => {
    const proxy = await startProxy(server)
    const redis = await connect(proxy.url, { silenceMsMax: 200 })
    expect(await redis.wait('hole', 5)).toBe(false)
    proxy.silence()
    expect(await redis.wait('hole', 50)).toBe(false)
    proxy.heal()
    proxy.killAll()
    const woken = redis.wait('hole', 5_000)
    await redis.call(pushOnce, ['hole', 'hole-tokens'], ['a', '1'])
    expect(await woken).toBe(true)
  })

  test('whoever waits as the connection breaks is told that a wake-up may have been lost with it', async () => {
    const own = await startServer()
    const proxy = await startProxy(own)
    const redis = await connect(proxy.url)
    const woken = redis.wait('torn', 600_000)
    await untilBlocked(own)
    proxy.killAll()
    expect(await woken).toBe(true)
  })

  test('a user who may not unblock clients is woken all the same', async () => {
    const own = await startServer({ args: ['--user', 'default', 'on', 'nopass', '~*', '&*', '+@all', '-client'] })
    const redis = await connect(own.url)
    const first = redis.wait('one', 5_000)
    await redis.llen('x')
    const second = redis.wait('two', 5_000)
    await redis.call(pushOnce, ['two', 'tokens'], ['a', '1'])
    expect(await second).toBe(true)
    await redis.call(pushOnce, ['one', 'tokens'], ['b', '1'])
    expect(await first).toBe(true)
  })
})

test('close ends what is under way, whatever the server does', async () => {
  const proxy = await startProxy(server)
  const redis = await connect(proxy.url)
  proxy.silence()
  const call = errorOf(() => redis.llen('x'))
  await redis.close()
  expect((await call).code).toBe('REDIS_UNAVAILABLE')
})
