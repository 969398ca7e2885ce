/** `sim` from outside: shapes, exit codes, one hash for one seed; and everything that a run recommends trying next works. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cli, repository, temporaryFolder } from '../support/cli.ts'

const threeLoops = join(repository, 'fixtures/workflows/three-loops.json')

describe('sim', () => {
  it('gives one trace hash for one seed, and another for another', async () => {
    const cwd = temporaryFolder()
    const hashes = []
    for (const seed of ['0x2a', '0x2a', '0x2b']) {
      const { code, lines, stderr } = await cli(['sim', threeLoops, '--seeds', '5', '--seed', seed, '--json'], { cwd })
      expect(code, stderr).toBe(0)
      expect(lines).toHaveLength(1)
      hashes.push(lines[0]?.trace_hash)
    }
    expect(hashes[1]).toBe(hashes[0])
    expect(hashes[2]).not.toBe(hashes[0])
  })

  it('ends with the summary of the contract', async () => {
    const { lines } = await cli(['sim', threeLoops, '--json', '--seeds', '3'], { cwd: temporaryFolder() })
    expect(lines.at(-1)).toEqual({
      type: 'summary',
      runs: 3,
      failures: 0,
      inconclusive: 0,
      simulated_ms: expect.any(Number),
      iterations: expect.any(Number),
      commits: expect.any(Number),
      faults_applied: expect.any(Object),
      median_commits: expect.any(Number),
      median_faults: expect.any(Number),
      crashes: expect.any(Number),
      wall_ms: expect.any(Number),
      trace_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      never_reached: expect.any(Array),
    })
  })

  it.each([
    [['sim', 'nowhere.json']],
    [['sim', threeLoops, '--seeds', 'many']],
    [['sim', threeLoops, '--faults', 'locusts']],
    [['sim', threeLoops, '--frob']],
    [['sim', threeLoops, '--workers', '99999']],
    [['sim', threeLoops, '--time-budget', '-5s']],
    [['sim', threeLoops, '--seeds', '1', '--out', threeLoops]],
    [['sim', threeLoops, '--seeds', '1', '--junit', 'nowhere/junit.xml']],
    [['sim', '--plan', 'nowhere.json']],
    [['sim', join(repository, 'package.json')]],
  ])('%j exits 2 and says why', async args => {
    const { code, stdout, stderr } = await cli(args, { cwd: temporaryFolder() })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).not.toBe('')
    expect(stderr).not.toMatch(/\n\s+at /)
  })
})

const story = (nodes: string, rest: string): string => `why: to see an exit code
workflow:
  nodes:
    - { id: count, type: counter, form: { min_value: 1, max_value: 9 } }
    - { id: out, type: queue-writer, form: { queue_name: q } }
${nodes}
${rest}`

describe('a story that', () => {
  it.each<[string, string, RegExp]>([
    ['is broken YAML', 'why: x\nworkflow:\n  nodes: [{id: a\n', /Cannot read scenario "s.yaml":\n {2}line 4/],
    ['has an unknown fault', 'why: x\nworkflow: w.json\nfaults: [flood]\nmust: {}', /line 3.*no kind of fault "flood"/],
    [
      'names no workflow',
      'why: x\nworkflow: w.json\nmust: {}',
      /"s.yaml" names the workflow "w.json"; there is no w.json/,
    ],
  ])('%s exits 2 and says where', async (_, text, said) => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 's.yaml'), text)
    const { code, stdout, stderr } = await cli(['sim', 's.yaml'], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(said)
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  it.each<[string, string, number]>([
    ['holds', story("  edges: ['count > out']", 'must: { queues: { q: 9 } }'), 0],
    ['does not hold', story("  edges: ['count > out']", 'must: { queues: { q: 8 } }'), 1],
    [
      'never ends, for a queue is full and nobody reads',
      story("  edges: ['count > out']\n  settings: { queues: { max_length: 2 } }", 'must: {}'),
      3,
    ],
  ])('%s', async (_, text, expected) => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 's.yaml'), text)
    const { code, lines } = await cli(['sim', 's.yaml', '--json'], { cwd })
    expect(code).toBe(expected)
    expect(lines.at(-1)).toMatchObject({ type: 'summary', failures: expected === 0 ? 0 : 1 })
    if (expected !== 0)
      expect(lines[0]).toMatchObject({ type: 'failure', invariant: expected === 1 ? 'check' : 'stuck' })
  })
})

describe('Ctrl-C', () => {
  it('tells what was done so far, and exits as shells say of it', async () => {
    let isSent = false
    const cwd = temporaryFolder()
    const { code, stdout } = await cli(['sim', threeLoops, '--seeds', '100000', '--workers', '1'], {
      cwd,
      onOutput: (_, pid) => {
        if (!isSent) setTimeout(() => process.kill(pid, 'SIGINT'), 2_000)
        isSent = true
      },
    })
    expect(code).toBe(130)
    expect(stdout).toMatch(/\d+ runs, 0 failures/)
    expect(stdout).toContain('interrupted: what had not run yet is not known to hold')
  })
})

describe('what a run recommends', () => {
  it('works, each command as it is printed', async () => {
    const cwd = temporaryFolder()
    mkdirSync(join(cwd, 'orders'))
    for (const name of ['orders.json', 'orders.csv']) {
      copyFileSync(join(repository, 'fixtures/orders', name), join(cwd, 'orders', name))
    }
    const { stdout } = await cli(['run', 'orders/orders.json', '--files', 'orders', '--data', 'place'], { cwd })
    const commands = [...stdout.matchAll(/^ {2}npx theoneeye (.*?) {2}/gm)].map(match => match[1] as string)
    expect(commands.map(command => command.split(' ').slice(0, 2).join(' '))).toEqual([
      'dlq list',
      'queue peek',
      'sim orders/orders.json',
    ])
    for (const command of commands) {
      const result = await cli(command.split(' '), { cwd })
      expect(result.code, command + result.stderr).toBe(0)
      expect(result.stdout).not.toBe('')
    }
  })
})
