/** The daemon as a library: its example as it stands in the doc comment, and what it promises beside. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Daemon, startDaemon } from '../../daemon/start-daemon.ts'
import { pinoLog } from '../../daemon/system-ports.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { repository } from '../support/cli.ts'
import { daemonFolder } from '../support/daemon-process.ts'
import { sketch } from '../support/engine-bench.ts'
import { errorOf } from '../support/temp-dir.ts'

const quiet = pinoLog({ destination: { write: () => undefined } })
// a timer that were left behind would hold the process up for an hour
const settings = { drain_timeout_seconds: 3_600 }
const hourly = sketch({ id: 'hourly', settings, nodes: { tick: ['timer', { interval: 1, unit: 'hours' }] }, edges: '' })

function exampleOf(file: string): string {
  const lines = readFileSync(join(repository, file), 'utf8').split('\n')
  const from = lines.findIndex(line => line.includes('@example')) + 1
  const length = lines.slice(from).findIndex(line => line.includes('*/'))
  return lines
    .slice(from, from + length)
    .map(line => line.replace(/^ \* ?/, ''))
    .join('\n')
}

it('the example of its doc comment runs, drains and ends', async () => {
  const cwd = daemonFolder({ hourly })
  const library = join(repository, 'dist/daemon/index.js')
  writeFileSync(
    join(cwd, 'example.mjs'),
    `import { startDaemon } from '${library}'\n${exampleOf('daemon/start-daemon.ts')}\n`,
  )
  const child = spawn(process.execPath, ['example.mjs'], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  expect(said).toMatch(/^health at http:\/\/127\.0\.0\.1:\d+\/health\/ready\n$/)
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

it('tells every event, what runs, and when it has ended', async () => {
  const events: EngineEvent[] = []
  const cwd = daemonFolder({ hourly })
  const daemon = await startDaemon({ listen: '127.0.0.1:0' }, { cwd, log: quiet, onEvent: event => events.push(event) })
  onTestFinished(() => daemon.kill())
  expect(events[0]).toMatchObject({ type: 'workflow_started', workflow_id: 'hourly' })
  expect(daemon.status()).toMatchObject([{ workflow: 'hourly', status: 'running', loops: [{ id: 'tick' }] }])
  expect(daemon.readiness()).toMatchObject({ ready: true, reasons: [] })
  await Promise.all([daemon.stop(), daemon.stop()])
  expect(await daemon.done).toBe('stopped')
  expect(daemon.readiness().ready).toBe(false)
  await daemon.kill()
})

it('may be started again in the same process, on the same data', async () => {
  const cwd = daemonFolder({ hourly })
  const start = (): Promise<Daemon> => startDaemon({ listen: '127.0.0.1:0' }, { cwd, log: quiet })
  await (await start()).kill()
  const second = await start()
  expect(second.status()[0]?.run).toBe('run-1')
  await second.stop()
})

it('rejects bad configuration, and leaves nothing open when it cannot begin', async () => {
  const cwd = daemonFolder({ hourly })
  const bad = await errorOf(() => startDaemon({ listen: '0.0.0.0' }, { cwd, log: quiet }))
  expect(bad).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('the configuration: listen: ') })
  const first = await startDaemon({ listen: '127.0.0.1:0' }, { cwd, log: quiet })
  const taken = { listen: new URL(first.url).host, data: 'other' }
  expect(await errorOf(() => startDaemon(taken, { cwd, log: quiet }))).toMatchObject({ code: 'USAGE' })
  await first.stop()
  // the one that failed has let go of its data directory
  await (await startDaemon(taken, { cwd, log: quiet })).stop()
})
