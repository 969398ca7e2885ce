/** `theoneeye dev` as somebody meets it who writes a workflow: edit, run a node, see; break it, mend it; start it; leave. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { cli, repository, temporaryFolder } from '../support/cli.ts'
import { DaemonProcess } from '../support/daemon-process.ts'
import { sketch } from '../support/engine-bench.ts'

const orders = (template: string) =>
  sketch({
    id: 'orders',
    nodes: {
      count: ['counter', { min_value: 1, max_value: 3 }],
      price: ['data-transformer', { output_template: template, overwrite: true }],
      save: ['file-writer', { file_path: 'order-{{ iteration.iteration }}.json', mode: 'w' }],
    },
    edges: 'count>price price>save',
  })

const greeting = (
  text: string,
) => `import { BlockingNode, defineForm } from ${JSON.stringify(join(repository, 'dist/engine/index.js'))}
export class Greet extends BlockingNode {
  static identifier = 'greet'
  static form = defineForm({})
  async execute(input) { return { ...input, data: { greeting: ${JSON.stringify(text)} } } }
}
`

type Session = { cwd: string; dev: DaemonProcess; url: string; save(name: string, json: JsonObject | string): void }

async function session(): Promise<Session> {
  const cwd = temporaryFolder()
  mkdirSync(join(cwd, 'nodes'))
  const save = (name: string, json: JsonObject | string): void =>
    writeFileSync(join(cwd, name), typeof json === 'string' ? json : JSON.stringify(json))
  save('orders.json', orders('{"n": "{{ data.n * 2 }}"}'))
  save('package.json', { name: 'mine' })
  save('nodes/greet.mjs', greeting('hello'))
  const dev = new DaemonProcess({ cwd, command: 'dev', args: ['--json', '--listen', '127.0.0.1:0'] })
  const { url } = await dev.logsOf({ type: 'ready' })
  return { cwd, dev, url: url as string, save }
}

async function ask(url: string, line: string, body?: JsonObject, headers: Record<string, string> = {}) {
  const [method = 'GET', path = '/'] = line.split(' ')
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const type = { 'content-type': 'application/json', connection: 'close' }
  const answer = await fetch(`${url}/api${path}`, { method, headers: { ...type, ...headers }, ...sent })
  const text = await answer.text()
  return {
    status: answer.status,
    etag: answer.headers.get('etag') ?? '',
    body: text === '' ? undefined : JSON.parse(text),
  }
}

const runPrice = { workflow_id: 'orders', node_id: 'price', input_data: { n: 21 } }

describe('dev', () => {
  it('runs a node when asked, and what was edited since; nothing runs on its own', async () => {
    const { cwd, dev, url, save } = await session()
    expect((await ask(url, 'POST /dev/execute', runPrice)).body).toMatchObject({ success: true, output: { n: 42 } })
    expect((await ask(url, 'GET /workflow')).body).toMatchObject([
      { id: 'orders', runtime_state: 'stopped', read_only: false },
    ])
    save('orders.json', orders('{"n": "{{ data.n * 3 }}"}'))
    await dev.logsOf({ message: /^loop changed/ })
    expect((await ask(url, 'POST /dev/execute', runPrice)).body).toMatchObject({ output: { n: 63 } })
    save('orders.json', '{"nodes": [')
    expect(await dev.logsOf({ level: 'error' })).toMatchObject({
      message: expect.stringMatching(/orders\.json cannot be loaded: .*is not JSON/),
    })
    // what it was goes on, and is not written over what somebody has just begun to write
    expect((await ask(url, 'POST /dev/execute', runPrice)).body).toMatchObject({ output: { n: 63 } })
    expect((await ask(url, 'PATCH /workflow/orders', { name: 'x' })).status).toBe(409)
    save('orders.json', orders('{"n": "{{ data.counter.current }}"}'))
    await dev.when(() => dev.lines.filter(({ message }) => /^loop changed/.test(String(message))).length === 2)
    expect((await ask(url, 'POST /workflow/orders/start_execution')).body).toMatchObject({ status: 'PENDING' })
    await dev.logsOf({ message: /^workflow completed/ })
    expect(JSON.parse(readFileSync(join(cwd, 'files/order-3.json'), 'utf8'))).toEqual({ n: 3 })
    dev.signal('SIGINT')
    expect(await dev.exit, dev.stderr).toBe(0)
    expect(dev.stderr).toBe('')
  })

  it('writes what is edited over HTTP back to the files, in their shape', async () => {
    const { cwd, url } = await session()
    const file = (name: string) => JSON.parse(readFileSync(join(cwd, name), 'utf8')) as JsonObject
    const { etag } = await ask(url, 'GET /workflow/orders')
    const edited = await ask(url, 'PATCH /workflow/orders', { name: 'All orders' }, { 'if-match': etag })
    expect(edited.status).toBe(200)
    expect(edited.etag).not.toBe(etag)
    expect(file('orders.json')).toEqual({ ...orders('{"n": "{{ data.n * 2 }}"}'), name: 'All orders' })
    const late = await ask(url, 'PATCH /workflow/orders', { name: 'Mine' }, { 'if-match': etag })
    expect([late.status, late.body.error_code]).toEqual([409, 'VERSION_CONFLICT'])
    const form = { node_id: 'price', form_values: { output_template: '{"n": "{{ data.n + 1 }}"}' } }
    const run = await ask(url, 'POST /workflow/orders/execute_and_save_node', { ...form, input_data: { n: 1 } })
    expect(run.body).toMatchObject({ success: true, output: { n: 2 } })
    expect(JSON.stringify(file('orders.json'))).toContain('data.n + 1')

    const made = await ask(url, 'POST /workflow', { id: 'new one', name: 'New', nodes: [], edges: [] })
    expect([made.status, file('new-one.json').id]).toEqual([201, 'new one'])
    expect((await ask(url, 'POST /workflow', { id: 'new one', nodes: [], edges: [] })).status).toBe(409)
    expect((await ask(url, 'POST /workflow/new%20one/deactivate')).status).toBe(409)
    expect((await ask(url, 'DELETE /workflow/new%20one')).status).toBe(204)
    expect(() => file('new-one.json')).toThrow('ENOENT')
  })

  it('takes over node classes when their files change; those that cannot be loaded are told', async () => {
    const { dev, url, save } = await session()
    const greet = async () => (await ask(url, 'POST /dev/execute', { type: 'greet' })).body.output
    expect(await greet()).toEqual({ greeting: 'hello' })
    save('nodes/greet.mjs', 'export class Greet extends')
    expect(await dev.logsOf({ level: 'error' })).toMatchObject({
      message: expect.stringMatching(/^the nodes before this change go on: .*greet\.mjs/),
    })
    expect(await greet()).toEqual({ greeting: 'hello' })
    save('nodes/greet.mjs', greeting('good morning'))
    await dev.logsOf({ message: /^nodes have changed/ })
    const again = () => dev.lines.filter(({ message }) => /^ready: /.test(String(message))).length === 2
    await dev.when(again)
    expect(await greet()).toEqual({ greeting: 'good morning' })
  })

  it('does what the README says, word for word', async () => {
    const cwd = temporaryFolder()
    cpSync(join(repository, 'fixtures/orders'), join(cwd, 'fixtures/orders'), { recursive: true })
    const chapter =
      readFileSync(join(repository, 'README.md'), 'utf8').split('\n## Develop\n')[1]?.split('\n## ')[0] ?? ''
    const [, given = ''] = /^npx theoneeye dev (.+)$/m.exec(chapter) ?? []
    const dev = new DaemonProcess({
      cwd,
      command: 'dev',
      args: [...given.split(' '), '--json', '--listen', '127.0.0.1:0'],
    })
    const { url } = await dev.logsOf({ type: 'ready' })
    const outputs: JsonObject[] = []
    for (const [, path = '', body = ''] of chapter.matchAll(/^curl -s http:\S+?\/api(\S+) .*-d '(.+)'$/gm)) {
      outputs.push((await ask(url as string, `POST ${path}`, JSON.parse(body) as JsonObject)).body)
    }
    expect(outputs).toMatchObject([
      { success: true, output: { file_reader: { index: 1 } } },
      { success: true, output: { order_id: expect.anything() } },
      { success: true, output: { switch: { route: expect.any(String) } } },
    ])
  })

  it.each([
    [['nowhere'], /"nowhere": it does not exist; name a folder/],
    [['--listen', '0.0.0.0:7878'], /other machines|this machine only/],
    [['--listen', 'here'], /HOST:PORT/],
  ])('dev %j: exit code 2, with what to do', async (args, says) => {
    const { code, stderr, stdout } = await cli(['dev', ...args], { cwd: temporaryFolder() })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(says)
  })
})
