import { describe, expect, it } from 'vitest'
import { apiBench } from '../support/api-bench.ts'

it.each<[string, string, Record<string, string>, number]>([
  ['a program on this machine', '/api/nodes/count', { host: '127.0.0.1:7878' }, 200],
  ['another loopback name', '/api/nodes/count', { host: '[::1]:7878' }, 200],
  ['its own page', '/api/nodes/count', { host: 'localhost:1', origin: 'http://localhost:1' }, 200],
  ['the page of another site', '/api/nodes/count', { host: 'localhost:1', origin: 'https://evil.test' }, 403],
  ['a page that hides where it is', '/api/nodes/count', { host: 'localhost:1', origin: 'null' }, 403],
  ['an image in such a page', '/api/nodes/count', { host: 'localhost:1', 'sec-fetch-site': 'cross-site' }, 403],
  ['a name that was bound anew', '/api/nodes/count', { host: 'evil.test:7878' }, 403],
  ['what a test webhook got, through a tunnel', '/api/webhooks/test/x', { host: 'tunnel.test' }, 403],
])('%s', async (_, url, headers, status) => {
  const { app } = apiBench()
  expect((await app.inject({ url, headers })).statusCode).toBe(status)
})

it('a webhook through a tunnel is taken', async () => {
  const { app } = apiBench()
  const request = { method: 'POST', url: '/api/webhooks/test/x', headers: { host: 'tunnel.test' } } as const
  expect((await app.inject(request)).statusCode).toBe(200)
})

describe('the pages of another site', () => {
  const origin = 'https://app.test'
  const asked = { host: 'localhost:1', origin, 'sec-fetch-site': 'cross-site' }
  const preflight = { ...asked, 'access-control-request-method': 'PUT' }

  it('may ask when it is configured: it is told so before it asks, and can read the answer, also an error', async () => {
    const { app } = apiBench({ access: { origins: [origin] } })
    const before = await app.inject({ method: 'OPTIONS', url: '/api/workflow/x', headers: preflight })
    expect(before.statusCode).toBe(204)
    expect(before.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': expect.stringContaining('PUT'),
      'access-control-allow-headers': expect.stringContaining('Authorization'),
    })
    const there = await app.inject({ url: '/api/nodes/count', headers: asked })
    const missing = await app.inject({ url: '/api/workflow/x', headers: asked })
    for (const answer of [there, missing])
      expect(answer.headers).toMatchObject({ 'access-control-allow-origin': origin, vary: 'Origin' })
    expect([there.statusCode, missing.statusCode]).toEqual([200, 404])
  })

  it.each([
    ['nobody is', [], asked],
    ['another one is', ['https://other.test'], asked],
    ['it is, for a name that was bound anew', [origin], { ...asked, host: 'evil.test' }],
  ])('may not when %s', async (_, origins, headers) => {
    const { app } = apiBench({ access: { origins } })
    expect((await app.inject({ url: '/api/nodes/count', headers })).statusCode).toBe(403)
    if (origins[0] === origin) return
    const before = await app.inject({
      method: 'OPTIONS',
      url: '/api/workflow/x',
      headers: { ...preflight, ...headers },
    })
    expect([before.statusCode, before.headers['access-control-allow-origin']]).toEqual([403, undefined])
  })
})
