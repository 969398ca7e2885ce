/** The folder of workflow files: every problem of every file, and what goes on when one of them breaks. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { chooseGraphs, readWorkflowFolder, type WorkflowFile, withoutRefused } from '../../daemon/workflow-folder.ts'
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import { loadWorkflow } from '../../engine/graph/load-workflow.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { sketch } from '../support/engine-bench.ts'
import { errorOf, tempDir } from '../support/temp-dir.ts'

const registry = defaultRegistry()
const workflow = (id: string, settings = {}) => sketch({ id, settings, nodes: { c: 'counter' }, edges: '' })

async function read(files: Record<string, unknown>, host = {}): Promise<WorkflowFile[]> {
  const dir = tempDir()
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return readWorkflowFolder(dir, { registry, host })
}

describe('readWorkflowFolder', () => {
  it('finds every problem of every file; the others load', async () => {
    const files = await read({
      'a.json': workflow('a'),
      'b.json': '{',
      'c.json': { nodes: 1 },
      '.d.json': '{',
      'e.json~': '{',
    })
    expect(files.map(({ file, graph, problems }) => [file, graph?.workflow.id, problems.length])).toEqual([
      ['a.json', 'a', 0],
      ['b.json', undefined, 1],
      ['c.json', undefined, 1],
    ])
  })

  it('loads neither of two files with one id, and says so of both', async () => {
    const files = await read({ 'a.json': workflow('same'), 'b.json': workflow('same'), 'c.json': workflow('c') })
    expect(files.map(({ file, problems }) => [file, ...problems])).toEqual([
      ['a.json', '/id: "same" is also the id of "b.json"; give each workflow an id of its own'],
      ['b.json', '/id: "same" is also the id of "a.json"; give each workflow an id of its own'],
      ['c.json'],
    ])
  })

  it('sets what the host sets where a file says nothing; the definition stays the same', async () => {
    const source = { 'a.json': workflow('a'), 'b.json': workflow('b', { lease_seconds: 7 }) }
    const [plain, set] = [await read(source), await read(source, { lease_seconds: 3, drain_timeout_seconds: 4 })]
    const settings = (files: WorkflowFile[]) => files.map(({ graph }) => graph?.workflow.settings)
    expect(settings(set)).toMatchObject([
      { lease_seconds: 3, drain_timeout_seconds: 4 },
      { lease_seconds: 7, drain_timeout_seconds: 4 },
    ])
    expect(settings(plain)).toMatchObject([{ lease_seconds: 10 }, { lease_seconds: 7 }])
    expect(set.map(({ graph }) => graph?.hash)).toEqual(plain.map(({ graph }) => graph?.hash))
  })

  it('names a folder that is not there', async () => {
    const error = await errorOf(() => readWorkflowFolder('/no/such', { registry, host: {} }))
    expect(error).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/"\/no\/such": it does not exist; make it/),
    })
  })
})

describe('what shall run', () => {
  const graph = (id: string) => loadWorkflow(workflow(id), { registry }).graph as FlowGraph
  const sound = (file: string, id: string): WorkflowFile => ({ file, graph: graph(id), problems: [], warnings: [] })
  const broken = (file: string): WorkflowFile => ({ file, graph: undefined, problems: ['x'], warnings: [] })
  const ids = (chosen: Map<string, FlowGraph>) => [...chosen].map(([file, { workflow }]) => `${file} ${workflow.id}`)
  const before = new Map([
    ['a', graph('a')],
    ['b', graph('b')],
  ])

  it.each<[string, WorkflowFile[], string[]]>([
    ['keeps what a broken file held', [broken('a'), sound('b', 'b')], ['b b', 'a a']],
    ['drops what has gone', [sound('b', 'b')], ['b b']],
    ['adds what is new', [sound('a', 'a'), sound('b', 'b'), sound('c', 'c')], ['a a', 'b b', 'c c']],
    ['leaves out a broken file that never held anything', [sound('a', 'a'), broken('c')], ['a a']],
    ['follows a workflow into another file', [broken('a'), sound('c', 'a')], ['c a']],
  ])('%s', (_, files, chosen) => expect(ids(chooseGraphs(files, before))).toEqual(chosen))

  it('withoutRefused keeps the old graph of what the engine refused, so that the next reload tries again', () => {
    const changed = graph('a')
    const chosen = new Map([
      ['a', changed],
      ['c', graph('c')],
    ])
    expect(withoutRefused(chosen, before, new Set(['a'])).get('a')).toBe(before.get('a'))
    expect(withoutRefused(chosen, before, new Set()).get('a')).toBe(changed)
    expect(ids(withoutRefused(chosen, before, new Set(['a', 'c'])))).toEqual(['a a', 'c c'])
  })
})
