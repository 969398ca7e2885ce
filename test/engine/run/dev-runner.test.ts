import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../engine/json.ts'
import { limits } from '../../../engine/limits.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import { type DevRequest, DevRunner, mergedInput } from '../../../engine/run/dev-runner.ts'
import { keysOf, workflowPrefix } from '../../../engine/store/keys.ts'
import { allScripts } from '../../../engine/store/scripts/index.ts'
import { Bench, type Sketch, sketch } from '../../support/engine-bench.ts'

function dev(sketched: Sketch) {
  const bench = new Bench()
  const ports = bench.ports(1)
  const runner = new DevRunner({ registry: defaultRegistry(), ports })
  const workflow = sketch(sketched)
  const run = (nodeId: string, more: Partial<DevRequest> = {}) =>
    bench.finish(runner.execute({ workflow, nodeId, sessionId: 's', ...more }))
  return { bench, ports, runner, workflow, run }
}

const set = (template: string): [string, JsonObject] => [
  'data-transformer',
  { output_template: template, overwrite: true },
]

describe('a node alone', () => {
  it('runs on what it is given, with form values on top of the stored ones', async () => {
    const { run } = dev({ nodes: { a: set('{"n": "{{ data.n }}"}') }, edges: '' })
    expect(await run('a', { input: { n: 1 } })).toEqual({
      success: true,
      node_id: 'a',
      node_type: 'data-transformer',
      input_data: { n: 1 },
      form_values: { output_template: '{"n": "{{ data.n }}"}', overwrite: true },
      output: { n: 1 },
      session_id: 's',
      duration_ms: 0,
    })
    const changed = await run('a', { input: { n: 1 }, formValues: { output_template: '{"m": 2}' } })
    expect(changed).toMatchObject({ output: { m: 2 }, form_values: { output_template: '{"m": 2}' } })
  })

  it('goes on with what the nodes before it put out', async () => {
    const { run } = dev({
      nodes: { a: set('{"x": 1, "y": 1}'), b: set('{"y": 2, "z": 2}'), c: set('{"all": "{{ data }}"}') },
      edges: 'a>c b>c',
    })
    expect(await run('c')).toMatchObject({
      success: false,
      error_type: 'NO_INPUT',
      error: expect.stringMatching(/run "a" or "b" first/),
    })
    await run('b')
    await run('a')
    expect(await run('c')).toMatchObject({ input_data: { x: 1, y: 1, z: 2 } })
    expect(await run('c', { input: { y: 0 } })).toMatchObject({ input_data: { y: 0, x: 1, z: 2 } })
  })

  it('keeps sessions apart, and forgets after a day', async () => {
    const { run, bench, runner } = dev({ nodes: { a: set('{"x": 1}'), b: 'log' }, edges: 'a>b' })
    await run('a')
    expect(await run('b', { sessionId: 'other' })).toMatchObject({ error_type: 'NO_INPUT' })
    expect(await bench.finish(runner.output('story', 'a', 's'))).toEqual({ x: 1 })
    await bench.pass(limits.devCacheMs + 1)
    expect(await bench.finish(runner.output('story', 'a', 's'))).toBeUndefined()
  })

  it('steps a stateful producer through its items, call by call, until it is reset', async () => {
    const { run, bench, runner } = dev({ nodes: { c: ['counter', { min_value: 1, max_value: 2 }] }, edges: '' })
    const current = async () => {
      const answer = await run('c')
      return answer.success ? (answer.output as { counter?: { current: number } } | null)?.counter?.current : answer
    }
    expect([await current(), await current(), await current()]).toEqual([1, 2, undefined])
    expect(await run('c')).toMatchObject({
      success: true,
      output: null,
      message: expect.stringMatching(/no more items/),
    })
    await bench.finish(runner.clear('story', 'c', 's'))
    expect(await current()).toBe(1)
  })

  it('begins anew in every call without a session', async () => {
    const { bench, runner, workflow } = dev({ nodes: { c: ['counter', {}] }, edges: '' })
    for (let i = 0; i < 2; i++) {
      const answer = await bench.finish(runner.execute({ workflow, nodeId: 'c' }))
      expect(answer).toMatchObject({ output: { counter: { current: 0 } } })
    }
  })

  it('says which branch a conditional takes', async () => {
    const { run } = dev({ nodes: { i: ['if-condition', { condition_expression: 'data.n > 1' }] }, edges: '' })
    expect(await run('i', { input: { n: 2 } })).toMatchObject({ success: true, route: 'yes' })
  })

  it('runs although the rest of the workflow is not finished', async () => {
    const { run } = dev({ nodes: { a: set('{"x": 1}'), broken: 'no-such-type' }, edges: 'a>a' })
    expect(await run('a', { input: {} })).toMatchObject({ output: { x: 1 } })
  })

  it('tells what is wrong by field, without the secrets', async () => {
    const form = { method: 'GET', url: '', auth_password: 'hunter2' }
    const { run } = dev({ nodes: { h: ['http-request', form] }, edges: '' })
    const answer = await run('h', { input: {} })
    expect(answer).toMatchObject({ success: false, error_type: 'FORM_INVALID', form_values: { auth_password: null } })
    expect(answer.success === false && answer.form?.filter(field => field.errors.length > 0)).toMatchObject([
      { name: 'url', errors: [expect.stringMatching(/empty/)] },
    ])
    expect(JSON.stringify(answer)).not.toContain('hunter2')
  })

  it('tells the field of a value that was rendered wrong', async () => {
    const { run } = dev({ nodes: { h: ['http-request', { url: '{{ data.u }}' }] }, edges: '' })
    const answer = await run('h', { input: { u: 'ftp://x' } })
    expect(answer).toMatchObject({ success: false, error_type: 'FORM_INVALID' })
    expect(answer.success === false && answer.form?.find(field => field.name === 'url')?.errors).toHaveLength(1)
  })

  it('names the nodes there are', async () => {
    const { run } = dev({ nodes: { a: 'log', b: 'log' }, edges: '' })
    await expect(run('c')).rejects.toThrow(/"c".*it has a, b/)
  })

  it('is given up when its caller goes', async () => {
    const { run, bench } = dev({ nodes: { d: ['static-delay-node', { interval: 1, unit: 'hours' }] }, edges: '' })
    const gone = new AbortController()
    bench.time.after(50, () => gone.abort())
    expect(await run('d', { input: {}, signal: gone.signal })).toMatchObject({ error_type: 'ITERATION_ABORTED' })
    expect(bench.time.ms).toBeLessThan(5_000)
  })
})

describe('for-each', () => {
  const nodes = {
    e: ['for-each', { array_expression: '[1, 2]' }] as [string, JsonObject],
    b: set('{"r": "{{ data.forEachNode.state.item * 10 }}"}'),
  }
  const whole = { c: ['counter', {}] as [string, JsonObject], ...nodes }

  it('runs its whole body', async () => {
    const { run } = dev({ nodes: whole, edges: 'c>e e:subdag>b' })
    expect(await run('e', { input: {} })).toMatchObject({ output: { loop_results: [{ r: 10 }, { r: 20 }] } })
  })

  it('stops at one element after the other, and collects what the body put out between', async () => {
    const { run } = dev({ nodes, edges: 'e:subdag>b' })
    const step = () => run('e', { input: {}, each: 'element' })
    expect(await step()).toMatchObject({ output: { forEachNode: { state: { index: 0, item: 1 }, results: [] } } })
    expect(await run('b')).toMatchObject({ output: { r: 10 } })
    expect(await step()).toMatchObject({
      output: { forEachNode: { state: { index: 1, item: 2 }, results: [{ r: 10 }] } },
    })
    await run('b')
    expect(await step()).toMatchObject({
      message: expect.stringMatching(/all 2/),
      output: { loop_results: [{ r: 10 }, { r: 20 }] },
    })
    expect(await step()).toMatchObject({ output: { forEachNode: { state: { index: 0 } } } })
  })
})

describe('production', () => {
  it('is looked at and never touched', async () => {
    const { run, bench, ports } = dev({
      nodes: {
        w: ['queue-writer', { queue_name: 'q' }],
        r: ['queue-reader', { queue_name: 'q' }],
        v: set('{"v": "{{ 7 | set_runtime(\'n\', 7) }}"}'),
      },
      edges: '',
    })
    expect(await run('r')).toMatchObject({ success: false, error: expect.stringMatching(/nothing waits in q/) })
    const push = allScripts.find(script => script.name === 'push') as (typeof allScripts)[number]
    const entry = '0|k|1|{"id":"i","data":{"n":5},"metadata":{}}'
    await ports.redis.call(push, [workflowPrefix('story')], ['t', 'q', '1', entry])
    const before = bench.server.db.dump().filter(({ key }) => key.startsWith(keysOf('story').prefix))
    expect(await run('r')).toMatchObject({ output: { n: 5 } })
    expect(await run('w', { input: { n: 6 } })).toMatchObject({ would_push: [{ queue: 'q', data: { n: 6 } }] })
    await run('v', { input: {} })
    expect(bench.server.db.dump().filter(({ key }) => key.startsWith(keysOf('story').prefix))).toEqual(before)
  })
})

it('merges inputs: the first to set a key wins, what is empty or no object brings none', () => {
  expect(mergedInput([{ a: 1 }, {}, null, 'x', [1], { a: 2, b: 2 }, undefined])).toEqual({ a: 1, b: 2 })
})

it('closes a session that was idle, and the oldest of too many', async () => {
  const { run, bench } = dev({ nodes: { c: ['counter', {}] }, edges: '' })
  const counter = async (sessionId: string) => {
    const answer = await run('c', { sessionId })
    return answer.success && (answer.output as { counter: { iteration: number } }).counter.iteration
  }
  await counter('a')
  await bench.pass(limits.devSessionIdleMs + 1)
  await counter('b')
  expect(await counter('a')).toBe(1)
  for (let i = 0; i < limits.devSessionsMax; i++) await counter(`many ${i}`)
  expect(await counter('b')).toBe(1)
})
