import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'

const set = (text: string): [string, JsonObject] => ['data-transformer', { output_template: text }]
const nodes: Record<string, [string, JsonObject]> = {
  1: ['counter', { min_value: 5 }],
  2: set('{"n": "{{ data.counter.current }}"}'),
  3: ['for-each', { array_expression: '[1, 2]' }],
  4: set('{"r": "{{ data.forEachNode.state.item * 10 }}"}'),
  5: ['queue-writer', { queue_name: 'out' }],
}

async function opened() {
  const bench = apiBench({ files: { f: { name: 'F', ...rawconfig({ 1: ['counter', {}] }) } } })
  await bench.send('POST /api/workflow', { id: 'w', ...rawconfig(nodes, '1>2 3:subdag>4') })
  const post = (path: string, body: JsonObject) => bench.send(`POST /api/workflow/w/${path}`, body)
  const run = (node_id: number | string, more: JsonObject = {}) => post('execute_and_save_node', { node_id, ...more })
  return { ...bench, post, run }
}

describe('execute_and_save_node', () => {
  it('runs a node on what those before it put out, also without a session', async () => {
    const { run, send } = await opened()
    expect(await run(2)).toMatchObject({
      status: 400,
      body: { success: false, error_code: 'NO_INPUT', error: says(/run "1" first/) },
    })
    expect((await send('GET /api/workflow/w/nodes/2/input')).body).toMatchObject({ input_data: null })
    expect(await run(1)).toMatchObject({
      status: 200,
      body: {
        ...{ success: true, node_id: '1', node_type: 'counter', input_data: {}, form_values: { min_value: 5 } },
        ...{ output: { counter: { current: 5 } }, session_id: says(/./), duration_ms: expect.any(Number) },
      },
    })
    expect((await send('GET /api/workflow/w/nodes/2/input')).body).toMatchObject({
      input_data: { counter: { current: 5 } },
    })
    expect((await run('2')).body).toMatchObject({ output: { n: 5 } })
    expect((await send('GET /api/workflow/w/nodes/2/output')).body).toMatchObject({ node_id: '2', output: { n: 5 } })
    expect((await run(1)).body.output.counter.current).toBe(5)
  })

  it('steps a producer through its items in a session, and forgets on demand', async () => {
    const { run, post, send } = await opened()
    const current = async () => (await run(1, { session_id: 's' })).body.output.counter.current
    expect([await current(), await current()]).toEqual([5, 6])
    expect((await send('GET /api/workflow/w/nodes/1/output?session_id=s')).body.output.counter.current).toBe(6)
    expect((await post('clear_node_output', { node_id: 1, session_id: 's' })).body).toMatchObject({ success: true })
    expect((await send('GET /api/workflow/w/nodes/1/output?session_id=s')).body.output).toBeNull()
    expect(await current()).toBe(5)
  })

  it('keeps a form that it ran with; a form that is wrong is told by field, and not kept', async () => {
    const { run, send } = await opened()
    expect((await run(1, { form_values: { min_value: 7 } })).body.output.counter.current).toBe(7)
    const wrong = await run(1, { form_values: { min_value: 'many' } })
    expect(wrong).toMatchObject({ status: 400, body: { error_type: 'FORM_INVALID' } })
    expect(wrong.body.form.find((line: JsonObject) => line.name === 'min_value').errors).toEqual([says(/./)])
    expect((await send('GET /api/workflow/w')).body.nodes[0].form_values).toMatchObject({ min_value: 7 })
  })

  it('tries a form out where a file defines the workflow, and writes nothing', async () => {
    const { send } = await opened()
    const body = { node_id: 1, form_values: { min_value: 3 } }
    const answer = await send('POST /api/workflow/f/execute_and_save_node', body)
    expect(answer.body.output.counter.current).toBe(3)
    expect((await send('GET /api/workflow/f')).body.nodes[0].form_values).toEqual({})
  })

  it('says what is wrong with a file that has no nodes to run', async () => {
    const { send } = apiBench({ files: { b: { nodes: 1 }, c: { nodes: [null] } } })
    for (const [id, status] of [
      ['b', 400],
      ['c', 404],
    ]) {
      const answer = await send(`POST /api/workflow/${id}/execute_and_save_node`, { node_id: 1 })
      expect(answer).toMatchObject({ status, body: { error: says(/Cannot/) } })
    }
  })

  it('never touches production: a writer says what it would push', async () => {
    const { run, send } = await opened()
    expect((await run(5, { input_data: { a: 1 } })).body).toMatchObject({
      would_push: [{ queue: 'out', data: { a: 1 } }],
    })
    expect((await send('GET /api/workflow/w/queues')).body).toEqual([])
  })
})

it('a for-each goes one element further with each call', async () => {
  const { post, run } = await opened()
  const step = async () => (await post('execute_for_each_iteration', { node_id: 3, input_data: {} })).body
  expect(await step()).toMatchObject({ output: { forEachNode: { state: { index: 0, item: 1 } } } })
  expect((await run(4)).body.output).toEqual({ r: 10 })
  expect(await step()).toMatchObject({
    output: { forEachNode: { state: { index: 1, item: 2 }, results: [{ r: 10 }] } },
  })
  await run(4)
  expect(await step()).toMatchObject({ message: says(/all 2/), output: { loop_results: [{ r: 10 }, { r: 20 }] } })
})

describe.each(['/dev/execute', '/api/dev/execute/'])('%s', url => {
  it('runs a node of a workflow, or of a type alone', async () => {
    const { send } = await opened()
    const ofWorkflow = await send(`POST ${url}`, { workflow_id: 'w', node_id: 1 })
    expect(ofWorkflow.body).toMatchObject({ success: true, node_id: '1', output: { counter: { current: 5 } } })
    const ofType = await send(`POST ${url}`, { type: 'counter', form_values: { min_value: 2 }, input_data: {} })
    expect(ofType.body).toMatchObject({ success: true, node_type: 'counter', output: { counter: { current: 2 } } })
    expect(await send(`POST ${url}`, { type: 'none' })).toMatchObject({ status: 404 })
    expect(await send(`POST ${url}`, { workflow_id: 'w' })).toMatchObject({
      status: 400,
      body: { details: { node_id: [says(/./)] } },
    })
    expect(await send(`POST ${url}`, { workflow_id: 'w', node_id: 99 })).toMatchObject({ status: 404 })
  })
})
