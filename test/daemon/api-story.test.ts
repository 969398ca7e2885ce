/** The life of a workflow as the existing clients live it, over HTTP, with a daemon that is a process of its own. */
import { expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { type Answer, rawconfig, says } from '../support/api-bench.ts'
import { DaemonProcess, daemonFolder } from '../support/daemon-process.ts'

async function client() {
  const cwd = daemonFolder({})
  const daemon = await DaemonProcess.ready({ cwd })
  const send = async (line: string, body?: JsonObject, headers: Record<string, string> = {}): Promise<Answer> => {
    const [method = 'GET', path = '/'] = line.split(' ')
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const payload = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await fetch(`${daemon.url}/api/${path}`, { method, headers: { ...type, ...headers }, ...payload })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.includes('json') === true
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      text,
      body: isJson ? JSON.parse(text) : text,
    }
  }
  /** Asks until the answer fits: nothing here takes a fixed time. */
  const until = async (line: string, fits: (body: Answer['body']) => boolean): Promise<Answer['body']> => {
    for (;;) {
      const { body } = await send(line)
      if (fits(body)) return body
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  return { daemon, send, until }
}

it('a workflow is drawn, tried, started, fed, mended and stopped', { timeout: 90_000 }, async () => {
  const { daemon, send, until } = await client()

  // drawn: created as rawconfig, a node added, connected and moved
  const hook: [string, JsonObject] = ['webhook-producer', { webhook_id: 'orders' }]
  const created = await send('POST workflow/', { name: 'Orders', description: '', ...rawconfig({ 1: hook }) })
  expect(created).toMatchObject({ status: 201, body: { name: 'Orders', version: 1 } })
  const at = `workflow/${created.body.id}`
  const check = { condition_expression: 'data.webhook.data.body.total > 10' }
  expect((await send(`POST ${at}/nodes/add/`, { node_type: 'if-condition', form_values: check })).body.id).toBe('2')
  expect(
    (await send(`POST ${at}/nodes/add/`, { node_type: 'queue-writer', form_values: { queue_name: 'large' } })).body.id,
  ).toBe('3')
  await send(`POST ${at}/connections/add/`, { source_node: 1, target_node: 2 })
  await send(`POST ${at}/connections/add/`, { source_node: 2, target_node: 3, source_handle: 'yes' })
  expect((await send(`POST ${at}/nodes/2/position/`, { x: 120, y: 40 })).body.position).toEqual({ x: 120, y: 40 })
  const canvas = (await send(`GET ${at}/canvas_data/`)).body
  expect(canvas).toMatchObject({ nodes: [{}, { id: '2', x: 120 }, {}], edges: [{}, { source_handle: 'yes' }] })

  // tried: one node on an input of its own, and a form while it is filled in
  const input_data = { webhook: { data: { body: { total: 12 } } } }
  const tried = await send(`POST ${at}/execute_and_save_node/`, { node_id: 2, input_data, session_id: 's' })
  expect(tried.body).toMatchObject({
    success: true,
    node_type: 'if-condition',
    output: { if_condition: { route: 'yes' } },
  })
  const form = await send('POST nodes/queue-writer/form/update/', { field_values: { queue_name: 'large' } })
  expect(form.body.form).toMatchObject([{ name: 'queue_name', value: 'large', errors: [] }])

  // fed before anybody started it: what is accepted waits
  expect((await send(`GET ${at}/task_status/`)).body).toMatchObject({ status: 'PENDING' })
  expect(await send('POST webhooks/orders/', { input: { total: 99 } })).toMatchObject({
    status: 202,
    body: { subscribers: 1 },
  })
  expect(await send('POST webhooks/orders/', { total: 'many' })).toMatchObject({ status: 202 })
  expect((await send(`GET ${at}/queues/`)).body).toMatchObject([{ name: 'webhook_orders', length: 2 }])

  // started
  expect(await send(`GET ${at}/start_execution/`)).toMatchObject({
    status: 200,
    body: { status: 'PENDING', task_id: says(/./) },
  })
  await until(`GET ${at}/task_status/`, ({ status }) => status === 'STARTED')
  const [letter] = await until(`GET ${at}/dead_letters/`, letters => letters.length === 1)
  expect(letter).toMatchObject({ node: '2', item: { data: { webhook: { data: { body: { total: 'many' } } } } } })
  await until(`GET ${at}/queues/`, queues =>
    queues.some((queue: JsonObject) => queue.name === 'large' && queue.length === 1),
  )

  // mended while it runs, and the item that failed is done again
  const mended = { condition_expression: "data.webhook.data.body.total == 'many'" }
  const changes = () => daemon.lines.filter(({ msg }) => msg.startsWith('loop changed')).length
  const before = changes()
  expect((await send(`POST ${at}/nodes/2/form/`, { form_values: mended })).status).toBe(200)
  await until(`GET ${at}`, () => changes() > before)
  expect((await send(`POST ${at}/dead_letters/${letter.id}/requeue/`)).body).toMatchObject({ queue: 'webhook_orders' })
  await until(`GET ${at}/queues/`, queues =>
    queues.some((queue: JsonObject) => queue.name === 'large' && queue.length === 2),
  )
  expect((await send(`GET ${at}/dead_letters/`)).body).toEqual([])

  // stopped
  expect((await send(`POST ${at}/stop_execution/`)).body).toMatchObject({ status: 'REVOKED' })
  await until(`GET ${at}/task_status/`, ({ detail }) => detail.status === 'stopped')
  expect((await send(`GET ${at}/`)).body).toMatchObject({ runs_count: 1, runtime_state: 'stopped', status: 'active' })
  daemon.signal('SIGTERM')
  expect(await daemon.exit).toBe(0)
})

it('an api workflow answers; the daemon ends though a request never would', { timeout: 90_000 }, async () => {
  const { daemon, send } = await client()
  const nodes: Record<string, [string, JsonObject]> = {
    1: ['webhook-producer', { webhook_id: 'x' }],
    2: ['data-transformer', { output_template: '{"total": "{{ data.n * 2 }}"}' }],
    3: ['http-response', { status_code: 201 }],
  }
  await send('POST workflow/', { id: 'price', ...rawconfig(nodes, '1>2 2>3', { workflow_type: 'api' }) })
  expect(await send('POST workflow/price/execute/', { input: { n: 4 } })).toMatchObject({
    status: 201,
    text: '{"total":8}',
  })
  expect((await send('GET workflow/price/')).body).toMatchObject({ runs_count: 1, workflow_type: 'api' })
  daemon.signal('SIGTERM')
  expect(await daemon.exit).toBe(0)
})
