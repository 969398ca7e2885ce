import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import { compileForm } from '../../../../engine/node/form.ts'
import { ExecutionCompleted, type NodeOutput } from '../../../../engine/node/node.ts'
import { Counter } from '../../../../engine/nodes/producers/counter.ts'
import { NodeBench } from '../../../support/fake-context.ts'

/** All values of a counter, restarting the instance after every `restartEvery` items. */
async function count(form: JsonObject, restartEvery = 7): Promise<JsonObject[]> {
  const bench = new NodeBench(Counter, form)
  const seen: JsonObject[] = []
  for (;;) {
    const result = await bench.run()
    if (result instanceof ExecutionCompleted) return seen
    seen.push((result as NodeOutput).data.counter as JsonObject)
    if (seen.length % restartEvery === 0) bench.restart()
  }
}

describe('counter', () => {
  const table: [string, JsonObject, number[]][] = [
    ['upwards', { min_value: 1, max_value: 4 }, [1, 2, 3, 4]],
    ['downwards', { min_value: 1, max_value: 4, direction: 'decrement' }, [4, 3, 2, 1]],
    ['in steps that miss the bound', { min_value: 0, max_value: 10, step: 4 }, [0, 4, 8]],
    ['downwards in steps', { min_value: 0, max_value: 10, step: '4', direction: 'decrement' }, [10, 6, 2]],
    ['one value', { min_value: 5, max_value: 5 }, [5]],
    ['below zero', { min_value: -2, max_value: 0 }, [-2, -1, 0]],
    ['as texts', { min_value: '1', max_value: '2', step: '1', direction: 'increment' }, [1, 2]],
    ['defaults', { min_value: 8 }, [8, 9, 10]],
  ]
  it.each(table)('%s', async (_name, form, expected) => {
    const seen = await count(form, 2)
    expect(seen.map(value => value.current)).toEqual(expected)
    expect(seen.map(value => value.iteration)).toEqual(expected.map((_, i) => i + 1))
  })

  it('puts out its form beside the value', async () => {
    expect((await count({ min_value: 1, max_value: 9, step: 3 }))[1]).toEqual({
      ...{ current: 4, min: 1, max: 9, step: 3, direction: 'increment', iteration: 2 },
    })
  })

  it('counts 1 to 20,000 exactly', async () => {
    const seen = await count({ min_value: 1, max_value: 20_000 }, 1_000)
    expect(seen.length).toBe(20_000)
    expect(seen.every((value, i) => value.current === i + 1)).toBe(true)
  })

  it('does not drift with fractions', async () => {
    const seen = await count({ min_value: 0, max_value: 1, step: 0.1 })
    expect(seen.length).toBe(11)
    expect(seen.at(-1)?.current).toBe(1)
  })

  it.each<[string, JsonObject, number[]]>([
    ['upwards to 0.3', { min_value: 0, max_value: 0.3, step: 0.1 }, [0, 0.1, 0.2, 0.3]],
    [
      'downwards to 0.1',
      { min_value: 0.1, max_value: 0.5, step: 0.1, direction: 'decrement' },
      [0.5, 0.4, 0.3, 0.2, 0.1],
    ],
    ['through zero', { min_value: -0.2, max_value: 0.2, step: 0.1 }, [-0.2, -0.1, 0, 0.1, 0.2]],
    ['in tiny steps', { min_value: 0, max_value: 2e-7, step: 1e-7 }, [0, 1e-7, 2e-7]],
  ])('reaches the bound %s', async (_name, form, expected) => {
    expect((await count(form)).map(value => value.current)).toEqual(expected)
  })

  it('keeps how many it has yielded as its state', async () => {
    const bench = new NodeBench(Counter, { min_value: 3, max_value: 9, step: 2 })
    await bench.run()
    expect(bench.state).toBe(1)
  })

  const wrong: [string, JsonObject, string][] = [
    ['exchanged bounds', { min_value: 5, max_value: 1 }, 'min_value'],
    ['no step', { min_value: 1, max_value: 5, step: 0 }, 'step'],
    ['a step back', { min_value: 1, max_value: 5, step: -1 }, 'step'],
    ['no direction', { direction: 'sideways' }, 'direction'],
  ]
  it.each(wrong)('refuses %s', (_name, form, field) => {
    expect(compileForm(Counter.form, form, { strict: false }).problems).toMatchObject([{ field }])
  })
})
