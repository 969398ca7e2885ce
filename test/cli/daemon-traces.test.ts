/** What a daemon records, from all pools and on both kinds of Redis, replays identical; and is a page, and follows an item. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Json, JsonObject } from '../../engine/json.ts'
import { cli, repository } from '../support/cli.ts'
import { DaemonProcess, daemonFolder } from '../support/daemon-process.ts'
import { sketch } from '../support/engine-bench.ts'
import { RedisServer } from '../support/redis-server.ts'

const people = Array.from({ length: 200 }, (_, i) => `person ${i},p${i}@mail.test`)
const csv = ['name,email', ...people].join('\n')

const workflow: JsonObject = {
  ...sketch({
    id: 'people',
    nodes: {
      read: ['file-reader', { file_path: 'people.csv', format: 'csv' }],
      out: ['queue-writer', { queue_name: 'q' }],
      take: ['queue-reader', { queue_name: 'q' }],
      greet: [
        'data-transformer',
        { output_template: '{"hello": "{{ data.file_reader.item.name | upper }}"}', overwrite: false },
      ],
      on: ['queue-writer', { queue_name: 'r' }],
      last: ['queue-reader', { queue_name: 'r' }],
      odd: ['if-condition', { condition_expression: '{{ data.file_reader.index % 2 == 1 }}' }],
      save: ['file-writer', { file_path: 'out/{{ data.file_reader.index }}.json', mode: 'w' }],
    },
    edges: 'read>out take>greet greet>on last>odd odd:yes>save',
  }),
  settings: { loops: { take: { pool: 'thread' }, last: { pool: 'process' } } },
}

async function record(redis: readonly string[]): Promise<string> {
  const cwd = daemonFolder({ people: workflow }, { 'files/people.csv': csv })
  const env = { THEONEEYE_TRACE_DIR: 'traces', THEONEEYE_TRACE_REDACT: '[email]' }
  const daemon = await DaemonProcess.ready({ cwd, env, args: redis })
  await daemon.logs(/^workflow completed/)
  daemon.signal('SIGTERM')
  expect(await daemon.exit, daemon.stderr).toBe(0)
  return cwd
}

describe('a daemon with trace.dir', () => {
  it.each(['embedded', 'real'])(
    'records what replays identical, from all pools, on the %s Redis',
    async kind => {
      const server = kind === 'real' ? await RedisServer.start() : undefined
      onTestFinished(async () => void (await server?.remove()))
      const cwd = await record(server === undefined ? [] : ['--redis', server.url])
      const [name = '', ...others] = readdirSync(join(cwd, 'traces'))
      expect([name, others]).toEqual([expect.stringMatching(/^people\.\d{8}T\d{9}Z\..*\.jsonl$/), []])
      const text = readFileSync(join(cwd, 'traces', name), 'utf8')
      expect(text.includes('"email":"p7@mail.test"')).toBe(false)
      expect(text.includes('"email":"[redacted]"')).toBe(true)
      const replayed = await cli(['replay', 'traces', '--json'], { cwd })
      expect(replayed.code, replayed.stdout.slice(0, 2_000)).toBe(0)
      const { iterations, identical } = replayed.lines.at(-1) as Record<string, number>
      expect(identical).toBe(iterations)
      expect(iterations).toBeGreaterThanOrEqual(600)
      const committed = text.split('\n').filter(each => each.includes('"kind":"commit"'))
      expect(committed.length).toBeGreaterThanOrEqual(600)
      const report = await cli(['report', `traces/${name}`, '--json'], { cwd })
      expect(report.lines[0]).toMatchObject({ iterations: 600, failed: 0 })
      const item = text
        .split('\n')
        .map(each => (each === '' ? {} : (JSON.parse(each) as JsonObject)))
        .find(each => each.loop === 'last')
      const { id } = (item?.entry as { item: { id: string } } | undefined)?.item ?? { id: '' }
      const followed = await cli(['replay', 'traces', '--from-item', id], { cwd })
      expect(followed.stdout.match(/identical/g)?.length).toBe(4)
    },
    60_000,
  )

  it('records requests of api workflows; a folder of several workflows is replayed against an edit of one', async () => {
    const price = JSON.parse(readFileSync(join(repository, 'fixtures/api/price.json'), 'utf8')) as JsonObject
    const cwd = daemonFolder({ people: workflow, price }, { 'files/people.csv': csv })
    const daemon = await DaemonProcess.ready({ cwd, env: { THEONEEYE_TRACE_DIR: 'traces' } })
    await daemon.logs(/^workflow completed/)
    const ask = (amount: Json) => {
      const headers = { 'content-type': 'application/json' }
      return fetch(`${daemon.url}/api/workflow/price/execute`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ amount }),
      })
    }
    expect((await Promise.all([12, 3, 'x'].map(ask))).map(({ status }) => status)).toEqual([200, 200, 400])
    daemon.signal('SIGTERM')
    await daemon.exit
    const all = await cli(['replay', 'traces', '--json'], { cwd })
    expect(all.code, all.stderr).toBe(0)
    writeFileSync(join(cwd, 'new.json'), JSON.stringify(price).replace('data.amount * 9', 'data.amount * 8'))
    const edited = await cli(['replay', 'traces', '--workflow', 'new.json', '--json'], { cwd })
    expect(edited.lines.at(-1)).toMatchObject({ iterations: 3, identical: 2, diverged: 1 })
    writeFileSync(join(cwd, 'other.json'), JSON.stringify({ ...price, id: 'other' }))
    const other = await cli(['replay', 'traces', '--workflow', 'other.json'], { cwd })
    expect([other.code, other.stderr]).toEqual([2, expect.stringContaining('no trace of workflow "other"')])
  }, 60_000)
})
