import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../../../engine/json.ts'
import { compileForm } from '../../../../engine/node/form.ts'
import { HttpResponse } from '../../../../engine/nodes/network/http-response.ts'
import { WebhookProducer } from '../../../../engine/nodes/network/webhook-producer.ts'
import { NodeBench } from '../../../support/fake-context.ts'

describe('http-response', () => {
  const table: [string, JsonObject, JsonObject][] = [
    ['the data, as it is', {}, { status: 200, headers: {}, body: { n: 3 } }],
    [
      'a body, status and headers of its own',
      { status_code: '201', body_source: 'custom', body_json: '{"id": "{{ data.n }}"}', headers: '{"X-N": 1}' },
      { status: 201, headers: { 'X-N': '1' }, body: { id: 3 } },
    ],
    ['no body', { status_code: 204, body_source: 'custom' }, { status: 204, headers: {}, body: null }],
  ]
  it.each(table)('answers with %s', async (_name, form, expected) => {
    const bench = new NodeBench(HttpResponse, form)
    expect(await bench.run({ n: 3 })).toMatchObject({ data: { n: 3, http_response: expected } })
    expect(bench.responses).toEqual([expected])
  })

  const wrong: [string, JsonObject, string, RegExp][] = [
    ['a status that is none', { status_code: 99 }, 'status_code', /at least 200/],
    ['an informational status', { status_code: 101 }, 'status_code', /at least 200/],
    ['headers that are a list', { headers: '[1]' }, 'headers', /object/],
    ['a header that splits the answer', { headers: { 'X-A': 'a\r\nSet-Cookie: b' } }, 'headers', /"X-A"/],
    ['a name that no header has', { headers: { 'a b': 'c' } }, 'headers', /"a b"/],
    ['a header of the connection', { headers: { 'Content-Length': '3' } }, 'headers', /connection/],
  ]
  it.each(wrong)('refuses %s', (_name, form, field, message) => {
    const { problems } = compileForm(HttpResponse.form, form, { strict: false })
    expect(problems).toMatchObject([{ field, message: expect.stringMatching(message) }])
  })
})

describe('webhook-producer', () => {
  it.each(['a', 'Orders_2-x', 'x'.repeat(255)])('takes the id %s', webhook_id => {
    expect(compileForm(WebhookProducer.form, { webhook_id }, { strict: false }).problems).toEqual([])
  })
  it.each(['', 'a/b', 'ä', 'x'.repeat(256), '{{ env }}'])('refuses the id "%s"', webhook_id => {
    const name = WebhookProducer.queueName({ webhook_id })
    const { problems } = compileForm(WebhookProducer.form, { webhook_id }, { strict: false })
    // a template would parse; that it names no queue is what the loader sees
    expect(problems.length > 0 || String(name).includes('{{')).toBe(true)
  })
})
