/** The OpenAPI document: of every route, valid, true of what is answered; and a client made from it alone lives a whole life. */
import { Validator } from '@seriousme/openapi-schema-validator'
import type { AxiosResponse } from 'axios'
import { OpenAPIClientAxios } from 'openapi-client-axios'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openApiDocument } from '../../daemon/openapi.ts'
import { operations } from '../../daemon/openapi-operations.ts'
import { accessTable } from '../../daemon/routes-access.ts'
import { startDaemon } from '../../daemon/start-daemon.ts'
import type { JsonObject } from '../../engine/json.ts'
import { apiBench, rawconfig } from '../support/api-bench.ts'
import { daemonFolder } from '../support/daemon-process.ts'

describe('the document', () => {
  it('has every route, and no other', () => {
    expect(Object.keys(operations).sort()).toEqual(Object.keys(accessTable).sort())
  })

  it('is valid OpenAPI 3.1, with a name of its own for each operation', async () => {
    const document = openApiDocument()
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    expect(errors ?? []).toEqual([])
    expect(valid).toBe(true)
    const ids = Object.values(document.paths as Record<string, JsonObject>).flatMap(methods =>
      Object.values(methods).map(operation => (operation as JsonObject).operationId),
    )
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('is served, also as a page without scripts', async () => {
    const { send } = apiBench()
    const [document, page] = [await send('GET /docs/openapi.json'), await send('GET /docs')]
    expect(document.body).toEqual(openApiDocument())
    expect((await send('GET /api/openapi.json')).body).toEqual(document.body)
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.text).toContain('/api/workflow/{id}/start_execution')
    expect(page.text).not.toContain('<script')
  })
})

/** Lines, with what is sent; each answer must be what the document says of it. */
const life: [string, JsonObject?][] = [
  ['GET /api/nodes'],
  ['GET /api/nodes/flat'],
  ['GET /api/nodes/count'],
  ['GET /api/nodes/switch'],
  ['GET /api/nodes/switch/form'],
  ['POST /api/nodes/http-request/form/update', { field_values: { method: 'POST' } }],
  ['POST /api/nodes/http-request/field-options', { field: 'method' }],
  ['POST /api/nodes/counter/execute', { form_data: { max_value: 3 }, session_id: 's' }],
  ['POST /api/nodes/counter/reset-session', { session_id: 's' }],
  ['POST /api/workflow', { ...rawconfig({ 1: ['counter', { max_value: 2 }], 2: ['log', {}] }, '1>2'), id: 'w' }],
  ['GET /api/workflow'],
  ['GET /api/workflow?page=1'],
  ['GET /api/workflow/w'],
  ['PUT /api/workflow/w', { name: 'one' }],
  ['PATCH /api/workflow/w', { name: 'two' }],
  ['GET /api/workflow/w/rawconfig'],
  ['GET /api/workflow/w/canvas_data'],
  ['POST /api/workflow/w/deactivate'],
  ['POST /api/workflow/w/activate'],
  ['POST /api/workflow/w/duplicate', { name: 'copy' }],
  ['GET /api/workflow/w/nodes'],
  ['POST /api/workflow/w/nodes/add', { node_type: 'log', id: '3' }],
  ['POST /api/workflow/w/nodes/3/position', { x: 1, y: 2 }],
  ['GET /api/workflow/w/nodes/3/form'],
  ['PATCH /api/workflow/w/nodes/3/form', { form_values: { message: 'hello' } }],
  ['GET /api/workflow/w/connections'],
  ['POST /api/workflow/w/connections/add', { source_node: '2', target_node: '3', id: 'c' }],
  ['DELETE /api/workflow/w/connections/c/remove'],
  ['POST /api/workflow/w/execute_and_save_node', { node_id: '1' }],
  ['GET /api/workflow/w/nodes/2/input'],
  ['GET /api/workflow/w/nodes/1/output'],
  ['POST /api/dev/execute', { workflow_id: 'w', node_id: '2' }],
  ['POST /dev/execute', { type: 'counter', form_values: { max_value: 1 } }],
  ['POST /api/workflow/w/clear_node_output', { node_id: '1' }],
  ['POST /api/workflow/w/nodes/3/remove'],
  ['POST /api/workflow/w/start_execution'],
  ['GET /api/workflow/w/task_status'],
  ['POST /api/workflow/w/pause'],
  ['POST /api/workflow/w/resume'],
  ['POST /api/workflow/w/stop_execution'],
  ['GET /api/workflow/w/queues'],
  ['GET /api/workflow/w/dead_letters'],
  ['POST /api/webhooks/test/hook', { a: 1 }],
  ['GET /api/webhooks/test/hook'],
  ['DELETE /api/workflow/w'],
]

/** The route that a line asks. */
function routeOf(line: string): string {
  const [method = '', url = ''] = line.split('?')[0]?.split(' ') ?? []
  const fits = (route: string): boolean => {
    const [other, path = ''] = route.split(' ')
    return other === method && new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+')}$`).test(url)
  }
  // a name in the path goes before a place for one
  return Object.keys(operations)
    .filter(fits)
    .sort((a, b) => a.split(':').length - b.split(':').length)[0] as string
}

describe('what is answered', () => {
  it('is as the document says, through the life of a workflow', async () => {
    const { send } = apiBench()
    for (const [line, body] of life) {
      const { status, body: answer, text } = await send(line, body)
      const { answer: schema, status: expected = schema === undefined ? 204 : 200 } = operations[routeOf(line)] ?? {}
      expect([line, status, text.slice(0, 300)]).toEqual([line, expected, text.slice(0, 300)])
      const seen = schema?.safeParse(answer)
      expect(seen?.error?.issues ?? [], `${line}: ${text.slice(0, 500)}`).toEqual([])
    }
  })
})

describe('a client made from the document alone', () => {
  it('makes a workflow, tries it, feeds it, sees it fail, and sends the item again', async () => {
    const cwd = daemonFolder({})
    const daemon = await startDaemon(
      { listen: '127.0.0.1:0' },
      { cwd, log: { level: 'error', write: () => undefined } },
    )
    onTestFinished(() => daemon.kill())
    const definition = `${daemon.url}/docs/openapi.json`
    const factory = new OpenAPIClientAxios({ definition, axiosConfigDefaults: { baseURL: daemon.url } })
    type Call = (parameters?: unknown, data?: unknown) => Promise<AxiosResponse>
    const client = (await factory.init()) as unknown as Record<string, Call>
    const ask = async (name: string, parameters: unknown = null, data?: unknown) =>
      (await (client[name] as Call)(parameters, data)).data

    const { id } = await ask('postWorkflow', null, { name: 'Orders', nodes: [], edges: [] })
    const add = (node: JsonObject) => ask('postWorkflowIdNodesAdd', { id }, node)
    await add({ id: 'hook', node_type: 'webhook-producer', form_values: { webhook_id: 'orders' } })
    const price = { output_template: '{"each": "{{ data.webhook.data.body.total // data.webhook.data.body.n }}"}' }
    await add({ id: 'price', node_type: 'data-transformer', form_values: price })
    await ask('postWorkflowIdConnectionsAdd', { id }, { source_node: 'hook', target_node: 'price' })
    const input = { webhook: { data: { body: { total: 12, n: 3 } } } }
    const tried = await ask('postWorkflowIdExecuteAndSaveNode', { id }, { node_id: 'price', input_data: input })
    expect(tried).toMatchObject({ success: true, output: { each: 4 } })

    expect(await ask('postWorkflowIdStartExecution', { id })).toMatchObject({ status: 'PENDING' })
    expect(await ask('postWebhooksWebhook', { webhook: 'orders' }, { total: 12, n: 0 })).toMatchObject({
      subscribers: 1,
    })
    const letters = async () => (await ask('getWorkflowIdDeadLetters', { id })) as JsonObject[]
    const [letter] = await expect.poll(letters, { timeout: 20_000 }).toHaveLength(1).then(letters)
    const one = { id, letter: letter?.id }
    expect(await ask('getWorkflowIdDeadLettersLetter', one)).toMatchObject({ node: 'price' })
    await ask('postWorkflowIdNodesNodeForm', { id, node: 'price' }, { form_values: { output_template: '{"each": 0}' } })
    await expect.poll(async () => (await ask('getWorkflowIdTaskStatus', { id })).detail.here?.status).toBe('running')
    await ask('postWorkflowIdDeadLettersLetterRequeue', one)
    const done = async () => (await ask('getWorkflowIdTaskStatus', { id })).detail.loops[0].replicas[0].iterations
    await expect.poll(done, { timeout: 20_000 }).toBeGreaterThanOrEqual(2)
    expect(await letters()).toEqual([])
    expect(await ask('postWorkflowIdStopExecution', { id })).toMatchObject({ status: 'REVOKED' })
    await ask('deleteWorkflowId', { id })
    await expect((client.getWorkflowId as Call)({ id })).rejects.toMatchObject({
      response: { status: 404, data: { error_code: 'WORKFLOW_UNKNOWN' } },
    })
  })
})
