/** `theoneeye daemon` as an operator meets it: started well and badly, looked at, told to reload and to stop. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { cli } from '../support/cli.ts'
import { DaemonProcess, daemonFolder, saveWorkflow } from '../support/daemon-process.ts'
import { sketch } from '../support/engine-bench.ts'
import { NotifySocket } from '../support/notify-socket.ts'
import { RedisServer } from '../support/redis-server.ts'

/** Ticks for ever; `every` tells its definitions apart. */
const ticking = (id: string, every = 1) =>
  sketch({
    id,
    nodes: { tick: ['timer', { interval: every, unit: 'hours' }], say: ['log', { message: 'tick', level: 'debug' }] },
    edges: 'tick>say',
  })
/** Ends by itself, with three files. */
const finite = sketch({
  id: 'finite',
  nodes: {
    count: ['counter', { min_value: 1, max_value: 3 }],
    push: ['queue-writer', { queue_name: 'q' }],
    take: ['queue-reader', { queue_name: 'q' }],
    save: ['file-writer', { file_path: 'out-{{ data.counter.current }}.txt', mode: 'w' }],
  },
  edges: 'count>push take>save',
})
/** Its iteration takes an hour, and it does not drain in time. */
const slow = sketch({
  id: 'slow',
  settings: { drain_timeout_seconds: 3_600 },
  nodes: { count: 'counter', rest: ['static-delay-node', { interval: 1, unit: 'hours' }] },
  edges: 'count>rest',
})

/** The same in workers. */
const inWorkers = {
  ...finite,
  id: 'workers',
  settings: { loops: { count: { pool: 'thread' }, take: { pool: 'process' } } },
}

describe('daemon', () => {
  it('measures what its workers ask of Redis', async () => {
    const server = await RedisServer.start()
    onTestFinished(() => server.remove())
    const cwd = daemonFolder({ workers: inWorkers })
    const daemon = await DaemonProcess.ready({ cwd, args: ['--redis', server.url] })
    await daemon.logs(/^workflow completed/)
    await vi.waitFor(async () => {
      const { body } = await daemon.get('/metrics')
      const commits = /theoneeye_redis_call_seconds_count\{script="commit"\} (\d+)/.exec(body)?.[1]
      expect(Number(commits)).toBeGreaterThanOrEqual(2)
    })
  })

  it('runs the workflows of a folder, tells how it goes, and drains on SIGTERM', async () => {
    const cwd = daemonFolder({ finite, ticking: ticking('ticking') })
    const daemon = await DaemonProcess.ready({ cwd })
    await daemon.logs(/^workflow completed/)
    expect(readFileSync(join(cwd, 'files/out-3.txt'), 'utf8')).toContain('"current": 3')
    expect((await daemon.get('/health/live')).status).toBe(200)
    const ready = await daemon.get('/health/ready')
    expect(ready.status, ready.body).toBe(200)
    expect(JSON.parse(ready.body)).toMatchObject({ status: 'ready', reasons: [], workflows: 2, broken_files: [] })
    const { body } = await daemon.get('/metrics')
    expect(body).toContain('theoneeye_iterations_total{workflow="finite",loop="take"} 3')
    expect(body).toContain('theoneeye_queue_items{workflow="finite",queue="q"} 0')
    expect(body).toMatch(/theoneeye_redis_call_seconds_count\{script="commit"\} \d/)
    expect(body).toContain('theoneeye_ready 1')
    expect((await daemon.get('/nothing')).status).toBe(404)
    daemon.signal('SIGTERM')
    expect(await daemon.exit, daemon.stderr).toBe(0)
    expect(daemon.stderr).toBe('')
    const queues = await cli(['queue', 'list', 'finite', '--json'], { cwd })
    expect(queues.lines).toEqual([{ name: 'q', length: 0, claimed: 0, oldest_age: null }])
  })

  it('logs JSON with the place of what it tells', async () => {
    const failing = sketch({
      nodes: { count: 'counter', bad: ['log', { message: '{{ 1 / 0 }}' }] },
      edges: 'count>bad',
    })
    const daemon = await DaemonProcess.ready({ cwd: daemonFolder({ failing }) })
    const line = await daemon.logs(/^dead letter: /)
    const place = { workflow: 'story', run: 'run-1', loop: 'count', iteration: 1, node: 'bad', level: 40 }
    expect(line).toMatchObject(place)
    expect(line.item).toEqual(expect.any(String))
    expect(daemon.lines.some(({ msg }) => msg === 'node started')).toBe(false)
  })

  it('switches debug logs on and off with SIGUSR2', async () => {
    const daemon = await DaemonProcess.ready({ cwd: daemonFolder({ ticking: ticking('ticking') }) })
    daemon.signal('SIGUSR2')
    await daemon.logs(/^log level is now debug/)
    daemon.signal('SIGUSR2')
    await daemon.logs(/^log level is now info/)
  })

  it('a second SIGTERM kills', async () => {
    const daemon = await DaemonProcess.ready({ cwd: daemonFolder({ slow }) })
    await daemon.logs(/^loop is served here/)
    daemon.signal('SIGTERM')
    await daemon.logs(/^stopping/)
    daemon.signal('SIGTERM')
    expect(await daemon.exit).toBe(1)
  })
})

describe('a daemon that cannot begin', () => {
  it.each<[string, Record<string, string>, RegExp[]]>([
    [
      'problems in its configuration',
      { 'theoneeye.yaml': 'lisen: x\nlog: { level: loud }' },
      [/:1: lisen.*"listen"/, /:2: log\.level/],
    ],
    [
      'no Redis where it was told',
      { 'theoneeye.yaml': 'redis: redis://:hunter2@127.0.0.1:1' },
      [/127\.0\.0\.1:1.*refused/],
    ],
    [
      'only broken workflow files',
      { 'workflows/w.json': '{"nodes": 1}', 'workflows/x.json': '{' },
      [/w\.json: \/nodes/, /x\.json: .*not JSON/],
    ],
    ['no workflows folder', { 'theoneeye.yaml': 'workflows: nowhere' }, [/nowhere.*does not exist.*make it/]],
  ])('for %s exits with 2 and says what to do', async (_, files, says) => {
    const daemon = new DaemonProcess({ cwd: daemonFolder({}, files) })
    expect(await daemon.exit).toBe(2)
    for (const pattern of says) expect(daemon.stderr).toMatch(pattern)
    expect(daemon.stderr).not.toMatch(/\n\s+at |hunter2/)
    expect(JSON.stringify(daemon.lines)).not.toContain('hunter2')
  })

  it('since its port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await new Promise(resolve => taken.once('listening', resolve))
    const { port } = taken.address() as { port: number }
    const daemon = new DaemonProcess({ cwd: daemonFolder({}), env: { THEONEEYE_LISTEN: `127.0.0.1:${port}` } })
    expect(await daemon.exit).toBe(2)
    expect(daemon.stderr).toContain(`Cannot listen at 127.0.0.1:${port}: another process listens there`)
  })

  it('since another one has its data directory', async () => {
    const cwd = daemonFolder({ ticking: ticking('ticking') })
    const first = await DaemonProcess.ready({ cwd })
    const second = new DaemonProcess({ cwd })
    expect(await second.exit).toBe(2)
    expect(second.stderr).toMatch(new RegExp(`process ${first.pid} holds`))
  })
})

describe('daemon --check', () => {
  const check = (cwd: string, ...args: string[]) => cli(['daemon', '--check', ...args], { cwd })

  it('says what it found and what could be lost', async () => {
    const server = await RedisServer.start({ appendonly: 'yes' })
    onTestFinished(() => server.remove())
    const { code, stdout, stderr } = await check(daemonFolder({ finite }), '--redis', server.url)
    expect(code, stderr).toBe(0)
    expect(stdout).toMatch(/finite\.json: workflow "finite", loops: count, take/)
    expect(stdout).toMatch(/Redis: 127\.0\.0\.1:\d+\n {2}version .*\n {2}append-only file: the last second can be lost/)
    expect(stderr).toBe('')
  })

  it('finds all that is wrong at once', async () => {
    const server = await RedisServer.start({ args: ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'] })
    onTestFinished(() => server.remove())
    const cwd = daemonFolder({ finite, twin: { ...finite }, broken: '{' })
    const { code, stderr } = await check(cwd, '--redis', server.url)
    expect(code).toBe(2)
    expect(stderr).toMatch(/broken\.json: .*not JSON/)
    expect(stderr).toMatch(/twin\.json: \/id: "finite" is also the id of "finite\.json"/)
    expect(stderr).toMatch(/maxmemory-policy allkeys-lru.*noeviction/)
  })

  it('is no trouble for a daemon that runs', async () => {
    const cwd = daemonFolder({ finite })
    await DaemonProcess.ready({ cwd })
    const { code, stderr } = await check(cwd)
    expect(code).toBe(0)
    expect(stderr).toMatch(/process \d+ holds/)
  })
})

it('daemon install --print prints a unit for this very program', async () => {
  const cwd = daemonFolder({}, { 'theoneeye.yaml': 'drain_timeout_seconds: 100' })
  const { code, stdout, stderr } = await cli(['daemon', '--config', 'theoneeye.yaml', 'install', '--print'], { cwd })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(new RegExp(`^ExecStart=\\S+ \\S+bin\\.js daemon --config ${cwd}/theoneeye\\.yaml$`, 'm'))
  expect(stdout).toContain('TimeoutStopSec=115')
})

describe('reloading', () => {
  it('a file that is saved, added or removed is taken over; what is unchanged goes on untouched', async () => {
    const cwd = daemonFolder({ a: ticking('a'), b: ticking('b'), c: ticking('c') })
    const daemon = await DaemonProcess.ready({ cwd })
    await daemon.logsOf({ msg: 'loop is served here', workflow: 'c' })
    saveWorkflow(cwd, 'a', ticking('a', 2))
    await daemon.logsOf({ msg: /^loop changed: it was drained/, workflow: 'a', loop: 'tick' })
    saveWorkflow(cwd, 'd', ticking('d'))
    await daemon.logsOf({ msg: /^loop added/, workflow: 'd', loop: 'tick' })
    rmSync(join(cwd, 'workflows/b.json'))
    await daemon.logsOf({ msg: /^loop removed: it was drained/, workflow: 'b', loop: 'tick' })
    expect(JSON.parse((await daemon.get('/health/ready')).body)).toMatchObject({ workflows: 3, broken_files: [] })
    const ofC = daemon.lines.filter(({ workflow }) => workflow === 'c').map(({ msg }) => msg)
    expect(ofC).toEqual(['workflow starts a run', 'loop is served here'])
    daemon.signal('SIGTERM')
    expect(await daemon.exit).toBe(0)
  })

  it('a broken file is refused whole, and what it held goes on; mended, it is taken over', async () => {
    const cwd = daemonFolder({ a: ticking('a'), b: '{' })
    const daemon = await DaemonProcess.ready({ cwd })
    saveWorkflow(cwd, 'a', '{ "nodes": 1 }')
    await daemon.logsOf({ msg: /^a\.json cannot be loaded: \/nodes/, level: 50 })
    const unwell = JSON.parse((await daemon.get('/health/ready')).body)
    expect(unwell).toMatchObject({ status: 'ready', workflows: 1, broken_files: ['a.json', 'b.json'] })
    saveWorkflow(cwd, 'b', ticking('b'))
    await daemon.logsOf({ msg: /^loop added/, workflow: 'b' })
    saveWorkflow(cwd, 'a', ticking('a', 2))
    await daemon.logsOf({ msg: /^loop changed/, workflow: 'a' })
    expect(JSON.parse((await daemon.get('/health/ready')).body)).toMatchObject({ workflows: 2, broken_files: [] })
    // what is wrong is said once, not with every reload
    expect(daemon.lines.filter(({ msg }) => msg.startsWith('b.json cannot be loaded'))).toHaveLength(1)
  })

  it('a change that would leave a queue with items and nobody who reads it is refused, naming it', async () => {
    const reading = sketch({
      id: 'w',
      nodes: {
        tick: ['timer', { interval: 1, unit: 'hours' }],
        put: ['queue-writer', { queue_name: 'letters' }],
        take: ['queue-reader', { queue_name: 'letters' }],
        rest: ['static-delay-node', { interval: 1, unit: 'hours' }],
      },
      settings: { drain_timeout_seconds: 0 },
      edges: 'tick>put take>rest',
    })
    const server = await RedisServer.start()
    onTestFinished(() => server.remove())
    const cwd = daemonFolder({ w: reading })
    const daemon = await DaemonProcess.ready({ cwd, args: ['--redis', server.url] })
    await cli(['queue', 'push', 'w', 'letters', '--data', '{"n":1}\n{"n":2}', '--redis', server.url], { cwd })
    saveWorkflow(cwd, 'w', ticking('w'))
    const refusal = await daemon.logsOf({
      msg: /^Cannot reload workflow "w", its old definition goes on/,
      workflow: 'w',
    })
    expect(refusal).toMatchObject({ level: 50, code: 'QUEUE_ORPHANED', msg: expect.stringContaining('"letters"') })
    expect((await daemon.get('/health/ready')).status).toBe(200)
  })

  it('SIGHUP takes over the log level, and says what takes a restart', async () => {
    const cwd = daemonFolder({}, { 'theoneeye.yaml': 'log: { level: info }' })
    const daemon = await DaemonProcess.ready({ cwd })
    writeFileSync(join(cwd, 'theoneeye.yaml'), 'log: { level: debug }\nlease_seconds: 5\n')
    daemon.signal('SIGHUP')
    await daemon.logs(/"log\.level" is now "debug"/)
    await daemon.logs(/"lease_seconds" has changed; that takes a restart/)
    // no signal: the file itself is watched
    writeFileSync(join(cwd, 'theoneeye.yaml'), 'log: { level: loud }')
    await daemon.logs(/the old configuration goes on.*log\.level: is "loud"/s)
  })
})

it('the service manager hears when it is ready, lives, reloads and stops', async () => {
  const socket = await NotifySocket.open()
  const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '200000' }
  const cwd = daemonFolder({ ticking: ticking('ticking') })
  const daemon = await DaemonProcess.ready({ cwd, env })
  expect(await socket.until(message => message.startsWith('READY=1'))).toContain('STATUS=1 workflow: 1 running')
  await socket.until(message => message === 'WATCHDOG=1')
  daemon.signal('SIGHUP')
  await socket.until(message => message.startsWith('RELOADING=1;MONOTONIC_USEC='))
  daemon.signal('SIGTERM')
  await socket.until(message => message.startsWith('STOPPING=1'))
  expect(await daemon.exit).toBe(0)
})
