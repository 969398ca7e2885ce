import { describe, expect, it } from 'vitest'
import type { FlowGraph } from '../../../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { fakeRegistry, flow } from '../../support/fake-nodes.ts'

const load = (source: JsonObject) => requireWorkflow(source, { registry: fakeRegistry })
const named = (type: string, queue_name: string) => ({ type, form: { queue_name } })

/** `id: nodes < sources > targets`, a loop a line. */
function loopsOf(graph: FlowGraph): string[] {
  return graph.loops.map(loop => {
    const targets = [...new Set(loop.nodes.flatMap(node => node.targets))]
    const ids = loop.nodes.map(node => node.id).join(' ')
    return `${loop.id}: ${ids}${loop.sources.map(name => ` < ${name}`).join('')}${targets.map(name => ` > ${name}`).join('')}`
  })
}
/** `name: writers → readers`, a queue a line. */
function queuesOf(graph: FlowGraph): string[] {
  return graph.queues.map(({ name, writers, readers }) => `${name}: ${writers.join(' ')} → ${readers.join(' ')}`)
}

describe('queues', () => {
  it('an edge is a queue of its own; a writer with two readers pushes to both', () => {
    const graph = load(flow({ s: 'source', w: 'writer', r: 'reader', t: 'reader' }, 's>w w>r w>t'))
    expect(loopsOf(graph)).toEqual(['s: s w > queue_w_r > queue_w_t', 'r: r < queue_w_r', 't: t < queue_w_t'])
    expect(queuesOf(graph)).toEqual(['queue_w_r: w → r', 'queue_w_t: w → t'])
  })

  it('a reader with two writers has two sources, in edge order', () => {
    const graph = load(flow({ s: 'source', v: 'writer', w: 'writer', r: 'reader' }, 's>v s>w w>r v>r'))
    expect(graph.loops[1]?.sources).toEqual(['queue_w_r', 'queue_v_r'])
  })

  it('one name joins without an edge, from form or config; the other end of an edge takes it over', () => {
    const nodes = {
      s: 'source',
      w: named('writer', 'q'),
      r: { type: 'reader', config: { queue_name: 'q' } },
      t: 'reader',
    }
    const graph = load(flow(nodes, 's>w w>t'))
    expect(queuesOf(graph)).toEqual(['q: w → r t'])
    expect(loopsOf(graph)).toEqual(['s: s w > q', 'r: r < q', 't: t < q'])
  })

  it('the form goes before the config, and default counts as unset', () => {
    const both = { type: 'writer', form: { queue_name: 'f' }, config: { queue_name: 'c' } }
    const unset = { type: 'writer', form: { queue_name: 'Default' }, config: { queue_name: 'c' } }
    const graph = load(flow({ s: 'source', v: both, w: unset }, 's>v s>w'))
    expect(queuesOf(graph)).toEqual(['f: v → ', 'c: w → '])
  })

  it('a writer that never runs is no writer of its queue', () => {
    expect(queuesOf(load(flow({ w: 'writer', r: 'reader' }, 'w>r')))).toEqual(['queue_w_r:  → r'])
  })

  it('settings bound their length', () => {
    const settings = { queues: { max_length: 7 } }
    const graph = load(flow({ s: 'source', w: 'writer', r: 'reader' }, 's>w w>r', { settings }))
    expect(graph.queues).toEqual([
      { name: 'queue_w_r', writers: ['w'], readers: ['r'], maxLength: 7, background: false },
    ])
  })
})

describe('background loops', () => {
  it('what follows a non-blocking node is a loop of its own, nested too', () => {
    const graph = load(
      flow({ s: 'source', l: 'later', a: 'step', m: 'later', b: 'step', c: 'step' }, 's>l l>a a>m m>b s>c'),
    )
    expect(loopsOf(graph)).toEqual([
      's: s l c > after_s_l',
      'after_s_l: a m < after_s_l > after_after_s_l_m',
      'after_after_s_l_m: b < after_after_s_l_m',
    ])
    expect(queuesOf(graph)).toEqual(['after_s_l: l → after_s_l', 'after_after_s_l_m: m → after_after_s_l_m'])
    expect(graph.loops.map(({ background, producer, upstream }) => [background, producer?.id, upstream])).toEqual([
      [false, 's', []],
      [true, undefined, ['s']],
      [true, undefined, ['after_s_l']],
    ])
    expect(graph.queues.every(queue => queue.background)).toBe(true)
  })

  it('a writer that other nodes follow pushes to both', () => {
    const graph = load(flow({ s: 'source', w: 'writer', r: 'reader', a: 'step' }, 's>w w>r w>a'))
    expect(loopsOf(graph)[0]).toBe('s: s w > queue_w_r > after_s_w')
  })

  it('a node of two loops has in each its own targets', () => {
    const graph = load(flow({ s: 'source', t: 'source', l: 'later', a: 'step' }, 's>l t>l l>a'))
    expect(loopsOf(graph)).toEqual([
      's: s l > after_s_l',
      'after_s_l: a < after_s_l',
      't: t l > after_t_l',
      'after_t_l: a < after_t_l',
    ])
    expect(graph.nodes.get('l')?.targets).toEqual(['after_s_l'])
    expect(graph.nodes.get('l')).toBe(graph.loops[0]?.nodes[1])
    expect(graph.loops[2]?.plan.steps[0]?.node).toBe(graph.loops[2]?.nodes[1])
  })

  it('two producers may meet behind and before a boundary: their items never do', () => {
    const graph = load(flow({ s: 'source', t: 'source', l: 'later', a: 'step' }, 's>l l>a t>a'))
    expect(loopsOf(graph)).toEqual(['s: s l > after_s_l', 'after_s_l: a < after_s_l', 't: t a'])
  })

  it('a join behind the same node is none across the boundary', () => {
    const graph = load(flow({ s: 'source', l: 'later', a: 'step', b: 'step', j: 'step' }, 's>l l>a l>b a>j b>j'))
    expect(loopsOf(graph)[1]).toBe('after_s_l: a b j < after_s_l')
  })

  it('api workflows run everything inline', () => {
    const nodes = { s: 'source', l: 'later', a: 'step', b: 'step', j: 'step' }
    const graph = load(flow(nodes, 's>l s>a l>j a>j j>b', { type: 'api' }))
    expect(loopsOf(graph)).toEqual(['s: s l a j b'])
    expect(graph.queues).toEqual([])
  })
})

describe('loops joined by queues', () => {
  const ids = (graph: FlowGraph) =>
    graph.loops.map(({ id, upstream, cycle, downstream }) => [id, upstream, cycle, downstream])

  it('a chain', () => {
    const graph = load(flow({ s: 'source', v: 'writer', r: 'reader', w: 'writer', t: 'reader' }, 's>v v>r r>w w>t'))
    expect(ids(graph)).toEqual([
      ['s', [], ['s'], ['r']],
      ['r', ['s'], ['r'], ['t']],
      ['t', ['r'], ['t'], []],
    ])
    expect(graph.queues.map(queue => queue.maxLength)).toEqual([10_000, 10_000])
  })

  it('a ring ends together; only its own queues have no limit', () => {
    const nodes = {
      s: 'source',
      in: 'writer',
      r: 'reader',
      w: 'writer',
      t: 'reader',
      back: 'writer',
      out: 'writer',
      z: 'reader',
    }
    const graph = load(flow(nodes, 's>in in>r r>w w>t t>back back>r t>out out>z'))
    expect(ids(graph)).toEqual([
      ['s', [], ['s'], ['r']],
      ['r', ['s'], ['r', 't'], ['t']],
      ['t', [], ['r', 't'], ['r', 'z']],
      ['z', ['t'], ['z'], []],
    ])
    const limits = Object.fromEntries(graph.queues.map(queue => [queue.name, queue.maxLength]))
    expect(limits).toEqual({ queue_in_r: 10_000, queue_w_t: 0, queue_back_r: 0, queue_out_z: 10_000 })
    expect(graph.warnings[0]?.message).toContain('the loops "r" and "t" feed each other in a cycle')
  })

  it('a loop that feeds itself', () => {
    const graph = load(flow({ r: 'reader', w: 'writer' }, 'r>w w>r'))
    expect(ids(graph)).toEqual([['r', [], ['r'], ['r']]])
    expect(graph.queues[0]?.maxLength).toBe(0)
  })

  it('a shared name makes every writer upstream of every reader', () => {
    const nodes = {
      s: 'source',
      t: 'source',
      v: named('writer', 'q'),
      w: named('writer', 'q'),
      r: named('reader', 'q'),
    }
    expect(ids(load(flow(nodes, 's>v t>w')))[2]).toEqual(['r', ['s', 't'], ['r'], []])
  })
})

describe('pools and replicas', () => {
  const poolOf = (nodes: Record<string, string>, edges: string, loops: JsonObject = {}) =>
    load(flow(nodes, edges, { settings: { loops } })).loops.map(({ id, pool, replicas }) => `${id} ${pool} ${replicas}`)

  it('a loop runs in the strongest pool its nodes ask for, bodies included', () => {
    expect(poolOf({ s: 'source', a: 'step' }, 's>a')).toEqual(['s async 1'])
    expect(poolOf({ s: 'source', f: 'each', h: 'heavy' }, 's>f f:body>h')).toEqual(['s thread 1'])
  })

  it('settings decide, also to less than a node asks for, and for background loops by their id', () => {
    expect(poolOf({ s: 'source', h: 'heavy' }, 's>h', { s: { pool: 'async' } })).toEqual(['s async 1'])
    const loops = { after_s_l: { pool: 'process', replicas: 3 } }
    expect(poolOf({ s: 'source', l: 'later', a: 'step' }, 's>l l>a', loops)).toEqual([
      's async 1',
      'after_s_l process 3',
    ])
  })
})
