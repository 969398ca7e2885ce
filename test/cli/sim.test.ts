/** `sim` from outside: shapes, exit codes, one hash for one seed; and everything that a run recommends trying next works. */
import { copyFileSync, mkdirSync } from 'node:fs'
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
    [['sim', join(repository, 'package.json')]],
  ])('%j exits 2 and says why', async args => {
    const { code, stdout, stderr } = await cli(args, { cwd: temporaryFolder() })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).not.toBe('')
    expect(stderr).not.toMatch(/\n\s+at /)
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
