import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { apiBench, says } from '../support/api-bench.ts'
import { CascadeNode } from '../support/cascade-node.ts'

describe('the catalogue', () => {
  it('is a tree, a list, a number and single types', async () => {
    const { send } = apiBench({ classes: [CascadeNode] })
    const { count } = (await send('GET /api/nodes/count/')).body
    const flat = (await send('GET /api/nodes/flat')).body
    expect(flat).toHaveLength(count)
    const tree = (await send('GET /api/nodes')).body
    expect(tree.flatMap((category: { nodes: unknown[] }) => category.nodes)).toHaveLength(count)
    expect(tree.find((category: JsonObject) => category.name === 'Tests').nodes).toMatchObject([
      { identifier: 'cascade-node' },
    ])
    expect((await send('GET /api/nodes/queue_reader')).body).toMatchObject({
      ...{ identifier: 'queue-reader', type: 'ProducerNode', kind: 'producer', aliases: ['queue-reader-dummy'] },
      ...{ has_form: true, input_ports: [], output_ports: [{ id: 'default' }], form: [{ name: 'queue_name' }] },
    })
    expect(await send('GET /api/nodes/queue-raeder')).toMatchObject({
      status: 404,
      body: { error: says(/"queue-reader"/) },
    })
  })
})

describe('a form', () => {
  const fields = (body: { form: JsonObject[] }) =>
    Object.fromEntries(
      body.form.map(({ name, value, options }) => [name, [value, (options as JsonObject[]).map(each => each.value)]]),
    )

  it('cascades: what hangs on a changed field is cleared, and offered anew', async () => {
    const { send } = apiBench({ classes: [CascadeNode] })
    const update = async (field_values: JsonObject) =>
      fields((await send('POST /api/nodes/cascade-node/form/update', { field_values })).body)
    const full = { country: 'de', city: 'bonn', street: 'bonn-2' }
    expect(await update(full)).toMatchObject({
      ...{ country: ['de', []], city: ['bonn', ['berlin', 'bonn']], street: ['bonn-2', ['bonn-1', 'bonn-2']] },
    })
    expect(await update({ ...full, country: 'fr' })).toMatchObject({ city: [null, ['paris']], street: [null, []] })
    const options = await send('POST /api/nodes/cascade-node/field-options', {
      field: 'city',
      field_values: { country: 'fr' },
    })
    expect(options.body).toEqual({ field: 'city', options: [{ value: 'paris', label: 'PARIS' }] })
  })

  it('never gives a secret back', async () => {
    const { send } = apiBench({ classes: [CascadeNode] })
    const answer = await send('POST /api/nodes/cascade-node/form/update', { field_values: { token: 'hunter2' } })
    expect([answer.status, answer.text.includes('hunter2')]).toEqual([200, false])
    expect((await send('GET /api/nodes/cascade-node/form')).body).toMatchObject({
      node: { identifier: 'cascade-node' },
    })
  })

  it.each<[string, JsonObject]>([
    ['form/update', { field_values: { planet: 'x' } }],
    ['form/update', { field_values: 1 }],
    ['field-options', { field: 'planet' }],
    ['field-options', {}],
  ])('%s refuses %j', async (path, body) => {
    const { send } = apiBench({ classes: [CascadeNode] })
    expect(await send(`POST /api/nodes/cascade-node/${path}`, body)).toMatchObject({
      status: 400,
      body: { error: says(/./) },
    })
  })
})

describe('a single node', () => {
  it('runs on what it is given', async () => {
    const { send } = apiBench()
    const body = { input_data: { n: 2 }, form_data: { output_template: '{"m": "{{ data.n * 2 }}"}' } }
    const answer = await send('POST /api/nodes/data-transformer/execute', body)
    expect(answer).toMatchObject({
      status: 200,
      body: { success: true, output: { m: 4 }, node_type: 'data-transformer' },
    })
  })

  it('keeps its state in a session, until that is reset', async () => {
    const { send } = apiBench()
    const current = async () =>
      (await send('POST /api/nodes/counter/execute', { session_id: 's' })).body.output.counter.current
    expect([await current(), await current()]).toEqual([0, 1])
    expect((await send('POST /api/nodes/counter/reset-session', { session_id: 's' })).body).toMatchObject({
      success: true,
    })
    expect(await current()).toBe(0)
  })

  it('tells what is wrong by field', async () => {
    const { send } = apiBench()
    const answer = await send('POST /api/nodes/http-request/execute', { form_data: { auth_password: 'hunter2' } })
    expect(answer).toMatchObject({
      status: 400,
      body: { success: false, error_type: 'FORM_INVALID', error_code: 'FORM_INVALID', detail: says(/"url"/) },
    })
    expect(answer.body.form.find((line: JsonObject) => line.name === 'url').errors).toEqual([says(/empty/)])
    expect(answer.text).not.toContain('hunter2')
  })

  it('is stopped after its time-out', async () => {
    const { send } = apiBench()
    const form_data = { interval: 1, unit: 'hours' }
    const answer = await send('POST /api/nodes/static-delay-node/execute', { form_data, timeout: 0.01 })
    expect(answer).toMatchObject({ status: 400, body: { error_code: 'NODE_TIMEOUT' } })
    expect(await send('POST /api/nodes/log/execute', { timeout: -1 })).toMatchObject({ status: 400 })
  })
})
