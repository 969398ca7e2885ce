import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { pinoLog, systemClock, systemHost, systemRandom } from '../../daemon/system-ports.ts'

describe('systemClock', () => {
  const clock = systemClock()

  test('sleeps, and rejects with the reason when aborted before or during', async () => {
    const before = clock.monotonic()
    await clock.sleep(5)
    expect(clock.monotonic() - before).toBeGreaterThan(3)
    const stop = new AbortController()
    const sleeping = clock.sleep(100_000, stop.signal)
    stop.abort('enough')
    await expect(sleeping).rejects.toBe('enough')
    await expect(clock.sleep(1, stop.signal)).rejects.toBe('enough')
  })

  test('waits until the wall clock shows a time, which may have passed', async () => {
    const atMs = clock.now() + 5
    await clock.until(atMs)
    expect(clock.now()).toBeGreaterThanOrEqual(atMs)
    await clock.until(0)
    const stop = new AbortController()
    const waiting = clock.until(clock.now() + 100_000, stop.signal)
    stop.abort('enough')
    await expect(waiting).rejects.toBe('enough')
  })

  test('refuses what a timer cannot hold', () => {
    expect(() => clock.sleep(2 ** 31)).toThrow(/longer than a timer holds/)
  })

  test('an aborted sleep leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    const before = timers()
    const stop = new AbortController()
    const sleeping = clock.sleep(100_000, stop.signal).catch(() => undefined)
    expect(timers()).toBe(before + 1)
    stop.abort()
    await sleeping
    expect(timers()).toBe(before)
  })
})

test('systemRandom: in [0, 1), over the whole range, nonces never the same', () => {
  const random = systemRandom()
  const draws = Array.from({ length: 2_000 }, () => random.draw('x'))
  expect(Math.min(...draws)).toBeGreaterThanOrEqual(0)
  expect(Math.max(...draws)).toBeLessThan(1)
  expect(new Set(draws.map(draw => Math.floor(draw * 16))).size).toBe(16)
  const nonces = Array.from({ length: 1_000 }, () => random.nonce('x'))
  expect(new Set(nonces).size).toBe(1_000)
  expect(nonces.every(nonce => /^[\w-]{22,}$/.test(nonce))).toBe(true)
})

describe('systemHost', () => {
  const host = systemHost()
  const me = host.identity()

  test('this process is alive; so is another one until it ends, even while nobody has reaped it', async () => {
    expect(host.isGone(me)).toBe(false)
    const child = spawn('sleep', ['100'])
    const other = { ...me, pid: child.pid as number, start: startOf(child.pid as number) }
    expect(host.isGone(other)).toBe(false)
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    expect(host.isGone(other)).toBe(true)
  })

  test.each([
    ['another process has its pid now', { ...me, start: '1' }, true],
    ['its pid is free', { ...me, pid: 4_190_000, start: '1' }, true],
    ['another boot or machine', { ...me, boot: 'other', pid: 4_190_000 }, false],
    ['start unknown, pid in use', { ...me, start: '' }, false],
  ])('isGone: %s', (_what, identity, gone) => expect(host.isGone(identity)).toBe(gone))

  test('gone resolves when that process has ended, and rejects when nobody wants to know any more', async () => {
    const host = systemHost()
    const child = spawn('sleep', ['60'])
    const start = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(' ')[21] as string
    const other = { ...host.identity(), pid: child.pid as number, start }
    const stop = new AbortController()
    const given = host.gone(other, stop.signal)
    stop.abort('enough')
    await expect(given).rejects.toBe('enough')
    const gone = host.gone(other, new AbortController().signal)
    child.kill('SIGKILL')
    await gone
    expect(host.isGone(other)).toBe(true)
  })
})

function startOf(pid: number): string {
  const { readFileSync } = process.getBuiltinModule('node:fs')
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] as string
}

test('pinoLog writes JSON lines from its level on', () => {
  const lines: string[] = []
  const log = pinoLog({ level: 'warn', destination: { write: line => void lines.push(line) } })
  log.write('info', 'unheard', {})
  log.write('warn', 'heard', { loop: 'n1' })
  expect(lines.map(line => JSON.parse(line))).toEqual([
    expect.objectContaining({ msg: 'heard', loop: 'n1', level: 40 }),
  ])
})
