import { describe, expect, it } from 'vitest'
import type { Json, JsonObject } from '../../engine/json.ts'
import { compareEffects, expectedEffects } from '../../sim/expected.ts'
import { type Effects, runReference } from '../../sim/reference.ts'
import { graphOf, twoLoops, workflowOf } from './support.ts'

const options = { files: {}, order: 'first', clockStepMs: 0, startMs: 0, seed: 'a' } as const
const transform = (template: string): [string, JsonObject] => [
  'data-transformer',
  { output_template: template, overwrite: false },
]

async function effectsOf(workflow: JsonObject): Promise<Effects> {
  const effects = await runReference(graphOf(workflow), options)
  if (effects === undefined) throw new Error('the workflow does not end')
  return effects
}

const dataOf = (items: readonly Json[] | undefined) => (items ?? []).map(item => (item as { data: JsonObject }).data)

describe('the reference', () => {
  it('passes every item through a queue, in order', async () => {
    const effects = await effectsOf(twoLoops(4))
    expect(dataOf(effects.queues.done).map(({ counter }) => (counter as JsonObject).current)).toEqual([1, 2, 3, 4])
    expect(effects.iterations).toEqual({ count: 4, in: 4 })
    expect(effects.state).toEqual({ 'count\tcount': 4 })
    expect(effects.queues.queue_out_in).toEqual([])
  })

  it('joins what branches set, and leaves out the one that was not taken', async () => {
    const workflow = workflowOf(
      [
        ['count', 'counter', { min_value: 1, max_value: 2 }],
        ['odd', 'if-condition', { condition_expression: 'data.counter.current == 1' }],
        ['a', ...transform('{"a": 1}')],
        ['b', ...transform('{"b": 1}')],
        ['join', 'log', { message: 'x' }],
        ['done', 'queue-writer', { queue_name: 'done' }],
      ],
      'count>odd odd>a:yes count>b a>join b>join join>done',
    )
    const [first, second] = dataOf((await effectsOf(workflow)).queues.done)
    expect([first?.data_transformer, first?.data_transformer_2]).toEqual([{ a: 1 }, { b: 1 }])
    expect([second?.data_transformer, second?.data_transformer_2]).toEqual([{ b: 1 }, undefined])
  })

  it('runs a body once per element, in order', async () => {
    const workflow = workflowOf(
      [
        ['count', 'counter', { min_value: 1, max_value: 1 }],
        ['each', 'for-each', { array_expression: '[3, 4]' }],
        ['body', ...transform('{"twice": "{{ data.forEachNode.state.item * 2 }}"}')],
        ['done', 'queue-writer', { queue_name: 'done' }],
      ],
      'count>each each>body:subdag each>done',
    )
    const [data] = dataOf((await effectsOf(workflow)).queues.done)
    const results = ((data as JsonObject).loop_results as JsonObject[]).map(result => result.data_transformer)
    expect(results).toEqual([{ twice: 6 }, { twice: 8 }])
  })

  it('dead-letters what fails, keeps the producer going, and nothing else', async () => {
    const workflow = workflowOf(
      [
        ['count', 'counter', { min_value: 1, max_value: 3 }],
        ['early', 'queue-writer', { queue_name: 'early' }],
        ['bad', ...transform('{"n": "{% if data.counter.current == 2 %}{{ data.no.such }}{% endif %}"}')],
      ],
      'count>early count>bad',
      { strict_templates: true },
    )
    const effects = await effectsOf(workflow)
    expect(effects.deadLetters.count).toMatchObject([{ loop: 'count', node: 'bad', code: 'TEMPLATE_FAILED' }])
    expect(dataOf(effects.queues.early).map(({ counter }) => (counter as JsonObject).current)).toEqual([1, 3])
    expect([effects.iterations.count, effects.state['count\tcount']]).toEqual([3, 3])
  })

  it('gives up on a workflow without an end', async () => {
    const endless = workflowOf(
      [
        ['tick', 'timer', { interval: 1, unit: 'hours' }],
        ['say', 'log', { message: 'x' }],
      ],
      'tick>say',
    )
    expect(await runReference(graphOf(endless), options)).toBeUndefined()
  })
})

describe('expected effects', () => {
  const referencesOf = async (workflow: JsonObject) => {
    const expected = expectedEffects(graphOf(workflow), {})
    const [plain, others] = [await expected.plain(), await expected.others()]
    if (plain === undefined || others === undefined) throw new Error('no reference')
    return { expected, plain, ...others }
  }
  const change = (effects: Effects, at: (copy: Effects) => unknown): Effects => {
    const copy = structuredClone(effects)
    at(copy)
    return copy
  }

  it('are met by themselves, by other ids and times, and by more of the same writes', async () => {
    const { expected, plain, shifted } = await referencesOf(twoLoops(3))
    expect(await compareEffects(expected, plain)).toBeUndefined()
    expect(await compareEffects(expected, shifted)).toBeUndefined()
    expect(plain).not.toEqual(shifted)
  })

  it.each<[string, (copy: Effects) => unknown]>([
    ['an item twice', copy => void copy.queues.done?.push(copy.queues.done[0] as Json)],
    ['an item missing', copy => void copy.queues.done?.pop()],
    ['items in another order', copy => void copy.queues.done?.reverse()],
    ['a state ahead', copy => Object.assign(copy.state, { count: 9 })],
    ['a state that nobody wrote', copy => Object.assign(copy.state, { other: 1 })],
    ['an iteration too many', copy => Object.assign(copy.iterations, { in: 4 })],
    ['a dead letter', copy => Object.assign(copy.deadLetters, { in: [{ node: 'in' }] })],
    ['a variable', copy => Object.assign(copy.runtime, { x: 1 })],
  ])('notice %s', async (_what, at) => {
    const { expected, plain } = await referencesOf(twoLoops(3))
    expect(await compareEffects(expected, change(plain, at))).toBeDefined()
  })

  it('do not take what two draws have in common by chance for what is sure', async () => {
    const { expected, plain, reordered } = await referencesOf(twoLoops(3))
    const drawn = (value: number) => change(plain, copy => Object.assign(copy.state, { drawn: value }))
    const others = async () => ({ reordered: reordered.map(() => drawn(1)), shifted: drawn(1) })
    const chance = { ...expected, plain: async () => drawn(1), others, shiftedAgain: async () => drawn(2) }
    expect(await compareEffects(chance, drawn(3))).toBeUndefined()
    expect(await compareEffects({ ...chance, shiftedAgain: async () => drawn(1) }, drawn(3))).toBeDefined()
  })

  it('allow any order where two writers meet, and only there', async () => {
    const workflow = workflowOf(
      [
        ['up', 'counter', { min_value: 1, max_value: 2 }],
        ['down', 'counter', { min_value: 1, max_value: 2, direction: 'decrement' }],
        ['u', 'queue-writer', { queue_name: 'done' }],
        ['d', 'queue-writer', { queue_name: 'done' }],
      ],
      'up>u down>d',
    )
    const { expected, plain } = await referencesOf(workflow)
    const done = plain.queues.done as Json[]
    const turned = change(plain, copy => Object.assign(copy.queues, { done: [...done.slice(1), done[0] as Json] }))
    expect(await compareEffects(expected, turned)).toBeUndefined()
    const doubled = change(plain, copy => Object.assign(copy.queues, { done: [...done.slice(1), done[1] as Json] }))
    expect(await compareEffects(expected, doubled)).toBeDefined()
  })

  it('take writes to the outside at least once, but each of them', async () => {
    const workflow = workflowOf(
      [
        ['count', 'counter', { min_value: 1, max_value: 2 }],
        ['write', 'file-writer', { file_path: 'f', mode: 'a', content: 'n{{ data.counter.current }}' }],
      ],
      'count>write',
    )
    const { expected, plain } = await referencesOf(workflow)
    const [first, second] = plain.files.f as [string, string]
    const writes = (list: string[]) =>
      compareEffects(
        expected,
        change(plain, copy => Object.assign(copy.files, { f: list })),
      )
    expect(await writes([first, first, second, second])).toBeUndefined()
    expect(await writes([first])).toBeDefined()
    expect(await writes([first, second, 'other'])).toBeDefined()
  })
})
