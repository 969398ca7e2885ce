/** Whatever is sent, to whatever address: an answer in the shape of all errors, and never a bug of ours. */
import { fc } from '@fast-check/vitest'
import { expect, it } from 'vitest'
import { apiBench, rawconfig } from '../support/api-bench.ts'

const word = fc.constantFrom(
  ...[
    'w',
    'a',
    'none',
    'b',
    'c',
    '1',
    '2',
    'counter',
    'http-request',
    'x%2Fy',
    '..%2f..',
    '__proto__',
    'constructor',
    '%00',
    'ü',
    'x'.repeat(900),
  ],
)
const templates = [
  ...[
    'workflow',
    'workflow/$',
    'workflow/$/rawconfig',
    'workflow/$/canvas_data',
    'workflow/$/duplicate',
    'workflow/$/activate',
  ],
  ...[
    'workflow/$/nodes',
    'workflow/$/nodes/add',
    'workflow/$/nodes/$/position',
    'workflow/$/nodes/$/form',
    'workflow/$/nodes/$/remove',
  ],
  ...[
    'workflow/$/connections/add',
    'workflow/$/connections/$/remove',
    'workflow/$/start_execution',
    'workflow/$/stop_execution',
  ],
  ...[
    'workflow/$/task_status',
    'workflow/$/pause',
    'workflow/$/resume',
    'workflow/$/execute',
    'workflow/$/execute_and_save_node',
  ],
  ...[
    'workflow/$/execute_for_each_iteration',
    'workflow/$/clear_node_output',
    'workflow/$/nodes/$/input',
    'workflow/$/nodes/$/output',
  ],
  ...[
    'workflow/$/dead_letters',
    'workflow/$/dead_letters/$',
    'workflow/$/dead_letters/$/requeue',
    'workflow/$/queues',
    'dev/execute',
  ],
  ...[
    'nodes',
    'nodes/$',
    'nodes/$/form',
    'nodes/$/form/update',
    'nodes/$/field-options',
    'nodes/$/execute',
    'nodes/$/reset-session',
  ],
  ...['webhooks/$', 'webhooks/test/$'],
]
const url = fc
  .tuple(fc.constantFrom(...templates), word, word)
  .map(([template, one, two]) => `/api/${template.replace('$', one).replace('$', two)}`)
const key = fc.constantFrom(
  ...[
    'id',
    'name',
    'nodes',
    'edges',
    'connections',
    'workflow',
    'settings',
    'env',
    'type',
    'workflow_type',
    'status',
    'node_id',
    'x',
    'y',
  ],
  ...[
    'node_type',
    'form_values',
    'config',
    'source_node',
    'target_node',
    'source_handle',
    'input_data',
    'form_data',
    'field_values',
    'field',
  ],
  ...[
    'session_id',
    'timeout',
    'workflow_id',
    'position',
    'data',
    'form',
    'source',
    'target',
    'identifier',
    'input',
    'toString',
    'constructor',
  ],
)
const { value: body } = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, -1, 1.5, 1e300, '', 'w', 'counter', 'log', 'a\u0000b', '\ud800', '{{ data', 'active'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5 }),
  ),
}))
const header = fc.record(
  {
    'if-match': fc.constantFrom('"1"', '1', '*', 'x', '9'.repeat(40)),
    'content-type': fc.constantFrom('application/json', 'text/plain', 'application/xml; charset=x', 'a/b+json'),
    'idempotency-key': fc.constantFrom('k', ''),
    'x-signature-256': fc.constantFrom('x', 'sha256='),
    'x-timestamp': fc.constantFrom('x', '1'),
  },
  { requiredKeys: [] },
)

it('is answered, and is never a bug of the daemon', { timeout: 120_000 }, async () => {
  const request = fc.record({ method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'), url, body, header })
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 20 }), async requests => {
      const { send, app, log } = apiBench({ files: { b: { nodes: 1 }, c: { nodes: [null], edges: 'x' } } })
      await send('POST /api/workflow', { id: 'w', ...rawconfig({ 1: ['counter', {}], 2: ['log', {}] }, '1>2') })
      await send('POST /api/workflow', {
        id: 'a',
        ...rawconfig({ 1: ['webhook-producer', { webhook_id: 'w' }] }, '', { workflow_type: 'api' }),
      })
      for (const { method, url, body, header } of requests) {
        const payload = method === 'GET' ? {} : { payload: JSON.stringify(body) }
        const headers = { 'content-type': 'application/json', ...header }
        const answer = await app.inject({ method: method as 'GET', url, headers, ...payload })
        const line = `${method} ${url} ${JSON.stringify(body)}: ${answer.statusCode} ${answer.body.slice(0, 300)} ${log}`
        expect([200, 201, 202, 204, 400, 401, 403, 404, 409, 413, 422, 503], line).toContain(answer.statusCode)
        if (answer.statusCode < 400) continue
        expect(answer.json(), line).toMatchObject({
          error: expect.any(String),
          detail: expect.any(String),
          error_code: expect.any(String),
        })
        expect(answer.body, line).not.toMatch(/node_modules|\/tmp\/|\.ts:\d/)
      }
      await app.close()
    }),
    { numRuns: 60 },
  )
})
