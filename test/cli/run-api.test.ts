/** `run --input`: an `api` workflow, asked once. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cli, repository, temporaryFolder } from '../support/cli.ts'

const price = join(repository, 'fixtures/api/price.json')

describe('run --input', () => {
  it.each([
    ['its input', '{"amount": 12}', { total: 108, discount: true }],
    ['an input with a time-out', '{"input": {"amount": 2}, "timeout": 5}', { total: 20 }],
  ])('answers %s on stdout', async (_name, input, output) => {
    const { code, stdout } = await cli(['run', price, '--input', input], { cwd: temporaryFolder() })
    expect({ code, output: JSON.parse(stdout) }).toEqual({ code: 0, output })
  })

  it('reads the input from a file, and ends with an answer and a summary for programs', async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'order.json'), '{"amount": 1}')
    const { code, stdout } = await cli(['run', price, '--input', '@order.json', '--json'], { cwd })
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(code).toBe(0)
    expect(lines.slice(-2)).toMatchObject([
      { type: 'answer', success: true, workflow_id: 'price', output: { total: 10 } },
      { type: 'summary', status: 'completed', loops: { ask: { iterations: 1, failed: 0, dead_letters: 0 } } },
    ])
  })

  it.each([
    ['an answer', '{"amount": 12}'],
    ['a failure', '{"amount": "x"}'],
  ])(
    'records %s, which replays identical, and otherwise against a workflow that answers otherwise',
    async (_, input) => {
      const cwd = temporaryFolder()
      await cli(['run', price, '--input', input, '--trace', 't.jsonl'], { cwd })
      const replayed = await cli(['replay', 't.jsonl'], { cwd })
      expect(replayed, replayed.stderr).toMatchObject({ code: 0, stdout: 'replayed 1 iterations, identical\n' })
      const other = readFileSync(price, 'utf8').replaceAll('data.amount', 'data.amounts')
      writeFileSync(join(cwd, 'other.json'), other)
      expect((await cli(['replay', 't.jsonl', '--workflow', 'other.json'], { cwd })).code).toBe(1)
    },
  )

  it('fails with 1 and names the node', async () => {
    const { code, stderr } = await cli(['run', price, '--input', '{"amount": "x"}'], { cwd: temporaryFolder() })
    expect(code).toBe(1)
    expect(stderr).toMatch(/failed at node "large"/)
  })

  it.each([
    [[price, '--input', '{bad'], /--input.*line 1/],
    [[price, '--input', '@nowhere'], /--input.*nowhere/],
    [[join(repository, 'fixtures/workflows/counter-log.json'), '--input', '{}'], /type "production"/],
  ])('%j fails with 2', async (args, says) => {
    const { code, stderr } = await cli(['run', ...args], { cwd: temporaryFolder() })
    expect(code).toBe(2)
    expect(stderr).toMatch(says)
  })
})
