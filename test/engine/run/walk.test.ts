/** Dead-path elimination on plans given as text: which steps run, which are skipped, in which order. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Plan, PlanEdge, PlanStep } from '../../../engine/graph/flow-graph.ts'
import { Walk } from '../../../engine/run/walk.ts'

/** Edges as `from>to` or `from:port>to`; `-` is the entry; steps are numbered in topological order. */
function plan(steps: number, edges: string): Plan {
  const parsed: PlanEdge[] = edges.split(' ').map(text => {
    const [left = '', to] = text.split('>')
    const [from = '', port = 'default'] = left.split(':')
    return { from: from === '-' ? -1 : Number(from), to: Number(to), port }
  })
  const indices = (test: (edge: PlanEdge) => boolean) => parsed.flatMap((edge, i) => (test(edge) ? [i] : []))
  const all = Array.from({ length: steps }, (_, i) => ({
    incoming: indices(edge => edge.to === i),
    outgoing: indices(edge => edge.from === i),
    base: -1,
  }))
  return { steps: all as unknown as PlanStep[], edges: parsed, entry: indices(edge => edge.from === -1), sinks: [] }
}

/** One step after another, the first edge on port `yes`. */
function chainOf(steps: number, links: number): Plan {
  const edges = [{ from: -1, to: 0, port: 'default' }]
  for (let i = 0; i < links; i++) edges.push({ from: i, to: i + 1, port: i === 0 ? 'yes' : 'default' })
  const all = Array.from({ length: steps }, (_, i) => ({ incoming: [i], outgoing: i < links ? [i + 1] : [], base: -1 }))
  return { steps: all as unknown as PlanStep[], edges, entry: [0], sinks: [] }
}

/** Walks depth first with the given routes; `+n` ran, `-n` was skipped. */
function walkAll(of: Plan, routes: Record<number, string> = {}): string {
  const walk = new Walk(of)
  const story: string[] = []
  const todo = walk.begin()
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    story.push(`${next.live ? '+' : '-'}${next.step}`)
    if (next.live) todo.push(...walk.complete(next.step, routes[next.step] ?? 'default'))
  }
  return story.join(' ')
}

describe('Walk', () => {
  test.each([
    ['a chain', 3, '->0 0>1 1>2', {}, '+0 +1 +2'],
    ['a fork and its join', 4, '->0 0>1 0>2 1>3 2>3', {}, '+0 +1 +2 +3'],
    ['a conditional takes one branch', 3, '->0 0:yes>1 0:no>2', { 0: 'yes' }, '+0 +1 -2'],
    ['a skipped branch is skipped to its end', 4, '->0 0:yes>1 0:no>2 2>3', { 0: 'yes' }, '+0 +1 -2 -3'],
    ['a join of a taken and an untaken branch runs once', 4, '->0 0:yes>1 0:no>2 1>3 2>3', { 0: 'no' }, '+0 -1 +2 +3'],
    ['a join of untaken branches is skipped', 5, '->0 0:a>1 0:b>2 0:c>3 1>4 2>4', { 0: 'c' }, '+0 -1 -2 -4 +3'],
    ['both ports into one node', 2, '->0 0:yes>1 0:no>1', { 0: 'no' }, '+0 +1'],
    ['a port without an edge ends there', 2, '->0 0:yes>1', { 0: 'no' }, '+0 -1'],
    ['a diamond in a diamond', 7, '->0 0>1 0>2 1>3 1>4 3>5 4>5 5>6 2>6', {}, '+0 +1 +2 +3 +4 +5 +6'],
    ['a shortcut past a skipped node', 3, '->0 0:yes>1 1>2 ->2', { 0: 'no' }, '+0 -1 +2'],
  ])('%s', (...[, steps, edges, routes, story]) => {
    expect(walkAll(plan(steps, edges), routes)).toBe(story)
  })

  test('a skipped path of 100,000 steps is skipped without a deep stack', () => {
    const walk = new Walk(chainOf(100_000, 99_999))
    walk.begin()
    expect(walk.complete(0, 'no')).toHaveLength(99_999)
  })

  test('liveInputs come in edge order, and isEnd tells where nothing goes on', () => {
    const diamond = plan(4, '->0 0>1 0>2 2>3 1>3')
    const walk = new Walk(diamond)
    walk.begin()
    walk.complete(0, 'default')
    walk.complete(1, 'default')
    walk.complete(2, 'default')
    expect(walk.liveInputs(diamond.steps[3] as PlanStep)).toEqual([3, 4])
    expect([walk.isEnd(0), walk.isEnd(3)]).toEqual([false, true])
  })

  test('in random plans every step is decided exactly once, and runs exactly if a live edge reaches it', () => {
    const shape = fc.array(fc.tuple(fc.nat(6), fc.nat(6), fc.constantFrom('default', 'yes', 'no')), { maxLength: 14 })
    fc.assert(
      fc.property(
        shape,
        fc.array(fc.constantFrom('default', 'yes', 'no'), { minLength: 7, maxLength: 7 }),
        (raw, routes) => {
          const edges = raw.flatMap(([a, b, port]) => (a < b ? [`${a}:${port}>${b}`] : []))
          const entered = Array.from({ length: 7 }, (_, i) => i).filter(
            i => !edges.some(edge => edge.endsWith(`>${i}`)),
          )
          const of = plan(7, [...entered.map(i => `->${i}`), ...new Set(edges)].join(' '))
          const story = walkAll(of, Object.fromEntries(routes.entries())).split(' ')
          const live = new Set<number>()
          for (let i = 0; i < 7; i++) {
            const inputs = of.edges.filter(edge => edge.to === i)
            if (inputs.some(edge => edge.from === -1 || (live.has(edge.from) && routes[edge.from] === edge.port)))
              live.add(i)
          }
          const expected = Array.from({ length: 7 }, (_, i) => `${live.has(i) ? '+' : '-'}${i}`)
          expect(story.toSorted()).toEqual(expected.toSorted())
        },
      ),
    )
  })
})
