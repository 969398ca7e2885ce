import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { type EmbeddedOptions, type EmbeddedRedis, openEmbeddedRedis } from '../../daemon/embedded-redis.ts'
import { encodeEntry, journalVersion } from '../../daemon/journal-lines.ts'
import { systemClock, systemHost } from '../../daemon/system-ports.ts'
import type { Host, Log } from '../../engine/ports.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'
import { lease, move, pushOnce, toyScripts } from '../support/toy-scripts.ts'

const disk = vi.hoisted(() => ({ full: false, noNewFiles: false }))

/** A disk that can be filled: half of what is written gets through, as on a real one. */
vi.mock('node:fs', async original => {
  const fs = await original<typeof import('node:fs')>()
  const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  return {
    ...fs,
    openSync: (path: string, flags: string) => {
      if (disk.noNewFiles && flags === 'w+') throw noSpace()
      return fs.openSync(path, flags)
    },
    writeSync: (...args: [number, Buffer, number, number, number]) => {
      const [fd, bytes, from, length, at] = args
      if (!disk.full) return fs.writeSync(...args)
      if (length > 1) return fs.writeSync(fd, bytes, from, length >> 1, at)
      throw noSpace()
    },
  }
})

beforeEach(() => Object.assign(disk, { full: false, noNewFiles: false }))

const open = (dir: string, options: Partial<EmbeddedOptions> = {}) =>
  openEmbeddedRedis({ dir, clock: systemClock(), scripts: toyScripts, ...options })
const journalOf = (dir: string) => join(dir, 'redis.journal')

function collect(): { log: Log; messages: string[] } {
  const messages: string[] = []
  return { messages, log: { write: (level, message) => void messages.push(`${level}: ${message}`) } }
}

/** What kill -9 leaves: the files as they are, and a lock of a process that is gone. */
function afterKill(dir: string): Partial<EmbeddedOptions> {
  const host: Host = { identity: systemHost().identity, isGone: () => true, gone: async () => undefined }
  writeFileSync(join(dir, 'lock'), '{"boot":"b","pid":1,"start":"1","hostname":"h"}')
  return { host }
}

async function fill(redis: EmbeddedRedis, n: number): Promise<void> {
  for (let i = 0; i < n; i++) await redis.call(pushOnce, ['list', 'tokens'], [`t${i}`, `value ${i}`])
}

describe('openEmbeddedRedis', () => {
  test('answers like a server', async () => {
    const redis = await open(tempDir())
    expect(await redis.call(pushOnce, ['list', 'tokens'], ['a', 'x', 'y'])).toBe(2)
    expect(await redis.call(pushOnce, ['list', 'tokens'], ['a', 'x', 'y'])).toBe(2)
    expect(await redis.call(move, ['list', 'taken'], ['1'])).toEqual(['x'])
    expect(await redis.call(lease, ['r', 'n', 's'], ['me'])).toEqual(['me', 1, null])
    expect(await redis.hget('r', 'holder')).toBe('me')
    expect(await redis.hget('r', 'none')).toBe(null)
    expect(await redis.hgetall('tokens')).toEqual({ a: '2' })
    expect(await redis.lrange('list', 0, -1)).toEqual(['y'])
    expect(await redis.llen('taken')).toBe(1)
    expect(await redis.smembers('s')).toEqual(['me'])
    expect((await errorOf(() => redis.llen('r'))).code).toBe('REDIS_WRONG_TYPE')
    await redis.close()
    expect((await errorOf(() => redis.llen('list'))).code).toBe('REDIS_UNAVAILABLE')
  })

  test.each([
    ['closed', false],
    ['killed', true],
  ])('has the same keys after it was %s', async (_how, killed) => {
    const dir = tempDir()
    const first = await open(dir)
    await fill(first, 50)
    await first.call(move, ['list', 'taken'], ['7'])
    await first.call(lease, ['r', 'n', 's'], ['mé\u2028\ud83d\ude00\n"'])
    expect(await first.wait('taken', 10)).toBe(true)
    const before = first.dump()
    if (!killed) await first.close()
    const second = await open(dir, killed ? afterKill(dir) : {})
    expect(second.dump()).toEqual(before)
    await second.close()
    if (killed) await first.close()
  })

  test('keeps what a failing operation had written, as a server would', async () => {
    const dir = tempDir()
    const first = await open(dir)
    await first.call(lease, ['r', 'r2', 's'], ['me'])
    expect((await errorOf(() => first.call(lease, ['r', 'r', 's'], ['you']))).code).toBe('REDIS_WRONG_TYPE')
    expect(await first.smembers('s')).toEqual(['me', 'you'])
    await first.close()
    const second = await open(dir)
    expect(second.dump()).toEqual(first.dump())
    await second.close()
  })

  test('compacts, and a compacted journal holds the same keys', async () => {
    const dir = tempDir()
    const first = await open(dir, { compactBytes: 2_000 })
    for (let i = 0; i < 500; i++) {
      await first.call(pushOnce, ['list', `tokens${i % 3}`], [`t${i % 10}`, 'x'.repeat(i % 50)])
      await first.call(move, ['list', 'last'], ['1'])
      await first.call(lease, ['r', 'n', 's'], [`h${i % 4}`])
    }
    await first.close()
    const lines = readFileSync(journalOf(dir), 'utf8').split('\n')
    expect(lines.length).toBeLessThan(500)
    const second = await open(dir)
    expect(second.dump()).toEqual(first.dump())
    await second.close()
    expect(readdirSync(dir)).toEqual(['redis.journal'])
  })

  test('a list longer than a part of a snapshot comes back whole and in order', async () => {
    const dir = tempDir()
    const first = await open(dir, { compactBytes: 1 })
    const values = Array.from({ length: 300 }, (_, i) => `${i}:${'v'.repeat(5_000)}`)
    await first.call(pushOnce, ['list', 'tokens'], ['t', ...values])
    await first.close()
    expect(readFileSync(journalOf(dir), 'utf8').match(/"#key",\{"key":"list"/g)?.length).toBeGreaterThan(3)
    const second = await open(dir)
    expect(await second.lrange('list', 0, -1)).toEqual(values)
    await second.close()
  })
})

describe('a torn or damaged journal', () => {
  /** A journal of ten operations and the offset where its last line begins. */
  async function tenOperations(dir: string) {
    const redis = await open(dir)
    await fill(redis, 10)
    await redis.close()
    const text = readFileSync(journalOf(dir), 'utf8')
    return { text, lastLine: text.lastIndexOf('\n', text.length - 2) + 1 }
  }

  test('torn at any byte of its last line: cut off, said, and usable', async () => {
    const dir = tempDir()
    const { text, lastLine } = await tenOperations(dir)
    for (let size = lastLine + 1; size < text.length; size++) {
      writeFileSync(journalOf(dir), text)
      truncateSync(journalOf(dir), size)
      const { log, messages } = collect()
      const redis = await open(dir, { log })
      expect(await redis.llen('list')).toBe(9)
      expect(messages.join()).toMatch(/warn: .*line 12.*cut off/)
      await redis.call(pushOnce, ['list', 'tokens'], ['again', 'x'])
      await redis.close()
      const again = await open(dir)
      expect(await again.llen('list')).toBe(10)
      await again.close()
    }
  })

  test.each(['\0\0\0\0\0\0', 'garbage\nmore garbage\n', '\n\n'])(
    'garbage %j at its end is a torn write',
    async tail => {
      const dir = tempDir()
      const { text } = await tenOperations(dir)
      appendFileSync(journalOf(dir), tail)
      const redis = await open(dir)
      expect(await redis.llen('list')).toBe(10)
      await redis.close()
      expect(readFileSync(journalOf(dir), 'utf8')).toBe(text)
    },
  )

  test('damaged in the middle: refused, named, and left as it is', async () => {
    const dir = tempDir()
    const { text } = await tenOperations(dir)
    const damaged = text.replace('value 3', 'value 4')
    writeFileSync(journalOf(dir), damaged)
    const error = await errorOf(() => open(dir))
    expect(error.code).toBe('JOURNAL_CORRUPT')
    expect(error.message).toContain(journalOf(dir))
    expect(error.message).toMatch(/line 6: .*head -n 5/)
    expect(readFileSync(journalOf(dir), 'utf8')).toBe(damaged)
    expect(readdirSync(dir)).toEqual(['redis.journal'])
  })

  test.each([
    ['an empty file', '', 'JOURNAL_CORRUPT'],
    ['another file', 'hello\n', 'JOURNAL_CORRUPT'],
    ['no header', encodeEntry(['#end', 0]), 'JOURNAL_CORRUPT'],
    ['half a snapshot', encodeEntry(['#journal', journalVersion]), 'JOURNAL_CORRUPT'],
    ['a newer version', encodeEntry(['#journal', journalVersion + 1]), 'SCHEMA_TOO_NEW'],
    ['an older version', encodeEntry(['#journal', journalVersion - 1]), 'SCHEMA_TOO_OLD'],
    [
      'an unknown operation',
      `${encodeEntry(['#journal', journalVersion])}${encodeEntry(['#end', 0])}${encodeEntry(['new', 1, [], []])}`,
      'SCHEMA_TOO_NEW',
    ],
  ])('%s is refused', async (_what, text, code) => {
    const dir = tempDir()
    writeFileSync(journalOf(dir), text)
    expect((await errorOf(() => open(dir))).code).toBe(code)
    expect(readFileSync(journalOf(dir), 'utf8')).toBe(text)
  })
})

describe('writing fails', () => {
  test('nothing of the turn is acknowledged and nothing is accepted afterwards', async () => {
    const dir = tempDir()
    const redis = await open(dir)
    await fill(redis, 3)
    const size = statSync(journalOf(dir)).size
    disk.full = true
    const codes = await Promise.all([
      errorOf(() => redis.call(pushOnce, ['list', 'tokens'], ['a', 'x'])),
      errorOf(() => redis.llen('list')),
    ])
    expect(codes.map(error => error.code)).toEqual(['JOURNAL_FAILED', 'JOURNAL_FAILED'])
    expect((await errorOf(() => redis.llen('list'))).code).toBe('JOURNAL_FAILED')
    expect((await errorOf(() => redis.wait('list', 10))).code).toBe('JOURNAL_FAILED')
    expect(statSync(journalOf(dir)).size).toBe(size)
    disk.full = false
    expect((await errorOf(() => redis.llen('list'))).code).toBe('JOURNAL_FAILED')
    await redis.close()
    const again = await open(dir)
    expect(await again.llen('list')).toBe(3)
    await again.close()
  })

  test('a journal that cannot be compacted goes on growing, and says so', async () => {
    const dir = tempDir()
    const { log, messages } = collect()
    const redis = await open(dir, { compactBytes: 1_000, log })
    disk.noNewFiles = true
    await fill(redis, 60)
    disk.noNewFiles = false
    expect(messages.length).toBeGreaterThan(1)
    expect(messages[0]).toMatch(/Cannot compact .* disk is full/)
    await redis.close()
    const again = await open(dir)
    expect(await again.llen('list')).toBe(60)
    await again.close()
  })

  test('a data directory that is a file is refused with what to do', async () => {
    const path = join(tempDir(), 'file')
    writeFileSync(path, '')
    const error = await errorOf(() => open(path))
    expect(error.code).toBe('JOURNAL_FAILED')
    expect(error.message).toContain('--data')
  })
})

describe('wait', () => {
  test('takes an element that is there', async () => {
    const redis = await open(tempDir())
    await redis.call(pushOnce, ['bell', 'tokens'], ['a', '1', '2'])
    expect(await redis.wait('bell', 10)).toBe(true)
    expect(await redis.llen('bell')).toBe(1)
    await redis.close()
  })

  test('is woken by a push of the same turn, one waiter per element, the oldest first', async () => {
    const redis = await open(tempDir())
    const order: number[] = []
    const waits = [0, 1, 2].map(i => redis.wait('bell', 100).then(woken => woken && order.push(i)))
    void redis.call(pushOnce, ['bell', 'tokens'], ['a', '1', '2'])
    await Promise.all(waits)
    expect(order).toEqual([0, 1])
    expect(await redis.llen('bell')).toBe(0)
    await redis.close()
  })

  test.each([
    ['its time is over', async () => undefined, 5],
    ['it is aborted', async (_: EmbeddedRedis, stop: AbortController) => stop.abort(), 5_000],
    ['the store is closed', (redis: EmbeddedRedis) => redis.close(), 5_000],
  ])('ends with false when %s', async (_why, end, ms) => {
    const redis = await open(tempDir())
    const stop = new AbortController()
    const waiting = redis.wait('bell', ms, stop.signal)
    await end(redis, stop)
    expect(await waiting).toBe(false)
    await redis.close()
  })

  test('an ended wait takes nothing', async () => {
    const redis = await open(tempDir())
    expect(await redis.wait('bell', 1)).toBe(false)
    await redis.call(pushOnce, ['bell', 'tokens'], ['a', '1'])
    expect(await redis.llen('bell')).toBe(1)
    await redis.close()
  })
})
