/**
 * Requests made from the OpenAPI document, most of them nearly right: whatever comes, the answer is one of those that the
 * API knows, in the one shape, and tells nothing of the host. `npm run fuzz` sends 50,000.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { openApiDocument } from '../../daemon/openapi.ts'
import type { Json, JsonObject } from '../../engine/json.ts'
import { apiBench, rawconfig } from '../support/api-bench.ts'
import { nearly } from '../support/from-schema.ts'

const requestsEach = 40
const requestsMin = Number(process.env.FUZZ_REQUESTS ?? 2_000)
const known = [200, 201, 202, 204, 400, 401, 403, 404, 409, 413, 415, 422, 429, 503]

type Asked = { method: string; url: string; body: Json | undefined }

const name = fc.oneof(
  { arbitrary: fc.constantFrom('w', 'a', '1', '2', 'e0', 'counter', 'hook', 'http-request'), weight: 8 },
  { arbitrary: fc.constantFrom('..', '%2e%2e%2f', '__proto__', '%00', '%E0%A4%A', 'x'.repeat(300), '💥'), weight: 1 },
  { arbitrary: fc.string({ minLength: 1, maxLength: 10 }).map(encodeURIComponent), weight: 1 },
)

function requestOf(method: string, path: string, operation: JsonObject): fc.Arbitrary<Asked> {
  const parts = path.split(/\{\w+\}/)
  const query = ((operation.parameters ?? []) as { name: string; in: string; schema: JsonObject }[]).filter(
    each => each.in === 'query',
  )
  const content = (operation.requestBody as { content: Record<string, { schema: JsonObject }> } | undefined)?.content
  const schema = content?.['application/json']?.schema
  return fc.record({
    method: fc.constant(method.toUpperCase()),
    url: fc
      .tuple(
        fc.tuple(...parts.slice(1).map(() => name)),
        ...query.map(each => fc.option(nearly(each.schema), { nil: undefined })),
      )
      .map(([names, ...values]) => {
        const url = parts.reduce((all, part, i) => `${all}${i === 0 ? '' : names[i - 1]}${part}`, '')
        const asked = values.flatMap((value, i) =>
          value === undefined ? [] : [`${query[i]?.name}=${encodeURIComponent(toText(value))}`],
        )
        return asked.length === 0 ? url : `${url}?${asked.join('&')}`
      }),
    body: schema === undefined ? fc.constant(undefined) : nearly(schema),
  })
}

/** As a query has it: what is no text at all (a half of a pair) is left out. */
function toText(value: Json): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(/\p{Surrogate}/gu, '')
}

const requests = Object.entries(openApiDocument().paths as Record<string, JsonObject>).flatMap(([path, methods]) =>
  Object.entries(methods)
    .filter(() => !path.startsWith('/ws/'))
    .map(([method, operation]) => requestOf(method, path, operation as JsonObject)),
)

it('whatever is sent, the answer is one that the API knows', { timeout: 1_800_000 }, async () => {
  let sent = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(...requests), { minLength: requestsEach, maxLength: requestsEach }),
      async all => {
        const { send, app, log } = apiBench()
        await send('POST /api/workflow', {
          id: 'w',
          ...rawconfig({ 1: ['counter', { max_value: 2 }], 2: ['log', {}] }, '1>2'),
        })
        const api = rawconfig({ 1: ['webhook-producer', { webhook_id: 'hook' }] }, '', { workflow_type: 'api' })
        await send('POST /api/workflow', { id: 'a', ...api })
        for (const { method, url, body } of all) {
          const payload =
            body === undefined ? {} : { payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
          const answer = await app.inject({ method: method as 'GET', url, ...payload })
          const line = `${method} ${url} ${JSON.stringify(body)}: ${answer.statusCode} ${answer.body.slice(0, 300)} ${log}`
          expect(known, line).toContain(answer.statusCode)
          sent += 1
          if (answer.statusCode < 400) continue
          expect(answer.json(), line).toMatchObject({ error: expect.any(String), error_code: expect.any(String) })
          expect(answer.body, line).not.toMatch(/node_modules|\/tmp\/|\.ts:\d|\.js:\d/)
        }
        await app.close()
      },
    ),
    { numRuns: Math.ceil(requestsMin / requestsEach), seed: 7 },
  )
  expect(sent).toBeGreaterThanOrEqual(requestsMin)
})
