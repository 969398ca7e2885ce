import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { allFaultKinds } from '../../sim/faults.ts'
import { generatePlan } from '../../sim/generate.ts'
import { stepKinds } from '../../sim/generate-steps.ts'
import { drawWorkflow, generateSubject, workflowDraws, workflowOfDraw } from '../../sim/generate-workflow.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { orderOf } from '../../sim/order.ts'
import { simulate } from '../../sim/world.ts'
import { graphOf, twoLoops, workflowOf } from './support.ts'

describe('workflowDraws', () => {
  it('make only workflows that the loader accepts', () => {
    fc.assert(
      fc.property(workflowDraws, draw => graphOf(workflowOfDraw(draw).workflow).loops.length >= draw.loops.length),
      { numRuns: 300, seed: 1 },
    )
  })

  it('come upon every kind of step and shape', () => {
    const draws = Array.from({ length: 200 }, (_, i) => drawWorkflow(`${i}`))
    const graphs = draws.map(draw => graphOf(workflowOfDraw(draw).workflow))
    const steps = new Set(draws.flatMap(({ loops }) => loops.flatMap(loop => loop.steps.map(({ kind }) => kind))))
    expect([...steps].sort()).toEqual([...stepKinds].sort())
    const loops = graphs.flatMap(graph => graph.loops)
    expect(new Set(loops.map(loop => loop.producerType)).size).toBeGreaterThan(4)
    const shapes = {
      background: loops.some(loop => loop.background),
      replicas: loops.some(loop => loop.replicas > 1),
      ring: loops.some(loop => loop.cycle.length > 1),
      'feeds itself': loops.some(loop => loop.downstream.includes(loop.id)),
      'several writers': loops.some(loop => loop.sources.length > 1),
      'several readers': loops.some(loop => loop.downstream.length > 1),
    }
    expect(Object.entries(shapes).filter(([, isThere]) => !isThere)).toEqual([])
  })
})

describe('generateSubject', () => {
  it('is a function of the seed', async () => {
    const text = async (seed: string) => JSON.stringify((await generateSubject(seed, defaultRegistry())).workflow)
    expect(await text('0x1')).toBe(await text('0x1'))
    expect(await text('0x1')).not.toBe(await text('0x2'))
  })

  it.each([
    ['0x3', 'none'],
    ['0x47', 'all'],
    ['0xb', 'all'],
    ['0xf', 'all'],
  ])('gives lives of which the reference knows the end: seed %s, faults %s', async (seed, faults) => {
    const subject = await generateSubject(seed, defaultRegistry())
    expect(subject.expected).toBeDefined()
    const plan = generatePlan(subject, seed, faults === 'all' ? allFaultKinds : [])
    const { graph, expected } = subject
    const { failure } = await simulate({ plan, graph, expected, startEngine: startFlowEngine, trace: 'recent' })
    expect(failure).toBeUndefined()
  })
})

describe('orderOf', () => {
  it('is sure of a line of loops', () => {
    const { loops, queues } = orderOf(graphOf(twoLoops(3)))
    expect([[...loops].sort(), queues.has('done')]).toEqual([['count', 'in'], true])
  })

  it('is not sure behind two writers, nor of what comes after', () => {
    const nodes = ['a', 'b'].flatMap(id => [
      [id, 'counter', { min_value: 1, max_value: 2 }] as [string, string, object],
      [`${id}w`, 'queue-writer', {}] as [string, string, object],
    ])
    const rest = [
      ['r', 'queue-reader', {}],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ] as [string, string, object][]
    const workflow = workflowOf([...nodes, ...rest] as Parameters<typeof workflowOf>[0], 'a>aw b>bw aw>r bw>r r>done')
    const { loops, queues } = orderOf(graphOf(workflow))
    expect([[...loops].sort(), queues.has('done')]).toEqual([['a', 'b'], false])
  })
})
