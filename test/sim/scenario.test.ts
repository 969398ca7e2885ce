import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { withArrivals } from '../../sim/arrivals.ts'
import { readTargets } from '../../sim/cli-targets.ts'
import { replayPlans } from '../../sim/explore.ts'
import { MemoryFiles } from '../../sim/outside.ts'
import { compileScenario } from '../../sim/scenario.ts'
import { parseScenario, readTime } from '../../sim/scenario-schema.ts'

const folder = join(import.meta.dirname, '../../scenarios')
const registry = defaultRegistry()
const stories = readdirSync(folder).filter(name => name.endsWith('.yaml'))

const compile = (text: string) =>
  compileScenario({
    name: 's',
    file: 's.yaml',
    text,
    registry,
    readWorkflow: async path => JSON.parse(readFileSync(join(folder, path), 'utf8')),
  })

describe('scenarios/', () => {
  it('holds at least twenty stories', () => expect(stories.length).toBeGreaterThanOrEqual(20))

  it.each(stories)('%s holds, and its faults hit', async name => {
    const { plans } = await readTargets([join(folder, name)], { registry })
    const done = await replayPlans(plans)
    expect(done.found.map(({ failure }) => failure)).toEqual([])
    const hit = Object.values(done.faults).reduce((sum, n) => sum + n, 0)
    // faults that a story writes down itself must hit, each
    const named = plans[0]?.plan.events.length ?? 0
    if (named < 5) expect(hit).toBeGreaterThanOrEqual(named)
  })
})

const shop = `
why: Orders are doubled.
workflow:
  nodes:
    - { id: in, type: queue-reader, form: { queue_name: orders } }
    - { id: twice, type: data-transformer, form: { output_template: '{{ 0 if data.n == 9 else {"n": data.n * 2} }}' } }
    - { id: note, type: file-writer, form: { file_path: out.txt, mode: a, content: '{{ data.n }}' } }
    - { id: done, type: queue-writer, form: { queue_name: done } }
  edges: [in > twice, twice > note, note > done]
arrivals:
  - { queue: orders, items: [{ n: 1 }, { n: 9 }, { n: 3 }] }
`

it('the story in the README holds', async () => {
  const readme = readFileSync(join(folder, '../README.md'), 'utf8')
  const done = await replayPlans(await compile(/```yaml\n(.*?)```/s.exec(readme)?.[1] ?? ''))
  expect([done.runs, done.found.map(({ failure }) => failure)]).toEqual([3, []])
})

describe('what must hold', () => {
  it.each([
    ['queues: { done: 2 }', ''],
    ['queues: { done: [{ n: 2 }, { n: 6 }] }', ''],
    ['queues: { done: [{ n: 6 }, { n: 2 }] }', 'queue "done": in order'],
    ['queues: { done: 3 }', 'queue "done": 3 of them'],
    ['dead_letters: 1', ''],
    ['dead_letters: { in: [{ node: twice }] }', ''],
    ['dead_letters: { in: 0 }', 'dead letters of "in": 0'],
    ['files: { out.txt: ["2", "6"] }', ''],
    ['files: { out.txt: 3 }', 'writes to "out.txt": 3'],
    ['iterations: { in: 3 }', ''],
    ['iterations: { in: 2 }', 'iterations of "in": 2'],
  ])('%s: %s', async (must, complaint) => {
    const done = await replayPlans(await compile(`${shop}must: { ${must} }`))
    const found = done.found.map(({ failure }) => `${failure.invariant} ${failure.expected}`)
    expect(found).toEqual(complaint === '' ? [] : [expect.stringContaining(`check ${complaint}`)])
  })

  it('is not asked of a plan whose inputs were cut', async () => {
    const [first] = await compile(`${shop}must: { queues: { done: 3 } }`)
    if (first === undefined) throw new Error('there is no plan')
    const { must: _, ...files } = first.plan.files
    const said = new MemoryFiles(files)
    expect(said.must(first.subject.graph.hash)).toContain('"done":3')
    expect(said.must('another')).toBeUndefined()
    const cut = new MemoryFiles({ ...files, 'arrivals-orders.jsonl': '{}' })
    expect(cut.must(first.subject.graph.hash)).toBeUndefined()
  })
})

describe('parseScenario', () => {
  it.each([
    ['why: [', 'line 1, column 7'],
    ['workflow: x.json\nmust: {}', 'line 1, column 1: why: '],
    ['why: x\nworkflow: x.json\nmust: {}\nfautls: all', 'line 4, column 9: fautls: there is no such key here'],
    [
      'why: x\nworkflow: x.json\nfaults: [flood]\nmust: {}',
      'line 3, column 10: faults/0: there is no kind of fault "flood"',
    ],
    ['why: x\nworkflow: x.json\nmust:\n  queues: { done: -1 }', 'line 4, column 19: must/queues/done'],
    [
      'why: x\nworkflow: x.json\nmust: {}\narrivals:\n  - { queue: q, at: soon, items: [{}] }',
      'line 5, column 21: arrivals/0/at',
    ],
    ['why: x\nworkflow: x.json\nmust: {}\nhttp:\n  - { request: fetch }', 'line 5, column 16: http/0/request'],
    [
      'why: x\nworkflow: { nodes: [{ id: a, type: log, fom: {} }] }\nmust: {}',
      'line 2, column 46: workflow/nodes/0/fom',
    ],
  ])('says where in %j something is wrong', (text, where) => {
    expect(() => parseScenario(text, 'x.yaml')).toThrow(where)
  })

  it('names the problems of a workflow', async () => {
    const text = shop.replace('type: file-writer', 'type: fil-writer')
    await expect(compile(`${text}must: {}`)).rejects.toMatchObject({ code: 'WORKFLOW_INVALID' })
  })

  it.each([
    [7, 7],
    ['3s', 3_000],
    ['1.5m', 90_000],
    ['20ms', 20],
    ['1h', 3_600_000],
  ])('reads the time %s', (text, ms) => expect(readTime(text)).toBe(ms))
})

describe('withArrivals', () => {
  it('refuses a workflow of another shape', () => {
    expect(() => withArrivals({ connections: [] }, [{ at: 0, queue: 'q', data: {} }])).toThrow('no lists "nodes"')
  })
})

describe('MemoryFiles', () => {
  const rules = JSON.stringify([
    { method: 'GET', url: 'http://a.test/x', status: 404 },
    { method: 'GET', url: 'http://a.test/*', body: { n: 1 } },
    { method: 'POST', url: 'http://a.test/*', error: 'refused' },
  ])
  const outside = new MemoryFiles({ 'sim:http': rules })

  it.each([
    ['GET', 'http://a.test/x', { status: 404, body: '' }],
    ['GET', 'http://a.test/y', { status: 200, body: '{"n":1}' }],
    ['GET', 'http://b.test/', { status: 200, body: '{"method":"GET","url":"http://b.test/","body":null}' }],
  ])('answers %s %s', (method, url, answer) => expect(outside.answer({ method, url })).toMatchObject(answer))

  it('does not answer at all where that is said', () => {
    expect(() => outside.answer({ method: 'POST', url: 'http://a.test/' })).toThrow(/refused/)
  })
})
