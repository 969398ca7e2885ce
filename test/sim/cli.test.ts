import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { FlowEngine } from '../../engine/flow-engine.ts'
import type { JsonObject } from '../../engine/json.ts'
import { withResult } from '../../engine/node/node.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { Counter } from '../../engine/nodes/producers/counter.ts'
import { keepFailure } from '../../sim/artifacts.ts'
import { simCommand } from '../../sim/cli.ts'
import { planText } from '../../sim/explore.ts'
import { describeFailure, exitCodes } from '../../sim/report.ts'
import { fault, planOf, twoLoops, workflowOf } from './support.ts'

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'theoneeye-sim-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  return dir
}

function fileOf(json: object): string {
  const file = join(folder(), 'w.json')
  writeFileSync(file, JSON.stringify(json))
  return file
}

/** Every run replays these first. */
const found = readdirSync('scenarios/found').length

function failures(name: string): string {
  return join('.theoneeye/failures', name)
}

async function sim(...words: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = []
  const out = {
    format: 'text' as const,
    text: (line = '') => void lines.push(line),
    json: () => undefined,
    progress: () => undefined,
  }
  return {
    code: await simCommand(['--workers', '0', ...words], { out, openRegistry: async () => defaultRegistry() }),
    lines,
  }
}

describe('sim', () => {
  it('says what it did, with --json in one line', async () => {
    const { code, lines } = await sim(fileOf(twoLoops(4)), '--seeds', '5', '--json')
    expect([code, lines.length]).toEqual([0, 1])
    const summary = JSON.parse(lines[0] as string) as JsonObject
    expect(summary).toMatchObject({ type: 'summary', runs: 5 + found, failures: 0, inconclusive: 0 })
    const medians = ['median_commits', 'median_faults']
    const fields = [
      'commits',
      'crashes',
      'failures',
      'faults_applied',
      'inconclusive',
      'iterations',
      ...medians,
      'never_reached',
    ]
    expect(Object.keys(summary).sort()).toEqual([...fields, 'runs', 'simulated_ms', 'trace_hash', 'type', 'wall_ms'])
    expect(summary.iterations).toBeGreaterThanOrEqual(40)
  })

  it('begins with the seed and what was drawn for it, and ends with the hash', async () => {
    const { lines } = await sim(fileOf(twoLoops(2)), '--seeds', '2', '--seed', '0xa')
    expect(lines[found]).toMatch(/^seed 0xa: .*latency up to \d+ ms.* faults planned: /)
    expect(lines.at(-1)).toMatch(/^trace hash [0-9a-f]{64}$/)
  })

  it('gives the same hash for the same command, and none with a time budget', async () => {
    const file = fileOf(twoLoops(2))
    const hashOf = async (...more: string[]) => {
      const { lines } = await sim(file, '--seeds', '4', '--json', ...more)
      return (JSON.parse(lines[0] as string) as JsonObject).trace_hash
    }
    expect(await hashOf()).toBe(await hashOf())
    expect(await hashOf('--time-budget', '60s')).toBeNull()
  })

  it('repeats a stored plan', async () => {
    const file = join(folder(), 'plan.json')
    writeFileSync(file, planText(planOf(twoLoops(3), [fault('crash-applied', 'commit in 1')])))
    const { code, lines } = await sim('--plan', file, '--json')
    expect([code, JSON.parse(lines[0] as string)]).toMatchObject([
      0,
      { runs: 1, crashes: 1, faults_applied: { 'crash-applied': 1 } },
    ])
  })

  it('hands over the files that a workflow reads', async () => {
    const nodes = [
      ['read', 'file-reader', { file_path: 'in.txt' }],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ] as const
    const file = fileOf(
      workflowOf(
        nodes.map(([id, type, form]) => [id, type, form]),
        'read>done',
      ),
    )
    writeFileSync(join(file, '../in.txt'), 'a\nb\nc\n')
    const iterations = async (seeds: string) => {
      const { lines } = await sim(file, '--seeds', seeds, '--faults', 'none', '--json')
      return (JSON.parse(lines[0] as string) as { iterations: number }).iterations
    }
    expect((await iterations('3')) - (await iterations('0'))).toBe(9)
  })

  it('keeps what fails, saves its plan for every later run, and tells it as JUnit XML', async () => {
    const workflow = fileOf(twoLoops(2))
    const home = process.cwd()
    onTestFinished(() => process.chdir(home))
    process.chdir(folder())
    // a node that remembers earlier runs, which none may
    const { execute } = Counter.prototype
    let moods = 0
    const moody = vi.spyOn(Counter.prototype, 'execute').mockImplementation(async function (
      this: Counter,
      input,
      context,
    ) {
      const output = await execute.call(this, input, context)
      return 'data' in output ? withResult(output, 'mood', { moods: ++moods }) : output
    })
    const { code, lines } = await sim(workflow, '--seeds', '1', '--save', '--junit', 'junit.xml', '--json')
    moody.mockRestore()
    expect([code, JSON.parse(lines[0] as string)]).toMatchObject([4, { type: 'failure', artifacts: failures('w-0x1') }])
    expect(readdirSync(failures('w-0x1'))).toContain('report.html')
    expect(readFileSync('junit.xml', 'utf8')).toContain('type="nondeterminism"')
    expect(readdirSync('scenarios/found')).toEqual(['w-0x1.json'])
    const again = await sim(workflow, '--seeds', '2', '--json')
    expect([again.code, JSON.parse(again.lines[0] as string)]).toMatchObject([0, { runs: 3 }])
  })

  it.each([
    [['no-such.json'], 'there is no such file or folder'],
    [['--seeds', 'x', 'fixtures/workflows/counter-log.json'], '--seeds is "x", not a whole number'],
    [['--faults', 'flood', 'fixtures/workflows/counter-log.json'], 'there is no kind of fault "flood"'],
    [['--time-budget', 'soon', 'fixtures/workflows/counter-log.json'], '--time-budget is "soon"'],
    [['fixtures/workflows/broken/not-json.json'], 'is not JSON'],
    [['fixtures/workflows/broken/unknown-type.json'], 'unknown'],
    [['--plan', 'fixtures/workflows/broken/wrong-shape.json'], 'Cannot'],
  ])('refuses %j', async (words, why) => {
    await expect(sim(...words)).rejects.toThrow(why)
  })

  it('exits 5 when the engine crashes, and 6 when a run does not end within its steps', async () => {
    const out = folder()
    const start = vi.spyOn(FlowEngine.prototype, 'start').mockRejectedValue(new TypeError('x is not a function'))
    const crashed = await sim(fileOf(twoLoops(1)), '--seeds', '1', '--out', out, '--json')
    start.mockRestore()
    expect(crashed.code).toBe(5)
    expect(JSON.parse(crashed.lines.at(-2) as string)).toMatchObject({ type: 'failure', invariant: 'crash' })
    expect(exitCodes.inconclusive).toBe(6)
  })

  it('exits 2 on options that there are not', async () => {
    const silent = process.stderr.write
    process.stderr.write = () => true
    onTestFinished(() => {
      process.stderr.write = silent
    })
    expect((await sim('--no-such-option')).code).toBe(2)
  })
})

describe('a failure', () => {
  const plan = planOf(twoLoops(2), [fault('crash-applied', 'commit in 1')])
  const lines = [
    '{"daemon":"starts","generation":1,"boot":"machine-1","ms":0}',
    '{"fault":"crash-applied","op":"commit","loop":"in","n":1,"ms":12}',
    '{"event":{"type":"node_started"},"ms":12}',
    '{"answer":"ok\\n1","op":"commit","loop":"in","n":1,"moves":[],"ms":12}',
  ]
  const failure = {
    kind: 'invariant',
    invariant: 'fifo',
    expected: 'a before b',
    seen: 'b before a',
    at: 1_500,
  } as const
  const found = { failure, plan, original: { ...plan, seed: '0x1' }, lines }

  it('is told in words, with what led to it and the line that repeats it', () => {
    const text = describeFailure(found, 'out/w-0x1').join('\n')
    for (const part of [
      'w: seed 0x1: fifo does not hold at 1.5 s: with one replica',
      'expected  a before b',
      'seen      b before a',
      'crash-applied at commit of "in" no. 1: the daemon dies',
      '0.012 s  commit of "in" no. 1: ok 1',
      'npx theoneeye sim --plan out/w-0x1/plan.json',
    ]) {
      expect(text).toContain(part)
    }
    expect(text).not.toContain('node_started')
  })

  it('is kept in a folder that repeats it', async () => {
    const dir = await keepFailure(found, folder())
    expect(readdirSync(dir).sort()).toEqual(['env.json', 'original.json', 'plan.json', 'report.html', 'trace.jsonl'])
    expect(readFileSync(join(dir, 'trace.jsonl'), 'utf8').trim().split('\n')).toEqual(lines)
    expect((await sim('--plan', join(dir, 'plan.json'), '--json')).code).toBe(0)
  })
})
