/** `check` and bad input: what is wrong, where, what to do; exit code 2; never a stack trace. */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { cli, repository, temporaryFolder } from '../support/cli.ts'

const orders = join(repository, 'fixtures/orders/orders.json')
const fixtures = join(repository, 'fixtures/workflows')

const counter = { id: 'n1', type: 'counter', data: { form: { min_value: 1, max_value: 3 } } }
const log = { id: 'n2', type: 'log', data: { form: { message: 'hello' } } }
const edge = { id: 'e1', source: 'n1', target: 'n2' }

function workflow(change: JsonObject): string {
  return JSON.stringify({ id: 'w', nodes: [counter, log], edges: [edge], ...change })
}

function broken(text: string): { cwd: string; file: string } {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'w.json'), text)
  return { cwd, file: 'w.json' }
}

const badInputs: [string, string, RegExp][] = [
  ['a truncated file', workflow({}).slice(0, -20), /line 1, column/],
  ['a wrong shape', workflow({ nodes: 7 }), /\/nodes/],
  ['an unknown type', workflow({ nodes: [counter, { ...log, type: 'logg' }] }), /\/nodes\/1\/type.*"logg".*"log"/],
  ['a form error', workflow({ nodes: [{ ...counter, data: { form: { step: 'x' } } }, log] }), /\/nodes\/0\/.*step/],
  ['an edge to nowhere', workflow({ edges: [{ ...edge, target: 'n9' }] }), /\/edges\/0.*"n9"/],
  ['a cycle', workflow({ edges: [edge, { id: 'e2', source: 'n2', target: 'n2' }] }), /cycle.*n2/],
]

describe('bad input', () => {
  it.each(badInputs)('%s fails `check` with 2 and says what and where', async (_, text, says) => {
    const { cwd, file } = broken(text)
    const result = await cli(['check', file], { cwd })
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toMatch(says)
    expect(result.stderr).not.toMatch(/\n\s+at /)
  })

  it.each(badInputs)('%s fails `run` with 2 and says what and where', async (_, text, says) => {
    const { cwd, file } = broken(text)
    const result = await cli(['run', file, '--json'], { cwd })
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toMatch(says)
    expect(result.stderr).not.toMatch(/\n\s+at /)
  })

  it.each([
    [['check', 'nowhere.json'], /nowhere\.json.*no such file/],
    [['run', 'nowhere.json'], /nowhere\.json.*no such file/],
    [['run', orders, '--nodes', 'nowhere'], /custom nodes.*nowhere/],
    [['nodes', 'countr'], /countr.*counter/],
  ])('%j fails with 2', async (args, says) => {
    const result = await cli(args, { cwd: temporaryFolder() })
    expect(result.code).toBe(2)
    expect(result.stderr).toMatch(says)
    expect(result.stderr).not.toMatch(/\n\s+at /)
  })

  it('is reported file by file; the good ones are checked too', async () => {
    const { cwd, file } = broken('{')
    const result = await cli(['check', file, orders, '--json'], { cwd })
    expect(result.code).toBe(2)
    expect(result.lines.map(line => [line.type, line.file, line.ok])).toEqual([
      ['problem', file, undefined],
      ['summary', file, false],
      ['summary', orders, true],
    ])
  })
})

describe('bad usage', () => {
  it.each([
    [[]],
    [['frobnicate']],
    [['check']],
    [['run']],
    [['run', orders, '--frob']],
    [['run', orders, '--timeout', 'soon']],
    [['run', orders, '--timeout', '-1']],
    [['run', orders, '--fresh', '--adopt']],
    [['run', orders, '--pool', 'fibre']],
    [['queue']],
    [['queue', 'peek', 'orders']],
    [['queue', 'push', 'orders', 'q', '--data', '{']],
    [['queue', 'push', 'orders', 'q', '--data', '7']],
    [['dlq', 'show', 'orders']],
    [['run', orders, '--redis', 'http://127.0.0.1']],
  ])('%j exits 2, says so on stderr, nothing on stdout', async args => {
    const result = await cli(args, { cwd: temporaryFolder() })
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).not.toBe('')
    expect(result.stderr).not.toMatch(/\n\s+at /)
  })

  it.each([
    [['--help']],
    [['run', '--help']],
    [['queue', '--help']],
    [['queue', 'push', '--help']],
    [['sim', '--help']],
    [['--version']],
  ])('%j exits 0', async args => {
    const result = await cli(args, { cwd: temporaryFolder() })
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).not.toBe('')
  })
})

describe('check --json', () => {
  it('prints problems with pointer, code and message, then a summary', async () => {
    const { cwd, file } = broken(workflow({ nodes: [counter, { ...log, type: 'lgo' }] }))
    const { lines } = await cli(['check', file, '--json'], { cwd })
    const [problem, summary] = lines
    expect(problem).toMatchObject({ type: 'problem', pointer: '/nodes/1/type', code: expect.any(String) })
    expect(summary).toMatchObject({ type: 'summary', ok: false, loops: [], queues: [] })
  })

  it('describes the loops and queues of the main job', async () => {
    const { code, lines } = await cli(['check', orders, '--json'], { cwd: temporaryFolder() })
    expect(code).toBe(0)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ type: 'summary', ok: true, warnings: [] })
    expect(lines[0]?.loops).toContainEqual({
      id: 'take-express',
      producer_type: 'queue-reader',
      nodes: ['take-express', 'save-express'],
      pool: 'async',
      replicas: 1,
      background: false,
    })
    expect(lines[0]?.queues).toContainEqual({ name: 'express', writers: ['to-express'], readers: ['take-express'] })
  })

  it('accepts every fixture', async () => {
    const files = readdirSync(fixtures)
      .filter(name => name.endsWith('.json'))
      .map(name => join(fixtures, name))
    const { code, stderr } = await cli(['check', ...files], { cwd: temporaryFolder() })
    expect(code, stderr).toBe(0)
  })
})

describe('nodes --json', () => {
  it('describes each type in one line', async () => {
    const { code, lines } = await cli(['nodes', '--json'], { cwd: temporaryFolder() })
    expect(code).toBe(0)
    expect(lines.map(line => line.type)).toContain('counter')
    for (const line of lines) {
      expect(Object.keys(line)).toEqual(
        expect.arrayContaining([
          'type',
          'aliases',
          'kind',
          'category',
          'label',
          'description',
          'pool',
          'effects',
          'ports',
          'form',
          'workflow_types',
        ]),
      )
    }
  })

  it('finds a type by its alias', async () => {
    const { lines } = await cli(['nodes', 'queue-node-writer', '--json'], { cwd: temporaryFolder() })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({ type: 'queue-writer', kind: 'non-blocking' })
  })
})
