import { expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'

const url = '/api/workflow/story/dead_letters'

/** A run that left two dead letters of three items, and one item in a queue. */
async function failed() {
  const bench = apiBench()
  const graph = {
    nodes: {
      c: ['counter', { min_value: 1, max_value: 3 }] as [string, JsonObject],
      h: ['if-condition', { condition_expression: 'data.counter.current > "x"' }] as [string, JsonObject],
      w: ['queue-writer', { queue_name: 'out' }] as [string, JsonObject],
    },
    edges: 'c>h h:yes>w',
  }
  await bench.bench.run(graph)
  return bench
}

it('dead letters are listed, shown without their stack, requeued once, and dropped', async () => {
  const { send } = await failed()
  const letters = (await send(`GET ${url}`)).body
  expect(letters).toMatchObject([{ node: 'h', loop: 'c', error: { code: says(/./), message: says(/./) } }, {}, {}])
  const [first, second] = letters
  const shown = await send(`GET ${url}/${first.id}`)
  expect(shown.body).toMatchObject({ id: first.id, item: { data: { counter: { current: 1 } } } })
  expect(shown.text).not.toContain('"stack"')
  expect((await send(`POST ${url}/${first.id}/requeue`)).body).toMatchObject({ id: first.id, queue: 'requeue_c' })
  expect(await send(`POST ${url}/${first.id}/requeue`)).toMatchObject({
    status: 404,
    body: { error_code: 'DEAD_LETTER_UNKNOWN' },
  })
  expect((await send(`DELETE ${url}/${second.id}`)).status).toBe(204)
  expect((await send(`DELETE ${url}/${second.id}`)).status).toBe(404)
  expect((await send(`GET ${url}`)).body).toHaveLength(1)
  expect((await send('GET /api/workflow/story/queues')).body).toMatchObject([
    { name: 'out', length: 0, claimed: 0 },
    { name: 'requeue_c', length: 1 },
  ])
})

it('a workflow that is defined and never ran has none; an unknown one is not found', async () => {
  const { send } = apiBench()
  await send('POST /api/workflow', { id: 'w', ...rawconfig({ 1: ['counter', {}] }) })
  for (const path of ['dead_letters', 'queues']) {
    expect((await send(`GET /api/workflow/w/${path}`)).body).toEqual([])
    expect(await send(`GET /api/workflow/none/${path}`)).toMatchObject({
      status: 404,
      body: { error_code: 'WORKFLOW_UNKNOWN' },
    })
  }
})
