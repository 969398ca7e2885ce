import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lockDataDir } from '../../daemon/data-dir.ts'
import { systemHost } from '../../daemon/system-ports.ts'
import type { Host } from '../../engine/ports.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'

const host = systemHost()
const me = host.identity()
const other = { boot: me.boot, pid: 4_190_000, start: '1', hostname: hostname() }

async function deadProcess() {
  const child = spawn('true')
  await new Promise(resolve => child.once('exit', resolve))
  return child.pid as number
}

describe('lockDataDir', () => {
  test('is exclusive, names the holder, and can be had again after its release', async () => {
    const dir = join(tempDir(), 'a', 'b')
    const lock = lockDataDir(dir, host)
    const error = await errorOf(() => lockDataDir(dir, host))
    expect(error.code).toBe('JOURNAL_LOCKED')
    expect(error.message).toContain(`process ${process.pid} holds`)
    lock.release()
    expect(readdirSync(dir)).toEqual([])
    lockDataDir(dir, host).release()
  })

  test.each([
    ['a process that is gone', async () => ({ ...other, pid: await deadProcess() })],
    ['a pid that another process has now', async () => ({ ...other, pid: process.pid, start: '1' })],
    ['the time before a reboot', async () => ({ ...other, boot: 'earlier', pid: process.pid, start: me.start })],
  ])('takes over from %s', async (_who, holder) => {
    const dir = tempDir()
    writeFileSync(join(dir, 'lock'), JSON.stringify(await holder()))
    const lock = lockDataDir(dir, host)
    expect(JSON.parse(readFileSync(join(dir, 'lock'), 'utf8'))).toMatchObject(me)
    lock.release()
  })

  test('never judges a process of another machine', async () => {
    const dir = tempDir()
    writeFileSync(join(dir, 'lock'), JSON.stringify({ ...other, boot: 'elsewhere', hostname: 'elsewhere' }))
    const error = await errorOf(() => lockDataDir(dir, host))
    expect(error.code).toBe('JOURNAL_LOCKED')
    expect(error.message).toContain('on "elsewhere"')
  })

  test('a lock file that says nothing is nobody', () => {
    const dir = tempDir()
    writeFileSync(join(dir, 'lock'), '{')
    lockDataDir(dir, host).release()
  })

  test('a faster process that took over keeps its lock', async () => {
    const dir = tempDir()
    const path = join(dir, 'lock')
    const faster = JSON.stringify({ ...other, pid: process.pid, start: me.start })
    writeFileSync(path, JSON.stringify(other))
    const racing: Host = {
      identity: () => me,
      isGone: identity => {
        if (identity.start !== '1') return false
        writeFileSync(path, faster)
        return true
      },
      gone: () => new Promise(() => undefined),
    }
    expect((await errorOf(() => lockDataDir(dir, racing))).code).toBe('JOURNAL_LOCKED')
    expect(readFileSync(path, 'utf8')).toBe(faster)
    expect(readdirSync(dir)).toEqual(['lock'])
  })
})
