/** What counts as the same decision, and where the first other one is. */
import { describe, expect, it } from 'vitest'
import { compareDecisions, compareReached, type Decisions, nodeOf } from '../../../engine/trace/compare.ts'
import type { StepNote } from '../../../engine/trace/witness.ts'

const step = (at: string, set = {}, route = 'default'): StepNote => ({ at, did: 'complete', set, unset: [], route })
const call = (path: string) => ({ at: 'b', op: 'write' as const, ask: { path, content: 'x', mode: 'a' }, answer: null })
const error = { name: 'Error', code: 'NODE_FAILED', message: 'no' }

const recorded: Decisions = {
  steps: [step('a', { n: { x: [1, 2] } }), step('b'), { at: 'c', did: 'skip' }, step('each[1]/in', { n: 1 })],
  calls: [call('one'), call('two')],
  outcome: { as: 'ok' },
  writes: {
    state: { a: '{"n":1}' },
    runtime: { v: '1', w: null },
    delays: ['k\tb\t0'],
    pushes: [
      { at: 'b', queue: 'p' },
      { at: 'b', queue: 'q' },
    ],
  },
}
const { steps, writes } = recorded
const all = () => true

type Other = Partial<Decisions>

describe('compareDecisions', () => {
  it('finds nothing where all is equal, in whatever order keys and nodes came', () => {
    const other = { ...recorded, steps: [...steps].reverse(), writes: { ...writes, state: { a: '{ "n": 1 }' } } }
    expect(compareDecisions(recorded, other, all)).toBeUndefined()
  })

  it('does not compare what was left out of the trace, and goes on behind it', () => {
    const hidden = { ...recorded, steps: [step('a', { key: '[redacted]', text: 'by [redacted]', n: 1 })] }
    const same = { ...recorded, steps: [step('a', { key: 'sesame', text: 'by sesame', n: 1 })] }
    expect(compareDecisions(hidden, same, all)).toBeUndefined()
    const other = { ...recorded, steps: [step('a', { key: 'sesame', text: 'by sesame', n: 2 })] }
    expect(compareDecisions(hidden, other, all)).toMatchObject({ field: 'data.n', expected: 1, seen: 2 })
    const shorter = { ...recorded, steps: [step('a', { key: ['[redacted]', 1] })] }
    expect(compareDecisions(shorter, { ...recorded, steps: [step('a', { key: ['x', 2] })] }, all)).toMatchObject({
      field: 'data.key[1]',
    })
  })

  it.each<[Other, string, string, unknown, unknown]>([
    [{ steps: [step('a', { n: { x: [1, 3] } }), ...steps.slice(1)] }, 'a', 'data.n.x[1]', 2, 3],
    [{ steps: [step('a'), ...steps.slice(1)] }, 'a', 'data.n', { x: [1, 2] }, null],
    [{ steps: [steps[0] as StepNote, step('b', {}, 'yes'), ...steps.slice(2)] }, 'b', 'route', 'default', 'yes'],
    [{ steps: steps.slice(0, 3) }, 'in', 'did', 'complete', null],
    [{ steps: [...steps.slice(0, 2), step('c'), ...steps.slice(3)] }, 'c', 'did', 'skip', 'complete'],
    [{ steps: [...steps, step('d')] }, 'd', 'did', null, 'complete'],
    [{ calls: [call('one'), call('three')] }, 'b', 'write.path', 'two', 'three'],
    [{ calls: [call('one')] }, 'b', 'call', 'write', null],
    [{ outcome: { as: 'failed', node: 'b', error } }, 'b', 'outcome.as', 'ok', 'failed'],
    [{ writes: { ...writes, pushes: writes.pushes.slice(1) } }, 'b', 'push 1', 'p', 'q'],
    [{ writes: { ...writes, pushes: [...writes.pushes, { at: 'b', queue: 'p' }] } }, 'b', 'push 3', null, 'p'],
    [{ writes: { ...writes, state: { a: '{"n":2}' } } }, 'a', 'state.n', 1, 2],
    [{ writes: { ...writes, state: { ...writes.state, b: '0' } } }, 'b', 'state', null, 0],
    [{ writes: { ...writes, runtime: { v: '1' } } }, '', 'runtime.w', '(deleted)', null],
    [{ writes: { ...writes, delays: [] } }, '', 'delays', ['k\tb\t0'], []],
  ])('of %j names node "%s", %s', (other, ...difference) => {
    const [node_id, field, expected, seen] = difference
    expect(compareDecisions(recorded, { ...recorded, ...other }, all)).toEqual({ node_id, field, expected, seen })
  })

  it('takes no notice of what a node did that only one workflow has', () => {
    const other = { ...recorded, steps: [...steps.slice(1), step('d')] }
    expect(compareDecisions(recorded, other, node => node !== 'a' && node !== 'd')).toBeUndefined()
    expect(compareDecisions(recorded, other, all)).toBeDefined()
  })

  it('looks only at what was reached when an iteration could not go on', () => {
    const rest = { calls: [], outcome: { as: 'ok' as const }, writes }
    expect(compareReached(recorded, { ...rest, steps: steps.slice(0, 2) }, all)).toBeUndefined()
    const other = compareReached(recorded, { ...rest, steps: [step('b', {}, 'yes')] }, all)
    expect(other).toEqual({ node_id: 'b', field: 'route', expected: 'default', seen: 'yes' })
    expect(compareReached(recorded, { ...rest, steps: [step('d')] }, all)?.node_id).toBe('d')
  })

  it.each([
    ['a', 'a'],
    ['each[3]/in', 'in'],
    ['each[3]/inner[0]/x', 'x'],
  ])('the node of place %s is %s', (place, node) => expect(nodeOf(place)).toBe(node))
})
