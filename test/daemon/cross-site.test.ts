import { expect, it } from 'vitest'
import { apiBench } from '../support/api-bench.ts'

it.each<[string, string, Record<string, string>, number]>([
  ['a program on this machine', '/api/nodes/count', { host: '127.0.0.1:7878' }, 200],
  ['another loopback name', '/api/nodes/count', { host: '[::1]:7878' }, 200],
  ['its own page', '/api/nodes/count', { host: 'localhost:1', origin: 'http://localhost:1' }, 200],
  ['the page of another site', '/api/nodes/count', { host: 'localhost:1', origin: 'https://evil.test' }, 403],
  ['a page that hides where it is', '/api/nodes/count', { host: 'localhost:1', origin: 'null' }, 403],
  ['an image in such a page', '/api/nodes/count', { host: 'localhost:1', 'sec-fetch-site': 'cross-site' }, 403],
  ['a name that was bound anew', '/api/nodes/count', { host: 'evil.test:7878' }, 403],
  ['a webhook through a tunnel', '/api/webhooks/test/x', { host: 'tunnel.test' }, 200],
])('%s', async (_, url, headers, status) => {
  const { app } = apiBench()
  expect((await app.inject({ url, headers })).statusCode).toBe(status)
})
