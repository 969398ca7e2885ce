import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'

const base = '/api/workflow/w'

async function edited(nodes: Record<string, [string, JsonObject]> = { 1: ['counter', {}], 2: ['log', {}] }) {
  const bench = apiBench({ files: { f: { nodes: [{ id: 'a', type: 'counter' }] } } })
  await bench.send('POST /api/workflow', { id: 'w', ...rawconfig(nodes) })
  return bench
}

describe('an editor', () => {
  it('adds, connects, moves and removes', async () => {
    const { send } = await edited()
    const added = await send(`POST ${base}/nodes/add/`, { node_type: 'if-condition', x: 10, y: 20 })
    expect(added).toMatchObject({
      status: 201,
      body: {
        id: '3',
        node_type: { identifier: 'if-condition', name: says(/./) },
        position: { x: 10, y: 20 },
        form_values: {},
      },
    })
    const first = await send(`POST ${base}/connections/add`, { source_node: 1, target_node: 3 })
    expect(first).toMatchObject({
      status: 201,
      body: { id: '1', source_node: '1', target_node: '3', source_handle: null },
    })
    const yes = { source_node: '3', target_node: '2', source_handle: 'yes' }
    expect((await send(`POST ${base}/connections/add`, yes)).body).toMatchObject({ id: '2', ...yes })
    expect((await send(`POST ${base}/nodes/3/position`, { x: 1, y: 2 })).body.position).toEqual({ x: 1, y: 2 })
    expect((await send(`PUT ${base}/nodes/3/position`, { position: { x: 3, y: 4 } })).body).toMatchObject({
      x: 3,
      y: 4,
    })
    expect((await send(`GET ${base}/connections`)).body).toHaveLength(2)
    expect((await send(`DELETE ${base}/connections/1/remove`)).status).toBe(204)
    expect((await send(`POST ${base}/nodes/3/remove`)).status).toBe(204)
    expect((await send(`GET ${base}/nodes`)).body.map((node: JsonObject) => node.id)).toEqual(['1', '2'])
    expect((await send(`GET ${base}/connections`)).body).toEqual([])
    expect((await send(`GET ${base}`)).body.version).toBe(9 - 1)
  })

  it('keeps the shape that the definition has', async () => {
    const { send, api } = await edited()
    await send(`POST ${base}/nodes/add`, { node_type: { identifier: 'log' } })
    expect((await api.catalogue.get('w')).stored).toMatchObject({
      nodes: [{ node_type: 'counter' }, {}, { x: 0 }],
      connections: [],
    })
  })

  it('fills in a form; what is wrong in it is not kept', async () => {
    const { send } = await edited()
    const kept = await send(`POST ${base}/nodes/1/form`, { form_values: { max_value: 5 } })
    expect(kept.body).toMatchObject({ node: { form_values: { max_value: 5 } } })
    expect(kept.body.form.find((line: JsonObject) => line.name === 'max_value')).toMatchObject({ value: 5, errors: [] })
    const wrong = await send(`PATCH ${base}/nodes/1/form`, { form_values: { max_value: 'many' } })
    expect(wrong).toMatchObject({ status: 400, body: { error_code: 'FORM_INVALID', error: says(/"max_value"/) } })
    expect(wrong.body.form.find((line: JsonObject) => line.name === 'max_value').errors).toEqual([says(/./)])
    const form = (await send(`GET ${base}/nodes/1/form`)).body.form
    expect(form.find((line: JsonObject) => line.name === 'max_value').value).toBe(5)
  })

  it('edits beside another: neither loses what the other did', async () => {
    let between = async () => {}
    const { send } = apiBench({
      redis: redis => ({
        ...redis,
        call: async (script, keys, args) => {
          const before = between
          between = async () => {}
          if (script.name === 'define') await before()
          return await redis.call(script, keys, args)
        },
      }),
    })
    const { nodes } = rawconfig({ 1: ['counter', {}] })
    await send('POST /api/workflow', { id: 'w', nodes: nodes ?? [] })
    const add = (headers = {}) => send(`POST ${base}/nodes/add`, { node_type: 'log' }, headers)
    between = async () => expect((await add()).body.id).toBe('2')
    expect((await add()).body.id).toBe('3')
    expect((await send(`GET ${base}/nodes`)).body).toHaveLength(3)
    expect(await add({ 'if-match': '"1"' })).toMatchObject({ status: 409, body: { error_code: 'VERSION_CONFLICT' } })
  })

  it.each<[string, string, JsonObject | undefined, object]>([
    [
      'an unknown type',
      'nodes/add',
      { node_type: 'lok' },
      { status: 404, body: { error: says(/did you mean "log"/) } },
    ],
    ['an id that is taken', 'nodes/add', { node_type: 'log', id: 1 }, { status: 409 }],
    ['no place', 'nodes/1/position', { x: 'left' }, { status: 400, body: { error_code: 'VALIDATION_ERROR' } }],
    ['an unknown node', 'nodes/9/remove', undefined, { status: 404, body: { error_code: 'NODE_UNKNOWN' } }],
    ['an unknown connection', 'connections/9/remove', undefined, { status: 404 }],
    ['an edge into nothing', 'connections/add', { source_node: 1, target_node: 9 }, { status: 404 }],
    [
      'an edge into a producer',
      'connections/add',
      { source_node: 2, target_node: 1 },
      { status: 400, body: { error_code: 'CONNECTION_INVALID', details: [{ code: 'EDGE_INTO_PRODUCER' }] } },
    ],
    [
      'a branch that is none',
      'connections/add',
      { source_node: 1, target_node: 2, source_handle: 'maybe' },
      { status: 400, body: { details: [{ code: 'UNKNOWN_PORT', hint: says(/default/) }] } },
    ],
    ['nothing at all', 'connections/add', {}, { status: 400, body: { details: { source_node: [says(/./)] } } }],
  ])('is told of %s, and nothing changes', async (_, path, body, expected) => {
    const { send } = await edited()
    expect(await send(`POST ${base}/${path}`, body)).toMatchObject(expected)
    expect((await send(`GET ${base}`)).body.version).toBe(1)
  })

  it('cannot edit a file', async () => {
    const { send } = await edited()
    expect(await send('POST /api/workflow/f/nodes/add', { node_type: 'log' })).toMatchObject({ status: 409 })
  })
})
