import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { compareEffects } from '../../sim/expected.ts'
import type { FaultKind } from '../../sim/faults.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { fileMishaps, httpMishaps, Mishaps } from '../../sim/mishaps.ts'
import type { Requests } from '../../sim/outside.ts'
import type { PlanEvent } from '../../sim/plan.ts'
import type { Effects } from '../../sim/reference.ts'
import { simulate } from '../../sim/world.ts'
import { fault, planOf, subjectOf, workflowOf } from './support.ts'

/** Four items, each a request and a line in a file. */
const workflow = workflowOf(
  [
    ['count', 'counter', { min_value: 1, max_value: 4 }],
    ['call', 'http-request', { method: 'POST', url: 'http://pay.test/{{ data.counter.current }}' }],
    ['note', 'file-writer', { file_path: 'log', mode: 'a', content: '{{ data.counter.current }}' }],
    ['done', 'queue-writer', { queue_name: 'done' }],
  ],
  'count>call call>note note>done',
)

async function live(events: PlanEvent[]) {
  const { graph, expected } = await subjectOf(workflow)
  let left: Effects | undefined
  const tell = (effects: Effects): void => {
    left = effects
  }
  const told = expected && { ...expected, tell, asks: 'always' as const }
  const plan = planOf(workflow, events)
  const { failure, stats } = await simulate({
    plan,
    graph,
    expected: told,
    startEngine: startFlowEngine,
    trace: 'recent',
  })
  const { queues, deadLetters, requests, files } = left as Effects
  const answers = (queues.done ?? []).map(item => {
    const { http_request: answer } = (item as JsonObject).data as { http_request: { status: number; error: string } }
    return answer.error ?? answer.status
  })
  return { failure, stats, answers, deadLetters, requests, files }
}

describe('a request that goes wrong', () => {
  it.each([
    ['http-error', /refused/],
    ['http-timeout', /no answer within 30000 ms/],
    ['http-status', /HTTP status 503/],
    ['http-answer-lost', /reset/],
  ] as const)('%s: its item says so, and the reference is told', async (kind, error) => {
    const { failure, stats, answers, requests } = await live([fault(kind, 'http - 2')])
    expect(failure).toBeUndefined()
    expect(stats.faults).toEqual({ [kind]: 1 })
    expect(answers).toEqual([200, expect.stringMatching(error), 200, 200])
    expect(Object.keys(requests)).toHaveLength(kind === 'http-answer-lost' ? 4 : 3)
  })

  it('goes wrong again when its item is processed again', async () => {
    const { answers } = await live([fault('http-error', 'http - 2'), fault('crash-before', 'commit count 2')])
    expect(answers).toEqual([200, expect.stringMatching(/refused/), 200, 200])
  })

  it('went well, and does when its item is processed again', async () => {
    const events = [fault('crash-replied', 'http - 2'), fault('http-error', 'http - 3')]
    expect((await live(events)).answers).toEqual([200, 200, 200, 200])
  })

  it('takes those after it along while the service is away', async () => {
    const { answers } = await live([fault('http-status', 'http - 2', { ms: 60_000 })])
    expect(answers.map(answer => String(answer) === '200')).toEqual([true, false, false, false])
  })

  it('is asked for once, by its key, though it got there twice', async () => {
    const { failure, stats, requests } = await live([
      fault('http-duplicate', 'http - 1'),
      fault('crash-applied', 'http - 2'),
    ])
    expect(failure).toBeUndefined()
    expect(stats.faults['http-duplicate']).toBe(1)
    expect(Object.values(requests).map(({ most }) => most)).toEqual([1, 1, 1, 1])
  })
})

describe('a full disk', () => {
  it('fails the item, which is told', async () => {
    const { failure, deadLetters, files, answers } = await live([fault('disk-full', 'write - 3')])
    expect(failure).toBeUndefined()
    expect(deadLetters.count).toMatchObject([{ node: 'note', code: 'FILE_FAILED' }])
    expect(files.log).toEqual(['1\n', '2\n', '4\n'])
    expect(answers).toHaveLength(3)
  })
})

const none: Effects = { queues: {}, deadLetters: {}, state: {}, runtime: {}, iterations: {}, files: {}, requests: {} }
const order = { loops: new Set<string>(), queues: new Set<string>() }

describe('what went wrong', () => {
  const due = (kind: FaultKind) => (now: FaultKind) => (now === kind ? {} : undefined)

  it('stays as it was decided first', () => {
    const mishaps = new Mishaps()
    mishaps.decide('a', httpMishaps, { ms: 0, due: () => undefined })
    mishaps.decide('a', httpMishaps, { ms: 1, due: due('http-error') })
    mishaps.decide('b', fileMishaps, { ms: 1, due: due('disk-full') })
    expect([mishaps.of('a'), mishaps.of('b')]).toEqual([undefined, 'disk-full'])
    expect(new Mishaps(mishaps.told()).of('b')).toBe('disk-full')
  })

  it('is compared no further than anybody can say what comes of it', async () => {
    const [plain, seen] = [none, { ...none, queues: { done: [1] } }]
    const same = async () => plain
    const expected = { plain: same, others: async () => ({ reordered: [], shifted: plain }), shiftedAgain: same, order }
    expect((await compareEffects({ ...expected, isSure: async () => true }, seen))?.what).toBe('queues of "done"')
    expect(await compareEffects({ ...expected, isSure: async () => false }, seen)).toBeUndefined()
  })
})

describe('requests are compared by their keys', () => {
  const of = (...keys: string[]) => ({ sure: keys.length, most: keys.length, keys })
  const compared = async (wanted: Requests, requests: Requests) => {
    const plain = { ...none, requests: wanted }
    const others = { reordered: [], shifted: plain }
    const same = async () => plain
    const expected = { plain: same, others: async () => others, shiftedAgain: same, order }
    return (await compareEffects(expected, { ...none, requests }))?.seen
  }

  it.each<[string, Requests, Requests, string | undefined]>([
    ['as many', { a: of('1') }, { a: of('x') }, undefined],
    ['one that never came', { a: of('1') }, {}, '0'],
    ['one that came under two keys', { a: of('1') }, { a: of('x', 'y') }, '2'],
    ['one that nobody sent', {}, { a: of('x') }, '1'],
    ['one of an item that failed', { a: { sure: 0, most: 1, keys: ['1'] } }, {}, undefined],
    ['two under one key', { a: of('1'), b: of('2') }, { a: of('x'), b: of('x') }, 'both "a" and "b"'],
    ["two whose key is the workflow's own", { a: of('1'), b: of('1') }, { a: of('x'), b: of('x') }, undefined],
  ])('%s', async (_what, wanted, seen, difference) => expect(await compared(wanted, seen)).toBe(difference))
})
