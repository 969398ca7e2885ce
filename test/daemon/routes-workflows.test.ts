import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { setWish } from '../../engine/store/wishes.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'
import { repository } from '../support/cli.ts'

const counter = { 1: ['counter', { max_value: 3 }], 2: ['log', {}] } as Record<string, [string, JsonObject]>
const fixture = (shape: string) =>
  JSON.parse(readFileSync(join(repository, `fixtures/workflows/shape-${shape}.json`), 'utf8')) as JsonObject
const hash = (file: JsonObject) => requireWorkflow(file, { registry: defaultRegistry(), name: 'w' }).hash

describe('definitions', () => {
  it('are created, read, changed in part, replaced, removed', async () => {
    const { send } = apiBench()
    const created = await send('POST /api/workflow/', { ...rawconfig(counter, '1>2'), name: 'Count', tags: ['a'] })
    expect(created).toMatchObject({ status: 201, headers: { etag: '"1"' } })
    expect(created.body).toMatchObject({
      ...{ name: 'Count', description: '', category: '', workflow_type: 'production', status: 'active', env: {} },
      ...{ tags: ['a'], runs_count: 0, last_run: null, runtime_state: 'stopped', version: 1, read_only: false },
      ...{ problems: [], created_at: expect.stringMatching(/^\d{4}-.*Z$/), updated_at: expect.any(String) },
    })
    const url = `/api/workflow/${created.body.id}`
    const patched = await send(`PATCH ${url}/`, { description: 'counts', env: { A: 1 } })
    expect(patched).toMatchObject({ status: 200, body: { name: 'Count', description: 'counts', version: 2 } })
    expect(patched.body.nodes).toHaveLength(2)
    const replaced = await send(`PUT ${url}`, { ...rawconfig({ 1: ['counter', {}] }), name: 'New' })
    expect(replaced.body).toMatchObject({ name: 'New', description: '', env: {}, version: 3 })
    expect(replaced.body.nodes).toHaveLength(1)
    expect(await send(`GET ${url}`)).toMatchObject({ status: 200, body: { name: 'New' }, headers: { etag: '"3"' } })
    expect(await send(`DELETE ${url}`)).toMatchObject({ status: 204, text: '' })
    expect(await send(`GET ${url}`)).toMatchObject({ status: 404, body: { error_code: 'WORKFLOW_UNKNOWN' } })
  })

  it.each(['react-flow', 'rawconfig', 'canvas-data'])('in the shape %s mean the same afterwards', async shape => {
    const { send } = apiBench()
    const file = fixture(shape)
    expect((await send('POST /api/workflow', file)).status).toBe(201)
    const raw = await send('GET /api/workflow/3f1c/rawconfig')
    expect(hash(raw.body)).toBe(hash(file))
    const canvas = await send('GET /api/workflow/3f1c/canvas_data')
    expect(hash(canvas.body)).toBe(hash(file))
    expect(canvas.body.nodes[1]).toMatchObject({
      ...{ id: '8', position: { x: 180, y: 80 }, x: 180, y: 80, form_values: { condition_expression: says(/./) } },
      node_type: {
        ...{ identifier: 'if-condition', type: 'ConditionalNode', has_form: true, category: 'Flow' },
        output_ports: [{ id: 'yes' }, { id: 'no' }],
      },
    })
    // what was read can be written back, in either shape, and nothing has changed
    for (const body of [raw.body, canvas.body]) expect((await send('PUT /api/workflow/3f1c', body)).status).toBe(200)
    expect(hash((await send('GET /api/workflow/3f1c/rawconfig')).body)).toBe(hash(file))
  })

  it('are listed bare, or by page', async () => {
    const { send } = apiBench({ files: { x: { nodes: [] } } })
    for (const id of ['a', 'b', 'c']) await send('POST /api/workflow', { id })
    expect((await send('GET /api/workflow')).body.map((each: JsonObject) => each.id)).toEqual(['x', 'a', 'b', 'c'])
    const page = await send('GET /api/workflow?page=2&page_size=3')
    expect(page.body).toMatchObject({ count: 4, next: null, previous: '/api/workflow?page=1&page_size=3' })
    expect(page.body.results.map((each: JsonObject) => each.id)).toEqual(['c'])
    expect(await send('GET /api/workflow?page=0')).toMatchObject({
      status: 400,
      body: { details: { page: [says(/./)] } },
    })
  })

  it('are never overwritten unseen', async () => {
    const { send } = apiBench()
    await send('POST /api/workflow', { id: 'w', ...rawconfig(counter, '1>2') })
    expect((await send('PATCH /api/workflow/w', { name: 'a' }, { 'if-match': '"1"' })).status).toBe(200)
    const late = await send('PATCH /api/workflow/w', { name: 'b' }, { 'if-match': '"1"' })
    expect(late).toMatchObject({ status: 409, body: { error_code: 'VERSION_CONFLICT', error: says(/has version 2/) } })
    expect(await send('DELETE /api/workflow/w', undefined, { 'if-match': 'W/"1"' })).toMatchObject({ status: 409 })
    expect(await send('POST /api/workflow', { id: 'w' })).toMatchObject({ status: 409 })
    expect(await send('PATCH /api/workflow/w', {}, { 'if-match': 'x' })).toMatchObject({ status: 400 })
    expect((await send('GET /api/workflow/w')).body.name).toBe('a')
  })

  it('of files are read-only, and can be duplicated', async () => {
    const { send } = apiBench({ files: { f: { name: 'F', ...rawconfig(counter, '1>2') } } })
    expect((await send('GET /api/workflow/f')).body).toMatchObject({ read_only: true, version: 0, status: 'active' })
    for (const line of ['PUT', 'PATCH', 'DELETE'].map(method => `${method} /api/workflow/f`)) {
      expect(await send(line, line.startsWith('D') ? undefined : {})).toMatchObject({
        status: 409,
        body: { error_code: 'READ_ONLY', error: says(/duplicate/) },
      })
    }
    const copy = await send('POST /api/workflow/f/duplicate')
    expect(copy).toMatchObject({ status: 201, body: { name: 'F (copy)', read_only: false } })
    expect(copy.body.nodes).toHaveLength(2)
  })

  it('are told with their problems, and go on as they were', async () => {
    const { send, api } = apiBench()
    await send('POST /api/workflow', { id: 'w', ...rawconfig(counter, '1>2') })
    const [before] = await api.catalogue.graphs()
    const broken = await send('PUT /api/workflow/w', rawconfig({ 1: ['conter', {}] }))
    expect(broken).toMatchObject({
      status: 200,
      body: { problems: [says(/unknown node type.*did you mean "counter"/)] },
    })
    expect(await api.catalogue.graphs()).toEqual([before])
  })

  it('that are new wait for their first start; what another process changed is seen', async () => {
    const { send, ports, api } = apiBench()
    await send('POST /api/workflow', { id: 'w', ...rawconfig(counter, '1>2') })
    expect(await setWish(ports.redis, { workflow: 'w', loop: '' }, '', 'pause')).toEqual({ differs: 'stop' })
    expect((await send('POST /api/workflow/w/deactivate')).body.status).toBe('inactive')
    expect(await api.catalogue.graphs()).toEqual([])
    expect((await send('POST /api/workflow/w/activate')).body.status).toBe('active')
  })
})

describe('bad input', () => {
  it.each<[string, unknown, object]>([
    ['no object', [], { error_code: 'VALIDATION_ERROR', details: { body: [says(/object/)] } }],
    ['a node that is none', { nodes: [1] }, { error_code: 'WORKFLOW_INVALID', details: [{ pointer: '/nodes/0' }] }],
    [
      'a setting',
      { settings: { queues: { max_length: -1 } } },
      { details: [{ pointer: '/settings/queues/max_length' }] },
    ],
    ['an id', { id: 'a\nb' }, { error_code: says(/WORKFLOW_INVALID|VALIDATION_ERROR/) }],
    ['a status', { status: 'on' }, { details: { status: [says(/active/)] } }],
  ])('%s is a 400 that says where', async (_, body, expected) => {
    const { send } = apiBench()
    expect(await send('POST /api/workflow', body as JsonObject)).toMatchObject({ status: 400, body: expected })
    expect((await send('GET /api/workflow')).body).toEqual([])
  })

  it.each<[string, string, number]>([
    ['text that is no JSON', '{', 400],
    ['a prototype key', '{"__proto__": {"a": 1}}', 400],
    ['nesting without end', `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 400],
    ['more than a body may have', JSON.stringify({ a: 'x'.repeat(2_000_000) }), 413],
  ])('%s is refused', async (_, body, status) => {
    const { send, log } = apiBench()
    const answer = await send('POST /api/workflow', body)
    expect(answer).toMatchObject({ status, body: { error: expect.any(String), detail: expect.any(String) } })
    expect(log).toEqual([])
  })
})

describe('secrets', () => {
  const call: Record<string, [string, JsonObject]> = {
    1: ['counter', {}],
    2: ['http-request', { url: 'https://x.test', auth_type: 'basic', auth_username: 'u', auth_password: 'hunter2' }],
    3: ['http-request', { url: 'https://x.test', auth_bearer_token: '{{ workflowenv.TOKEN }}' }],
  }
  const env = { TOKEN: 'sesame', PLAIN: 'seen' }

  it('stay in Redis: they go out as null, and null or nothing keeps them', async () => {
    const { send, api } = apiBench()
    await send('POST /api/workflow', { id: 'w', env, ...rawconfig(call, '1>2 2>3') })
    const paths = ['', '/rawconfig', '/canvas_data', '/nodes', '/nodes/2/form']
    for (const path of paths) {
      const { status, text } = await send(`GET /api/workflow/w${path}`)
      expect([path, status, text.includes('hunter2') || text.includes('sesame')]).toEqual([path, 200, false])
    }
    const raw = (await send('GET /api/workflow/w')).body
    expect(raw).toMatchObject({ env: { TOKEN: null, PLAIN: 'seen' } })
    expect(raw.nodes[1].form_values.auth_password).toBeNull()
    await send('PUT /api/workflow/w', raw)
    delete raw.nodes[1].form_values.auth_password
    await send('PUT /api/workflow/w', raw)
    await send('POST /api/workflow/w/nodes/2/form', { form_values: { auth_password: null, auth_username: 'v' } })
    const { graph } = await api.catalogue.get('w')
    expect(graph?.workflow.env).toEqual(env)
    expect(graph?.workflow.nodes[1]?.form).toMatchObject({ auth_password: 'hunter2', auth_username: 'v' })
    expect(graph?.workflow.nodes[2]?.form).toMatchObject({ auth_bearer_token: '{{ workflowenv.TOKEN }}' })
  })
})
