/** What the service manager hears, on a real datagram socket; and that the unit is one that systemd takes. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SystemdNotifier } from '../../daemon/systemd.ts'
import { systemdUnit } from '../../daemon/systemd-unit.ts'
import { NotifySocket } from '../support/notify-socket.ts'

const options = { node: process.execPath, program: '/opt/theoneeye/bin.js', config: '/etc/theoneeye/theoneeye.yaml' }

describe('SystemdNotifier', () => {
  it('sends what happens, in order', async () => {
    const socket = await NotifySocket.open()
    const env = { NOTIFY_SOCKET: socket.path, PATH: process.env.PATH }
    const notifier = SystemdNotifier.from(env, message => expect.fail(message)) as SystemdNotifier
    void notifier.ready('3 loops run')
    void notifier.alive()
    void notifier.status('two\nlines')
    void notifier.reloading()
    await notifier.stopping('drains')
    await socket.until(message => message.startsWith('STOPPING=1'))
    expect(socket.messages).toEqual([
      'READY=1;STATUS=3 loops run',
      'WATCHDOG=1',
      'STATUS=two lines',
      expect.stringMatching(/^RELOADING=1;MONOTONIC_USEC=\d+$/),
      'STOPPING=1;STATUS=drains',
    ])
  })

  it('is none where nobody listens', () => expect(SystemdNotifier.from({}, () => undefined)).toBe(undefined))

  it.each([
    [{ WATCHDOG_USEC: '60000000' }, 60_000],
    [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: String(process.pid) }, 60_000],
    [{ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }, undefined],
    [{}, undefined],
  ])('%j asks for a sign of life within %j ms', (env, ms) => {
    expect(SystemdNotifier.from({ NOTIFY_SOCKET: '/x', ...env }, () => undefined)?.watchdogMs).toBe(ms)
  })

  it.each([
    [{ PATH: '/nowhere' }, /systemd-notify is missing; install systemd/],
    [{ PATH: process.env.PATH }, /^Cannot tell the service manager/],
  ])('says once that it cannot send (%j)', async (env, says) => {
    const troubles: string[] = []
    const notifier = SystemdNotifier.from({ NOTIFY_SOCKET: '/nowhere/x', ...env }, text => troubles.push(text))
    await notifier?.alive()
    await notifier?.alive()
    expect(troubles).toEqual([expect.stringMatching(says)])
  })
})

describe('systemdUnit', () => {
  function analyze(...args: string[]): string {
    const { stdout, stderr, status, error } = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
    if (error !== undefined) throw new Error(`systemd-analyze is missing: ${error.message}; install systemd`)
    expect(status, stderr).toBe(0)
    return stdout + stderr
  }

  function saved(): string {
    const dir = mkdtempSync(join(tmpdir(), 'theoneeye-unit-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const path = join(dir, 'theoneeye.service')
    writeFileSync(path, systemdUnit({ ...options, program: process.execPath, drainSeconds: 30 }))
    return path
  }

  it('is one that systemd understands', () => {
    const unit = saved()
    const said = analyze('verify', unit).split('\n')
    expect(said.filter(line => line.includes('theoneeye.service'))).toEqual([])
  })

  it('leaves an exposure of at most 2 of 10', () => {
    const [, figure] =
      /overall exposure level[^:]*: ([\d.]+)/i.exec(analyze('security', '--offline=true', saved())) ?? []
    expect(Number(figure)).toBeLessThanOrEqual(2)
  })

  it('waits longer than the drain', () => {
    expect(systemdUnit({ ...options, drainSeconds: 300 })).toContain('TimeoutStopSec=315')
  })

  it('lets a Node below a home be read, and says why', () => {
    const unit = systemdUnit({ ...options, node: '/home/me/.nvm/node', drainSeconds: 30 })
    expect(unit).toMatch(/# read-only .*: \/home\/me\/\.nvm\/node\nProtectHome=read-only/)
    expect(systemdUnit({ ...options, node: '/usr/bin/node', drainSeconds: 30 })).toContain('\nProtectHome=yes\n')
  })

  it('quotes odd paths', () => {
    const unit = systemdUnit({ ...options, config: '/etc/my "50%" $x.yaml', drainSeconds: 30 })
    expect(unit).toContain('--config "/etc/my \\"50%%\\" $$x.yaml"')
  })
})
