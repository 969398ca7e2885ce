/** From a dead letter in production to a green scenario, as the README tells it, word for word; and from single items. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { cli, repository, temporaryFolder } from '../support/cli.ts'
import { sketch } from '../support/engine-bench.ts'

const chapter =
  readFileSync(join(repository, 'README.md'), 'utf8')
    .split('\n### From a dead letter to a test\n')[1]
    ?.split('\n#')[0] ?? ''

/** A folder in which `npx theoneeye` is this checkout's. */
function project(): string {
  const cwd = temporaryFolder()
  mkdirSync(join(cwd, 'node_modules/.bin'), { recursive: true })
  const program = `#!/bin/sh\nexec "${process.execPath}" "${join(repository, 'dist/daemon/bin.js')}" "$@"\n`
  writeFileSync(join(cwd, 'node_modules/.bin/theoneeye'), program, { mode: 0o755 })
  return cwd
}

const broken = (expression: string) => ({
  ...sketch({
    id: 'w',
    nodes: {
      count: ['counter', { min_value: 0, max_value: 3 }],
      out: ['queue-writer', {}],
      take: ['queue-reader', {}],
      ask: ['http-request', { url: 'http://127.0.0.1:9/{{ data.counter.current }}' }],
      more: ['data-transformer', { output_template: expression, overwrite: false }],
      done: ['queue-writer', { queue_name: 'done' }],
    },
    edges: 'count>out out>take take>ask ask>more more>done',
  }),
})

async function recorded(expression: string): Promise<{ cwd: string; letters: JsonObject[] }> {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'w.json'), JSON.stringify(broken(expression)))
  await cli(['run', 'w.json', '--trace', 't.jsonl', '--allow-dead-letters'], { cwd })
  return { cwd, letters: (await cli(['dlq', 'list', 'w', '--json'], { cwd })).lines }
}

describe('trace to-scenario', () => {
  it('does what the README says: dead letter, scenario, fix, green', () => {
    const cwd = project()
    cpSync(join(repository, 'fixtures/orders'), join(cwd, 'fixtures/orders'), { recursive: true })
    const lines = /```sh\n([\s\S]*?)```/.exec(chapter)?.[1]?.trimEnd().split('\n') ?? []
    expect(lines.length).toBeGreaterThanOrEqual(6)
    const env = { PATH: process.env.PATH ?? '', HOME: cwd }
    const codes = lines.map(line => {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { cwd, env, encoding: 'utf8' })
      return { line, status, said: `${stdout}${stderr}` }
    })
    const wanted = lines.map(line => (line.includes('# fails') ? 1 : 0))
    expect(
      codes.map(({ status }) => status),
      codes.map(({ line, said }) => `${line}\n${said}`).join('\n'),
    ).toEqual(wanted)
    expect(wanted).toContain(1)
  }, 120_000)

  it('holds the loop, the item and what the outside answered; without a file, the recorded workflow too', async () => {
    const { cwd, letters } = await recorded('{"x": "{{ 6 // data.counter.current }}"}')
    expect(letters).toHaveLength(1)
    const id = letters[0]?.id as string
    const made = await cli(['trace', 'to-scenario', 't.jsonl', '--dead-letter', id, '--out', 's/zero.yaml'], { cwd })
    expect(made.code, made.stderr).toBe(0)
    const text = readFileSync(join(cwd, 's/zero.yaml'), 'utf8')
    expect(text).toContain('GET http://127.0.0.1:9/0')
    expect(text).toContain('take > ask')
    expect(text).not.toContain('type: counter')
    expect((await cli(['sim', 's/zero.yaml'], { cwd })).code).toBe(1)
    const item = (letters[0] as { item: { id: string } }).item.id
    const byItem = await cli(
      ['trace', 'to-scenario', 't.jsonl', '--item', item, '--workflow', 'w.json', '--out', 's/item.yaml'],
      { cwd },
    )
    expect(byItem.code, byItem.stderr).toBe(0)
    expect(readFileSync(join(cwd, 's/item.yaml'), 'utf8')).toMatch(/^workflow: \.\.\/w\.json\nonly: take$/m)
    expect((await cli(['sim', 's/item.yaml'], { cwd })).code).toBe(1)
    writeFileSync(join(cwd, 'w.json'), JSON.stringify(broken('{"x": "{{ data.counter.current }}"}')))
    const green = await cli(['sim', 's/item.yaml'], { cwd })
    expect(green.code, green.stderr).toBe(0)
  })

  it.each([
    [[], /give --dead-letter ID or --item ID/],
    [['--item', 'a', '--dead-letter', 'b'], /give --dead-letter ID or --item ID/],
    [['--item', 'nobody'], /no iteration in "t\.jsonl" has to do with item "nobody"/],
    [['--dead-letter', 'dl-nobody'], /has to do with dead letter "dl-nobody"/],
  ])('to-scenario %j: exit code 2, with what to do', async (args, says) => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'w.json'), JSON.stringify(broken('{}')))
    const header = { kind: 'header', format: 1, engine: '1', source: 'recorded', workflow: broken('{}'), hash: '' }
    writeFileSync(join(cwd, 't.jsonl'), `${JSON.stringify(header)}\n`)
    const { code, stderr, stdout } = await cli(['trace', 'to-scenario', 't.jsonl', ...args], { cwd })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(says)
  })

  it('says which loops there are when a scenario names another', async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'w.json'), JSON.stringify(broken('{}')))
    writeFileSync(join(cwd, 's.yaml'), 'why: x\nworkflow: w.json\nonly: other\nmust: {}\n')
    const { code, stderr } = await cli(['sim', 's.yaml'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toContain('Cannot find loop "other" of workflow "w": it has count, take')
  })
})
