import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Plan } from '../../../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import { commonBase, nodesOf } from '../../../engine/graph/plan.ts'
import { fakeRegistry, flow } from '../../support/fake-nodes.ts'

function planOf(nodes: Record<string, string>, edges: string): Plan {
  return requireWorkflow(flow(nodes, edges), { registry: fakeRegistry }).loops[0]?.plan as Plan
}

/** `node(inputs)base`: inputs as source, or source:port; `-` is the entry; a body in braces; sinks marked with a dot. */
function show(plan: Plan): string {
  const nameOf = (step: number) => (step === -1 ? '-' : (plan.steps[step]?.node.id as string))
  return plan.steps
    .map((step, index) => {
      const inputs = step.incoming.map(edge => {
        const { from, port } = plan.edges[edge]!
        return port === 'default' ? nameOf(from) : `${nameOf(from)}:${port}`
      })
      const body = step.body === undefined ? '' : `{${show(step.body)}}`
      return `${step.node.id}(${inputs.join(',')})${nameOf(step.base)}${body}${plan.sinks.includes(index) ? '.' : ''}`
    })
    .join(' ')
}

const steps = (ids: string) => Object.fromEntries(ids.split('').map(id => [id, 'step']))

describe('plan', () => {
  const table: [name: string, nodes: Record<string, string>, edges: string, plan: string][] = [
    ['a producer alone', { s: 'source' }, '', ''],
    ['a chain', { s: 'source', ...steps('ab') }, 's>a a>b', 'a(-)- b(a)a.'],
    ['file order, not edge order', { s: 'source', ...steps('abc') }, 's>c s>b s>a', 'a(-)-. b(-)-. c(-)-.'],
    [
      'order of dependence before that of the file',
      { s: 'source', ...steps('abc') },
      's>c c>a s>b',
      'b(-)-. c(-)- a(c)c.',
    ],
    ['a diamond', { s: 'source', ...steps('abcd') }, 's>a a>b a>c b>d c>d', 'a(-)- b(a)a c(a)a d(b,c)a.'],
    ['a fork at the producer', { s: 'source', ...steps('abj') }, 's>a s>b b>j a>j', 'a(-)- b(-)- j(b,a)-.'],
    ['a join with its own base', { s: 'source', ...steps('abd') }, 's>a a>b a>d b>d', 'a(-)- b(a)a d(a,b)a.'],
    ['an edge from the entry to a join', { s: 'source', ...steps('aj') }, 's>a a>j s>j', 'a(-)- j(a,-)-.'],
    [
      'a diamond in a diamond',
      { s: 'source', ...steps('tlmnirj') },
      's>t t>l l>m l>n m>i n>i t>r i>j r>j',
      't(-)- l(t)t m(l)l n(l)l i(m,n)l r(t)t j(i,r)t.',
    ],
    [
      'both branches of a condition to one node',
      { s: 'source', c: 'choose', a: 'step' },
      's>c c:yes>a c:no>a',
      'c(-)- a(c:yes,c:no)c.',
    ],
    ['a body', { s: 'source', f: 'each', ...steps('abc') }, 's>f f:body>a a>b f>c', 'f(-)-{a(-)- b(a)a.} c(f)f.'],
    ['a loop node without a body', { s: 'source', f: 'each' }, 's>f', 'f(-)-{}.'],
    [
      'bodies in bodies, with a fork and a writer at the end',
      { s: 'source', f: 'each', g: 'each', ...steps('abcd'), l: 'later' },
      's>f f:subdag>g f:subdag>a g:body>b g>c a>c c>l f>d',
      'f(-)-{g(-)-{b(-)-.} a(-)- c(g,a)- l(c)c.} d(f)f.',
    ],
    [
      'a body joins its own branches only',
      { s: 'source', f: 'each', c: 'choose', ...steps('abj') },
      's>f f:body>c c:yes>a c:no>b a>j b>j',
      'f(-)-{c(-)- a(c:yes)c b(c:no)c j(a,b)c.}.',
    ],
    [
      'an edge from a node that never runs does not count',
      { s: 'source', ...steps('aoj') },
      's>a a>j o>j',
      'a(-)- j(a)a.',
    ],
  ]
  it.each(table)('%s', (_name, nodes, edges, expected) => {
    expect(show(planOf(nodes, edges))).toBe(expected)
  })

  it('keeps out of a loop what is behind a non-blocking node', () => {
    const graph = requireWorkflow(flow({ s: 'source', l: 'later', ...steps('abj') }, 's>l l>a l>b a>j b>j'), {
      registry: fakeRegistry,
    })
    expect(graph.loops.map(loop => show(loop.plan))).toEqual(['l(-)-.', 'a(-)- b(-)- j(a,b)-.'])
  })

  it('commonBase finds a nearer base when fewer inputs are live', () => {
    const plan = planOf({ s: 'source', ...steps('tlmnrj') }, 's>t t>l l>m l>n t>r m>j n>j r>j')
    const index = (id: string) => plan.steps.findIndex(step => step.node.id === id)
    expect(plan.steps[index('j')]?.base).toBe(index('t'))
    expect(commonBase(plan, [index('m'), index('n')])).toBe(index('l'))
    expect(commonBase(plan, [index('m')])).toBe(index('m'))
    expect(commonBase(plan, [index('m'), -1])).toBe(-1)
  })

  it('holds a chain of 9,999 nodes', () => {
    const ids = Array.from({ length: 9_999 }, (_, i) => `n${i}`)
    const edges = ids.map((id, i) => `${i === 0 ? 's' : `n${i - 1}`}>${id}`).join(' ')
    const plan = planOf({ s: 'source', ...Object.fromEntries(ids.map(id => [id, 'step'])) }, edges)
    expect(plan.steps.at(-1)?.base).toBe(9_997)
  })
})

/** Acyclic graphs: an edge always leads to a higher number; 0 is the producer, whose edges make all nodes reachable or not. */
const size = 12
const acyclic = fc
  .uniqueArray(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { selector: ([a, b]) => `${a} ${b}`, maxLength: 30 })
  .map(pairs => pairs.filter(([a, b]) => a !== b).map(([a, b]) => (a < b ? [a, b] : [b, a]) as [number, number]))
  .map(pairs => [...new Map(pairs.map(pair => [pair.join('>'), pair])).values()])

function reach(edges: readonly (readonly [number, number])[], without = -1): Set<number> {
  const reached = new Set(without === 0 ? [] : [0])
  for (const at of reached) {
    for (const [from, to] of edges) if (from === at && to !== without) reached.add(to)
  }
  return reached
}

describe('plan: random acyclic graphs', () => {
  /** Ids are shuffled against the order of the edges, so that file order and topological order differ. */
  const idOf = (vertex: number) => (vertex === 0 ? 's' : `n${(vertex * 7) % size}`)
  const nodes = Object.fromEntries([
    ['s', 'source'],
    ...Array.from({ length: size - 1 }, (_, i) => [`n${i + 1}`, 'step']),
  ]) as Record<string, string>

  it('covers each reachable node once, after all its inputs, and ends at the sinks', () => {
    fc.assert(
      fc.property(acyclic, edges => {
        const plan = planOf(nodes, edges.map(([a, b]) => `${idOf(a)}>${idOf(b)}`).join(' '))
        const reached = reach(edges)
        const ids = plan.steps.map(step => step.node.id)
        expect([...ids, 's'].sort()).toEqual([...reached].map(idOf).sort())
        expect(plan.edges.every(edge => edge.from < edge.to)).toBe(true)
        expect(plan.edges.length).toBe(edges.filter(([a]) => reached.has(a)).length)
        expect(plan.entry).toEqual([...plan.edges.keys()].filter(index => plan.edges[index]?.from === -1))
        for (const [index, step] of plan.steps.entries()) {
          expect(step.incoming).toEqual([...plan.edges.keys()].filter(edge => plan.edges[edge]?.to === index))
          expect(step.outgoing).toEqual([...plan.edges.keys()].filter(edge => plan.edges[edge]?.from === index))
          expect(plan.sinks.includes(index)).toBe(step.outgoing.length === 0)
        }
        expect(nodesOf(plan)).toHaveLength(plan.steps.length)
      }),
    )
  })

  it('bases every join on its nearest dominator, as brute force finds it', () => {
    fc.assert(
      fc.property(acyclic, edges => {
        const plan = planOf(nodes, edges.map(([a, b]) => `${idOf(a)}>${idOf(b)}`).join(' '))
        const vertices = Array.from({ length: size }, (_, vertex) => vertex)
        const vertexOf = (step: number) => vertices.find(vertex => idOf(vertex) === plan.steps[step]?.node.id) ?? 0
        const reached = reach(edges)
        for (const [index, step] of plan.steps.entries()) {
          const vertex = vertexOf(index)
          /** A vertex dominates another when the other can't be reached without it; the nearest is dominated by all. */
          const dominators = [...reached].filter(each => each !== vertex && !reach(edges, each).has(vertex))
          const nearest = dominators.find(each =>
            dominators.every(other => other === each || !reach(edges, other).has(each)),
          )
          expect(vertexOf(step.base)).toBe(nearest)
        }
      }),
    )
  })
})

describe('loading random graphs', () => {
  it('always ends with problems or with plans that hold each reachable node of a loop exactly once', () => {
    const types = ['source', 'reader', 'step', 'choose', 'each', 'later', 'writer'] as const
    const ports = [null, 'yes', 'no', 'body']
    const graph = fc.record({
      types: fc.array(fc.constantFrom(...types), { minLength: 1, maxLength: 10 }),
      edges: fc.array(fc.tuple(fc.nat(9), fc.nat(9), fc.constantFrom(...ports)), { maxLength: 14 }),
      type: fc.constantFrom('production', 'api'),
    })
    let sound = 0
    fc.assert(
      fc.property(graph, ({ types: kinds, edges, type }) => {
        const portFor = (source: number, port: string | null) => {
          if (kinds[source] === 'choose') return port === 'yes' ? 'yes' : 'no'
          return kinds[source] === 'each' && port === 'body' ? 'body' : null
        }
        const source = {
          id: 'random',
          type,
          nodes: kinds.map((kind, i) => ({ id: `${kind}${i}`, type: kind })),
          edges: edges
            .filter(([a, b]) => a < b && b < kinds.length)
            .map(([a, b, port]) => ({
              source: `${kinds[a]}${a}`,
              target: `${kinds[b]}${b}`,
              sourceHandle: portFor(a, port),
            })),
        }
        let loops: ReturnType<typeof requireWorkflow>['loops']
        try {
          loops = requireWorkflow(source, { registry: fakeRegistry }).loops
        } catch (error) {
          expect((error as { code?: string }).code).toBe('WORKFLOW_INVALID')
          return
        }
        sound += 1
        for (const loop of loops) {
          const planned = nodesOf(loop.plan)
          expect(new Set(planned).size).toBe(planned.length)
          expect(loop.nodes.filter(node => node !== loop.producer)).toEqual(planned)
        }
      }),
      { numRuns: 1_000, seed: 7 },
    )
    expect(sound).toBeGreaterThan(50)
  })
})
