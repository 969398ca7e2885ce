/** `run --trace` and `replay` from outside: identical, diverged, stale, damaged; and no secret in the file. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, it } from 'vitest'
import { hashText } from '../../engine/hash.ts'
import type { JsonObject } from '../../engine/json.ts'
import { cli, temporaryFolder } from '../support/cli.ts'

const token = 'sesame-open-42'
const password = 'tr0ub4dor&3'

type Changes = { above?: number; extra?: 'http-request' | 'log' }

/** Counts to 5, asks a port at which nobody answers, and sorts small from big. */
function workflow({ above = 2, extra }: Changes = {}): JsonObject {
  const nodes: [string, string, JsonObject][] = [
    ['count', 'counter', { min_value: 1, max_value: 5 }],
    ['ask', 'http-request', { url: 'http://127.0.0.1:9/', auth_type: 'bearer', auth_bearer_token: password }],
    ['tell', 'http-request', { url: 'http://127.0.0.1:9/x', auth_bearer_token: '{{ workflowenv.TOKEN }}' }],
    ['sort', 'if-condition', { condition_expression: '{{ data.counter.current > workflowenv.ABOVE }}' }],
    ['big', 'queue-writer', { queue_name: 'big' }],
    ['small', 'queue-writer', { queue_name: 'small' }],
  ]
  const extraForms = { 'http-request': { url: 'http://127.0.0.1:9/new' }, log: { message: 'new' } }
  if (extra !== undefined) nodes.push(['more', extra, extraForms[extra]])
  const edges = ['count>ask', 'ask>tell', 'tell>sort', 'sort>big:yes', 'sort>small:no']
  if (extra !== undefined) edges.push('count>more')
  return {
    id: 'sorting',
    env: { TOKEN: token, ABOVE: above },
    nodes: nodes.map(([id, type, form]) => ({ id, type, data: { form } })),
    edges: edges.map((text, i) => {
      const [pair = '', sourceHandle = null] = text.split(':')
      const [source = '', target = ''] = pair.split('>')
      return { id: `e${i}`, source, target, sourceHandle }
    }),
  }
}

function write(cwd: string, name: string, value: JsonObject): string {
  writeFileSync(join(cwd, name), JSON.stringify(value))
  return name
}

let trace = ''

beforeAll(async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'theoneeye-replay-'))
  const { code, stderr } = await cli(['run', write(cwd, 'w.json', workflow()), '--trace', 'traces/a.jsonl'], { cwd })
  expect(code, stderr).toBe(0)
  trace = readFileSync(join(cwd, 'traces/a.jsonl'), 'utf8')
  rmSync(cwd, { recursive: true })
})

/** A folder with a trace of the workflow in `traces/a.jsonl`. */
function recorded(): { cwd: string; file: string } {
  const cwd = temporaryFolder()
  mkdirSync(join(cwd, 'traces'))
  const file = join(cwd, 'traces/a.jsonl')
  writeFileSync(file, trace)
  return { cwd, file }
}

describe('replay', () => {
  it('records packed where the name says so', async () => {
    const cwd = temporaryFolder()
    const run = await cli(['run', write(cwd, 'w.json', workflow()), '--trace', 'packed.jsonl.gz'], { cwd })
    expect(run.code, run.stderr).toBe(0)
    const bytes = readFileSync(join(cwd, 'packed.jsonl.gz'))
    expect(gunzipSync(bytes).toString()).toContain('"kind":"header"')
    const { code, stdout } = await cli(['replay', 'packed.jsonl.gz'], { cwd })
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^replayed \d+ iterations, identical/)])
  })

  it('says identical, of a trace and of a folder of them', async () => {
    const { cwd } = recorded()
    const one = await cli(['replay', 'traces/a.jsonl'], { cwd })
    // five items, and the moment at which the counter said that there are no more
    expect(one).toMatchObject({ code: 0, stdout: 'replayed 6 iterations, identical\n' })
    const all = await cli(['replay', 'traces', '--json'], { cwd })
    expect(all.code).toBe(0)
    expect(all.lines).toEqual([{ type: 'summary', iterations: 6, identical: 6, diverged: 0, stale: 0 }])
  })

  it('reads gzip, alone and among others', async () => {
    const { cwd } = recorded()
    writeFileSync(join(cwd, 'traces/b.jsonl.gz'), gzipSync(trace))
    const one = await cli(['replay', 'traces/b.jsonl.gz'], { cwd })
    expect(one).toMatchObject({ code: 0, stdout: 'replayed 6 iterations, identical\n' })
    const all = await cli(['replay', 'traces'], { cwd })
    expect(all).toMatchObject({ code: 0, stdout: 'replayed 12 iterations, identical\n' })
  })

  it('names the node and field in which a changed workflow decides otherwise', async () => {
    const { cwd } = recorded()
    write(cwd, 'new.json', workflow({ above: 1 }))
    const { code, lines } = await cli(['replay', 'traces/a.jsonl', '--workflow', 'new.json', '--json'], { cwd })
    expect(code).toBe(1)
    const where = { trace: 'traces/a.jsonl', loop: 'count', iteration: 2, node_id: 'sort' }
    const { key } = JSON.parse(trace.split('\n').find(line => line.includes('"iteration":2,')) as string) as {
      key: string
    }
    expect(lines).toEqual([
      { type: 'divergence', ...where, field: 'route', expected: 'no', seen: 'yes' },
      { type: 'change', change: 'setting changed', name: 'env.ABOVE', field: null },
      { type: 'moved', loop: 'count', from: '"small"', to: '"big"', items: 1, ids: [hashText(key)] },
      { type: 'summary', iterations: 6, identical: 5, diverged: 1, stale: 0 },
    ])
    const told = await cli(['replay', 'traces/a.jsonl', '--workflow', 'new.json'], { cwd })
    expect(told.stdout).toContain('iteration 2 of loop "count"')
    expect(told.stdout).toContain('node "sort", route')
    const before = ['iteration 1: count, ask, tell, sort (no), small', 'iteration 2: count, ask, tell']
    expect(told.stdout).toContain(`  before    ${before[0]}\n            ${before[1]}\n`)
    expect(told.stdout).toContain(`1 item of loop "count" would go to "big" instead of "small": ${hashText(key)}\n`)
  })

  it('replays a folder in threads, and tells of its traces in their order', async () => {
    const { cwd, file } = recorded()
    write(cwd, 'new.json', workflow({ above: 1 }))
    for (const name of ['b', 'c', 'd']) copyFileSync(file, join(cwd, `traces/${name}.jsonl`))
    const args = ['replay', 'traces', '--workflow', 'new.json', '--json']
    const { code, lines, stderr } = await cli(args, { cwd })
    expect(code, stderr).toBe(1)
    const found = lines.filter(({ type }) => type === 'divergence').map(each => each.trace)
    expect(found).toEqual(['a', 'b', 'c', 'd'].map(name => `traces/${name}.jsonl`))
    expect(lines.filter(({ type }) => type === 'change')).toHaveLength(1)
    expect(lines.filter(({ type }) => type === 'moved')).toEqual([expect.objectContaining({ items: 4 })])
    writeFileSync(join(cwd, 'traces/b.jsonl'), 'no trace\n')
    const broken = await cli(args, { cwd })
    expect([broken.code, broken.lines.length]).toEqual([2, 0])
    expect(broken.stderr).toContain('Cannot read trace "traces/b.jsonl"')
  })

  it('follows one item, and says where it went', async () => {
    const { cwd } = recorded()
    const key = JSON.parse(trace.split('\n').find(line => line.includes('"iteration":2,')) as string).key as string
    const { code, stdout } = await cli(['replay', 'traces/a.jsonl', '--from-item', hashText(key)], { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /iteration 2 of loop "count".*: identical, on to "small"\nreplayed 1 iterations, identical\n/,
    )
    const nobody = await cli(['replay', 'traces/a.jsonl', '--from-item', 'nobody'], { cwd })
    expect(nobody).toMatchObject({ code: 2, stdout: '' })
    expect(nobody.stderr).toContain('no iteration has to do with item "nobody"')
  })

  it('writes JUnit XML, with a test case per trace', async () => {
    const { cwd, file } = recorded()
    write(cwd, 'new.json', workflow({ above: 1 }))
    copyFileSync(file, join(cwd, 'traces/b.jsonl'))
    const { code } = await cli(['replay', 'traces', '--workflow', 'new.json', '--junit', 'replay.xml'], { cwd })
    expect(code).toBe(1)
    const xml = readFileSync(join(cwd, 'replay.xml'), 'utf8')
    expect(xml).toContain('<testsuite name="theoneeye replay, 12 iterations" tests="2" failures="2"')
    expect(xml).toContain(
      '<testcase classname="replay" name="traces/b.jsonl"><failure message="traces/b.jsonl: iteration 2',
    )
  })

  it('calls a new node stale when it would ask the outside, and takes no notice of one that does not', async () => {
    const { cwd } = recorded()
    write(cwd, 'asks.json', workflow({ extra: 'http-request' }))
    const stale = await cli(['replay', 'traces/a.jsonl', '--workflow', 'asks.json', '--json'], { cwd })
    expect(stale.code).toBe(3)
    expect(stale.lines[0]).toMatchObject({ type: 'stale', iteration: 1, node_id: 'more', field: 'http' })
    expect(stale.lines.at(-1)).toMatchObject({ identical: 1, diverged: 0, stale: 5 })
    write(cwd, 'logs.json', workflow({ extra: 'log' }))
    const fine = await cli(['replay', 'traces/a.jsonl', '--workflow', 'logs.json'], { cwd })
    expect(fine.code, fine.stdout).toBe(0)
  })

  it('leaves out a last line that was cut off, and says so', async () => {
    const { cwd, file } = recorded()
    writeFileSync(file, readFileSync(file, 'utf8').slice(0, -40))
    const { code, stdout, stderr } = await cli(['replay', 'traces/a.jsonl'], { cwd })
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('identical') })
    expect(stderr).toContain('the last line of "traces/a.jsonl" is cut off')
  })

  it.each<[string, (lines: string[]) => string[]]>([
    ['a line in the middle is cut', lines => lines.map((line, i) => (i === 2 ? line.slice(0, 30) : line))],
    ['an iteration lacks its steps', lines => lines.map(line => line.replace('"steps":[', '"steps":{},"x":['))],
    ['the header is missing', lines => lines.slice(1)],
    ['it is of a newer form', lines => lines.map(line => line.replace('"format":1', '"format":2'))],
    ['it is empty', () => []],
  ])('refuses a trace of which %s', async (_, damage) => {
    const { cwd, file } = recorded()
    writeFileSync(file, damage(readFileSync(file, 'utf8').split('\n')).join('\n'))
    const { code, stdout, stderr } = await cli(['replay', 'traces/a.jsonl'], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Cannot read trace "traces/a.jsonl"')
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  it.each([
    [['replay']],
    [['replay', 'nowhere.jsonl']],
    [['replay', 'empty']],
    [['run', 'w.json', '--trace', 'empty']],
  ])('%j exits 2 and says why', async args => {
    const cwd = temporaryFolder()
    mkdirSync(join(cwd, 'empty'))
    write(cwd, 'w.json', workflow())
    const { code, stdout, stderr } = await cli(args, { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).not.toBe('')
  })
})

describe('a trace', () => {
  it('holds no secret: neither a secret field nor the variable that one names', () => {
    expect(trace).not.toContain(token)
    expect(trace).not.toContain(password)
    expect(trace).toContain('"ABOVE":2')
    expect(trace).toContain('[redacted]')
  })
})

describe('report', () => {
  it('writes a page beside the trace, or where it is told', async () => {
    const { cwd } = recorded()
    const { code, stdout, stderr } = await cli(['report', 'traces/a.jsonl'], { cwd })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^\d+ iterations, \d+ failed; open traces\/a\.html in a browser/)
    expect(readFileSync(join(cwd, 'traces/a.html'), 'utf8')).toContain('id="search"')
    const json = await cli(['report', 'traces/a.jsonl', '--out', 'page.html', '--json'], { cwd })
    expect(json.lines).toMatchObject([{ type: 'report', file: 'page.html', shown: expect.any(Number) }])
  })

  it.each([
    [['nowhere.jsonl'], /nowhere\.jsonl.*ENOENT/],
    [['traces/a.jsonl', '--out', 'no/such/folder.html'], /Cannot write the report to "no\/such\/folder\.html"/],
    [['w.json'], /line 1 is no header/],
  ])('report %j: exit code 2, with what to do', async (args, says) => {
    const { cwd } = recorded()
    write(cwd, 'w.json', workflow())
    const { code, stderr } = await cli(['report', ...args], { cwd })
    expect(code).toBe(2)
    expect(stderr).toMatch(says)
  })
})
