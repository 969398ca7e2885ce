/** Who may ask for what over HTTP: every route that is registered, with every kind of key, is one row of a table. */
import { describe, expect, it } from 'vitest'
import { issueKey } from '../../daemon/api-keys.ts'
import { accessTable } from '../../daemon/routes-access.ts'
import { Api } from '../../daemon/routes-api.ts'
import { guardRoutes, type KeyPolicy, keyPolicy, requireAnyKey } from '../../daemon/routes-guard.ts'
import { addHealthRoutes } from '../../daemon/routes-health.ts'
import { buildServer } from '../../daemon/server.ts'
import type { Json, JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { revokeApiKey, type Scope, scopes } from '../../engine/store/api-keys.ts'
import { apiBench, rawconfig, says } from '../support/api-bench.ts'
import { Bench } from '../support/engine-bench.ts'
import { errorOf } from '../support/temp-dir.ts'

const health = {
  readiness: async () => ({ ready: true, reasons: [] }),
  metrics: async () => ({ type: 'text/plain', body: '' }),
}

/** The whole server of a daemon, and what is registered with it. */
function serve(keys: KeyPolicy) {
  const ports = new Bench().ports(1)
  const access = { keys, origins: [] }
  const api = new Api({
    ...{ registry: defaultRegistry(), ports, access, onEvent: () => undefined, files: () => [], status: () => [] },
  })
  const routes: string[] = []
  const app = buildServer([
    app =>
      app.addHook('onRoute', ({ method, url }) => {
        for (const one of [method].flat()) if (one !== 'HEAD') routes.push(`${one} ${url}`)
      }),
    api.routes,
    app => addHealthRoutes(app, health),
  ])
  const send = async (route: string, headers: Record<string, string> = {}) => {
    const [method = '', url = ''] = route.replace(/:\w+/g, 'x').split(' ')
    const answer = await app.inject({ method: method as 'GET', url, headers })
    const isRefused = [401, 403].includes(answer.statusCode)
    return { status: answer.statusCode, body: (isRefused ? answer.json() : {}) as JsonObject }
  }
  const keyFor = async (held: Scope[]) => (await issueKey(ports.redis, { name: 'x', scopes: held }, 0)).key
  return { app, ports, routes, send, keyFor }
}

const { app, routes } = serve('optional')
// some are added by plugins, which load now
await app.ready()
await app.close()

it('every route is in the table, and nothing else', () => {
  expect(routes.toSorted()).toEqual(Object.keys(accessTable).toSorted())
})

it('a route that is not in the table keeps the daemon from starting', () => {
  const ports = new Bench().ports(1)
  const policy = { keys: 'optional' as const, origins: [] }
  const forgetful = () =>
    buildServer([app => guardRoutes(app, ports, policy), app => app.get('/api/forgotten', async () => 'secret')])
  expect(forgetful).toThrow(/GET \/api\/forgotten is not in the table/)
})

type Given = 'no key' | 'a wrong key' | Scope

/** The rule, apart from its code: 200 stands for whatever a route itself answers. */
function expected(route: string, given: Given, policy: KeyPolicy): 200 | 401 | 403 {
  const wanted = accessTable[route]
  const needsNone = wanted === 'open' || (wanted === 'webhook' && route !== 'POST /api/webhooks/test/:webhook')
  if (needsNone || given === 'admin' || given === wanted) return 200
  const isNobody = given === 'no key' || (given === 'a wrong key' && wanted === 'webhook')
  if (isNobody) return policy === 'optional' ? 200 : 401
  if (wanted === 'webhook') return given === 'run' ? 200 : 401
  return given === 'a wrong key' ? 401 : 403
}

describe.each<KeyPolicy>(['required', 'optional'])('keys are %s:', policy => {
  it.each(routes)('%s', async route => {
    const { send, keyFor } = serve(policy)
    const wrong = `oe_000000000000_${'A'.repeat(43)}`
    const given: [Given, Record<string, string>][] = [
      ['no key', {}],
      ['a wrong key', { authorization: `Bearer ${wrong}` }],
    ]
    for (const scope of scopes) given.push([scope, { authorization: `Bearer ${await keyFor([scope])}` }])
    const seen: Record<string, number> = {}
    for (const [name, headers] of given) {
      const { status, body } = await send(route, headers)
      seen[name] = status === 401 || status === 403 ? status : 200
      if (seen[name] !== 200) {
        expect(body).toEqual({ error: says(/^Cannot/), detail: body.error, error_code: says(/^[A-Z_]+$/) })
      }
    }
    expect(seen).toEqual(Object.fromEntries(given.map(([name]) => [name, expected(route, name, policy)])))
  })
})

it('a key is taken in each of its headers, and HEAD is as GET, until it is revoked', async () => {
  const { send, ports } = serve('required')
  const { id, key } = await issueKey(ports.redis, { name: 'x', scopes: ['read'] }, 0)
  const headers = [{ authorization: `Bearer ${key}` }, { authorization: `Api-Key ${key}` }, { 'x-api-key': key }]
  for (const header of headers) expect((await send('GET /api/workflow', header)).status).toBe(200)
  expect((await send('POST /api/workflow', headers[0])).body).toMatchObject({
    error: says(/takes the scope "admin".*has read$/),
  })
  await revokeApiKey(ports.redis, id, 1)
  for (const header of headers) expect((await send('GET /api/workflow', header)).status).toBe(401)
})

it('a page of another site is no somebody on this machine; who holds a key may come from anywhere', async () => {
  const { send, keyFor } = serve('optional')
  const foreign = { origin: 'https://evil.test' }
  expect((await send('GET /api/workflow', foreign)).body).toMatchObject({ error_code: 'CROSS_SITE' })
  const key = { 'x-api-key': await keyFor(['read']), host: 'flows.test' }
  expect((await send('GET /api/workflow', { ...foreign, ...key })).status).toBe(200)
})

it.each<[string, KeyPolicy, KeyPolicy]>([
  ['127.0.0.1:1', 'optional', 'optional'],
  ['localhost:1', 'required', 'required'],
  ['0.0.0.0:1', 'optional', 'required'],
  ['[::]:1', 'optional', 'required'],
  ['127.0.0.1.test:1', 'optional', 'required'],
])('a daemon at %s whose auth is %s: keys are %s', async (listen, auth, policy) => {
  const config = { listen, auth }
  const { redis } = new Bench().ports(1)
  expect(keyPolicy(config)).toBe(policy)
  const refusal = await requireAnyKey(redis, config).catch((error: unknown) => error)
  if (policy === 'optional') expect(refusal).toBeUndefined()
  else expect(refusal).toMatchObject({ code: 'USAGE', message: says(/theoneeye keys add/) })
  await issueKey(redis, { name: 'x', scopes: ['read'] }, 0)
  expect(await requireAnyKey(redis, config)).toBeUndefined()
})

describe('beyond loopback, a webhook', () => {
  const hook = (form: JsonObject) => rawconfig({ 1: ['webhook-producer', { webhook_id: 'orders', ...form }] })

  it.each<[string, JsonObject, number]>([
    ['without a secret is refused', {}, 401],
    ['that says it is not public is refused', { public: false }, 401],
    ['that is public is taken', { public: true }, 202],
    ['with a secret must be signed, also when it is public', { public: true, secret: 's' }, 401],
  ])('%s', async (_, form, status) => {
    const bench = apiBench({ access: { keys: 'required' } })
    const keyOf = async (held: Scope[]) => ({
      'x-api-key': (await issueKey(bench.ports.redis, { name: 'x', scopes: held }, 0)).key,
    })
    const body: Json = { n: 1 }
    await bench.send('POST /api/workflow', { id: 'w', ...hook(form) }, await keyOf(['admin']))
    const answer = await bench.send('POST /api/webhooks/orders', body)
    expect(answer.status).toBe(status)
    const test = await bench.send('POST /api/webhooks/test/orders', body)
    expect(test.status).toBe(status === 202 ? 200 : 401)
    expect((await bench.send('POST /api/webhooks/orders', body, await keyOf(['read']))).status).toBe(status)
    const isSecret = form.secret !== undefined
    expect((await bench.send('POST /api/webhooks/orders', body, await keyOf(['run']))).status).toBe(
      isSecret ? 401 : 202,
    )
  })
})

it('listening where nobody could get in is refused in words', async () => {
  const { redis } = new Bench().ports(1)
  const error = await errorOf(() => requireAnyKey(redis, { listen: '0.0.0.0:7878', auth: 'optional' }))
  expect(error.message).toMatch(/0\.0\.0\.0:7878.*other machines/)
})
