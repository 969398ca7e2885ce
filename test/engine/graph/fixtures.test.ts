import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadWorkflow } from '../../../engine/graph/load-workflow.ts'
import { nodesOf } from '../../../engine/graph/plan.ts'
import { formatProblem } from '../../../engine/graph/problems.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'

const registry = defaultRegistry()
const directory = new URL('../../../fixtures/workflows/', import.meta.url)
const filesIn = (path: string) => readdirSync(new URL(path, directory)).filter(file => file.endsWith('.json'))

function load(file: string) {
  const text = readFileSync(new URL(file, directory), 'utf8')
  return loadWorkflow(text, { registry, name: basename(file, '.json') })
}

describe('fixtures/workflows', () => {
  it.each(filesIn('.'))('%s loads', file => {
    const { graph, problems } = load(file)
    expect(problems.map(formatProblem)).toEqual([])
    expect(graph?.nodes.size).toBe(new Set(graph?.loops.flatMap(loop => loop.nodes.map(node => node.id))).size)
  })

  it.each(filesIn('.').filter(file => file !== 'loop-cycle.json'))('%s has nothing odd about it', file => {
    expect(load(file).warnings.map(formatProblem)).toEqual([])
  })

  it('loop-cycle.json says that its queues have no limit', () => {
    expect(load('loop-cycle.json').warnings.map(warning => warning.code)).toEqual(['CYCLE_OF_LOOPS'])
  })

  it('the three shapes of one workflow are the same workflow', () => {
    const [flow, raw, canvas] = ['react-flow', 'rawconfig', 'canvas-data'].map(
      shape => load(`shape-${shape}.json`).graph,
    )
    expect(raw?.hash).toBe(flow?.hash)
    expect(canvas?.hash).toBe(flow?.hash)
    expect(raw?.workflow).toMatchObject({ id: '3f1c', name: 'One workflow in three shapes', type: 'production' })
    expect(raw?.loops.map(loop => [loop.id, loop.sources, nodesOf(loop.plan).map(node => node.id)])).toEqual([
      ['7', [], ['8', '9', '10']],
      ['11', ['queue_10_11'], ['12']],
    ])
    expect(raw?.nodes.get('10')?.timeoutMs).toBe(20_000)
  })
})

describe('fixtures/workflows/broken', () => {
  it.each(filesIn('broken').filter(file => file !== 'many.json'))('%s has the problem it is named after', file => {
    const { graph, problems } = load(`broken/${file}`)
    expect(graph).toBeUndefined()
    expect(problems.map(problem => problem.code)).toEqual([basename(file, '.json').toUpperCase().replaceAll('-', '_')])
  })

  it('many.json reports each of its problems at its place', () => {
    expect(
      load('broken/many.json')
        .problems.map(({ code, pointer }) => `${code} ${pointer}`)
        .sort(),
    ).toEqual([
      'FORM_INVALID /nodes/0/data/form/max_value',
      'MISSING_NODE /edges/2/target',
      'SETTING_RANGE /settings/lease_seconds',
      'TEMPLATE_SYNTAX /nodes/2/data/form/message',
      'UNKNOWN_TYPE /nodes/1/type',
    ])
  })
})
