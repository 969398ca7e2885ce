/**
 * Why the engine holds its keys itself: the same claim-and-commit mix over `Keyspace` and over ioredis-mock's commands, at
 * list depth 10 and 10,000, alternating in one run, medians of five. Also what a journalled operation costs.
 * Run: npx tsx test/bench/keyspace.ts
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import MockClient from 'ioredis-mock'
import { openEmbeddedRedis } from '../../daemon/embedded-redis.ts'
import { systemClock } from '../../daemon/system-ports.ts'
import { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import type { Script } from '../../engine/ports.ts'

const payload = `0|key|1700000000000|${JSON.stringify({ id: 'a', data: { n: 1, text: 'x'.repeat(100) }, metadata: {} })}`

/** Claim one, note it, push one on, commit: eight commands. Operations per second. */
async function overKeyspace(depth: number, rounds: number): Promise<number> {
  const db = new Keyspace(() => 0)
  for (let i = 0; i < depth; i++) db.rpush('q', payload)
  return perSecond(rounds, async i => {
    db.beginScript()
    db.hget('r', 'seq')
    db.rpush('c', db.lpop('q') as string)
    db.hset('r', 'seq', String(i), 'last_token', `t${i}`)
    db.lpop('c')
    db.rpush('q', payload)
    db.llen('q')
    db.hset('state', 'n1', String(i))
  })
}

async function overMock(depth: number, rounds: number): Promise<number> {
  const db = new MockClient({ host: `bench-${depth}` })
  await db.flushall()
  await db.rpush('q', ...Array.from({ length: depth }, () => payload))
  return perSecond(rounds, async i => {
    await db.hget('r', 'seq')
    await db.rpush('c', (await db.lpop('q')) as string)
    await db.hset('r', 'seq', String(i), 'last_token', `t${i}`)
    await db.lpop('c')
    await db.rpush('q', payload)
    await db.llen('q')
    await db.hset('state', 'n1', String(i))
  })
}

/** Push one, take one, each awaited, in a journal that is compacted on the way. Operations per second. */
async function overEmbedded(rounds: number): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'theoneeye-bench-'))
  const redis = await openEmbeddedRedis({ dir, clock: systemClock(), scripts: [step] })
  const rate = await perSecond(rounds, async i => {
    await redis.call(step, [], [String(i), payload])
  })
  await redis.close()
  rmSync(dir, { recursive: true })
  return rate
}

/** One commit-like operation: a push, a pop, two hash fields. */
const step: Script = {
  name: 'bench-step',
  lua: '',
  run(db, _keys, [i = '', entry = '']) {
    db.rpush('q', entry)
    if (db.llen('q') > 1_000) db.lpop('q')
    db.hset('r', 'seq', i, 'last_token', i)
    return i
  },
}

async function perSecond(rounds: number, round: (i: number) => Promise<void>): Promise<number> {
  const start = performance.now()
  for (let i = 0; i < rounds; i++) await round(i)
  return (rounds * 1_000) / (performance.now() - start)
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number
const thousands = (n: number) => `${(n / 1_000).toFixed(1)} k/s`

async function compare(depth: number, mockRounds: number): Promise<void> {
  const [own, mock]: [number[], number[]] = [[], []]
  for (let i = 0; i < 5; i++) {
    own.push(await overKeyspace(depth, 200_000))
    mock.push(await overMock(depth, mockRounds))
  }
  const [a, b] = [median(own), median(mock)]
  console.log(
    `depth ${depth}: Keyspace ${thousands(a)}, ioredis-mock ${thousands(b)} claim+commit rounds, ${(a / b).toFixed(0)} to 1`,
  )
}

const before = process.memoryUsage().rss
const rate = await overEmbedded(1_000_000)
const grown = (process.memoryUsage().rss - before) / 2 ** 20
console.log(
  `embedded: ${thousands(rate)} journalled operations one after another; 1,000,000 of them: ${grown.toFixed(0)} MiB more`,
)
await compare(10, 20_000)
await compare(10_000, 2_000)
