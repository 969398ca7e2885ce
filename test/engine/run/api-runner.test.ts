import { expect, it } from 'vitest'
import { requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import { type ApiRequest, ApiRunner } from '../../../engine/run/api-runner.ts'
import { keysOf } from '../../../engine/store/keys.ts'
import { Bench, sketch } from '../../support/engine-bench.ts'

type Nodes = Record<string, string | [string, JsonObject]>

function api(nodes: Nodes, edges: string, settings: JsonObject = {}) {
  const bench = new Bench()
  const hook: Nodes = { hook: ['webhook-producer', { webhook_id: 'orders' }] }
  const file = { ...sketch({ settings, nodes: { ...hook, ...nodes }, edges }), type: 'api' }
  const graph = requireWorkflow(file, { registry: defaultRegistry() })
  const runner = new ApiRunner({ graph, ports: bench.ports(1), onEvent: event => bench.events.push(event) })
  const ask = (request: ApiRequest) => bench.finish(runner.execute(request))
  return { bench, runner, ask }
}

const price = ['data-transformer', { output_template: '{"total": "{{ data.n * 2 }}"}' }] as [string, JsonObject]

it('answers with what the last node puts out; input keys stand at top level, the request as webhook', async () => {
  const { ask, bench } = api({ note: ['log', { message: 'x' }] }, 'hook>note')
  const answer = await ask({ input: { n: 2 }, headers: { a: 'b' }, method: 'PUT', query: { q: '1' } })
  expect(answer).toEqual({
    success: true,
    workflow_id: 'story',
    run: expect.stringMatching(/^request-/),
    execution_time_ms: 0,
    output: {
      n: 2,
      webhook: {
        webhook_id: 'orders',
        data: { body: { n: 2 }, headers: { a: 'b' }, method: 'PUT', query_params: { q: '1' } },
        timestamp: bench.time.wall(),
      },
    },
  })
  expect(bench.story()).toBe('hook note |')
})

it('takes an input that is no object', async () => {
  const { ask } = api(
    { n: ['data-transformer', { output_template: '{"n": "{{ data.webhook.data.body[1] }}"}' }] },
    'hook>n',
  )
  expect(await ask({ input: [1, 2] })).toMatchObject({ success: true, output: { n: 2 } })
})

it('says which node failed, and commits nothing of that request', async () => {
  const { ask, bench } = api(
    { out: ['queue-writer', { queue_name: 'out' }], bad: ['if-condition', { condition_expression: 'data.x.y > 1' }] },
    'hook>out out>bad',
    {},
  )
  const answer = await ask({ input: { x: {} } })
  expect(answer).toMatchObject({ success: true })
  const strict = api(
    { out: ['queue-writer', { queue_name: 'out' }], bad: ['log', { message: '{{ data.gone }}' }] },
    'hook>out out>bad',
    {},
  )
  const failing = api(
    { out: ['queue-writer', { queue_name: 'out' }], bad: ['log', { message: '{{ data.n / 0 }}' }] },
    'hook>out out>bad',
  )
  expect(await strict.ask({ input: {} })).toMatchObject({ success: true })
  expect(await failing.ask({ input: { n: 1 } })).toMatchObject({
    success: false,
    node_id: 'bad',
    error: expect.stringMatching(/zero/),
  })
  expect(await failing.bench.redis.llen(keysOf('story').queue('out'))).toBe(0)
  expect(await bench.queue('out')).toHaveLength(1)
})

it('runs what follows a non-blocking node inline', async () => {
  const { ask, bench } = api({ bg: 'background', total: price }, 'hook>bg bg>total')
  expect(await ask({ input: { n: 2 } })).toMatchObject({ success: true, output: { total: 4 } })
  expect(bench.story()).toBe('hook bg total |')
})

it('lets an http-response node answer, and not two of them', async () => {
  const answering = { status_code: 201, body_source: 'custom', body_json: '{"ok": true}' }
  const one = api({ say: ['http-response', answering] }, 'hook>say')
  expect(await one.ask({ input: {} })).toMatchObject({ response: { status: 201, body: { ok: true } } })
  const two = api({ say: ['http-response', answering], again: ['http-response', {}] }, 'hook>say say>again')
  expect(await two.ask({ input: {} })).toMatchObject({ success: false, node_id: 'again', code: 'RESPONDED' })
})

it('runs requests side by side, each with instances of its own', async () => {
  const { ask, bench, runner } = api({ slow: ['static-delay-node', { interval: 10, unit: 'seconds' }] }, 'hook>slow')
  const both = Promise.all([ask({ input: { n: 1 } }), runner.execute({ input: { n: 2 } })])
  expect(runner.running).toBe(2)
  const answers = await bench.finish(both)
  expect(answers.map(answer => answer.execution_time_ms)).toEqual([10_000, 10_000])
  expect(runner.running).toBe(0)
})

it.each([
  ['its time is up', { timeoutMs: 3_000 }, 'API_TIMEOUT', 3_000],
  ['nobody waits any more', { signal: AbortSignal.abort(new Error('gone')) }, 'NODE_FAILED', 0],
])('ends when %s', async (_name, how, code, ms) => {
  const { ask, bench } = api({ slow: ['static-delay-node', { interval: 1, unit: 'hours' }] }, 'hook>slow')
  expect(await ask({ input: {}, ...how })).toMatchObject({ success: false, code, execution_time_ms: ms })
  expect(bench.time.ms).toBeLessThan(10_000)
})

it('aborts what runs when it is closed, and begins nothing after', async () => {
  const { bench, runner, ask } = api({ slow: ['static-delay-node', { interval: 1, unit: 'hours' }] }, 'hook>slow')
  const running = runner.execute({ input: {} })
  await bench.pass(1_000)
  runner.close()
  expect(await bench.finish(running)).toMatchObject({ success: false, code: 'ITERATION_ABORTED' })
  expect(await ask({ input: {} })).toMatchObject({ success: false, code: 'ITERATION_ABORTED' })
})

it('refuses a request whose queue is full, whole', async () => {
  const nodes: Nodes = { a: ['queue-writer', { queue_name: 'a' }], b: ['queue-writer', { queue_name: 'b' }] }
  const { ask, bench } = api(nodes, 'hook>a a>b', { queues: { max_length: 1 } })
  expect(await ask({ input: {} })).toMatchObject({ success: true })
  await bench.redis.call(
    { name: 'pop', lua: '', run: (db, [key = '']) => db.lpop(key) },
    [keysOf('story').queue('a')],
    [],
  )
  expect(await ask({ input: {} })).toMatchObject({
    success: false,
    code: 'QUEUE_FULL',
    error: expect.stringMatching(/"b" is full/),
  })
  expect(await bench.queue('a')).toEqual([])
})

it('sets runtime variables that later requests see, when it commits', async () => {
  const sum = '{"sum": "{{ data.n | set_runtime(\'sum\', (runtime.sum or 0) + data.n) }}", "was": "{{ runtime.sum }}"}'
  const { ask } = api({ add: ['data-transformer', { output_template: sum }] }, 'hook>add')
  await ask({ input: { n: 2 } })
  await ask({ input: { n: 3 } })
  expect(await ask({ input: { n: 0 } })).toMatchObject({ output: { was: 5 } })
})
