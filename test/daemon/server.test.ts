/** The HTTP server: where it may listen, how errors look, what health says. */
import { connect } from 'node:net'
import { text as streamText } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { formatListen, parseListen } from '../../daemon/listen.ts'
import { addHealthRoutes, type Readiness } from '../../daemon/routes-health.ts'
import { type Routes, startServer } from '../../daemon/server.ts'
import type { Log } from '../../engine/ports.ts'
import { errorOf } from '../support/temp-dir.ts'

async function serve(...routes: Routes[]): Promise<string> {
  const server = await startServer('127.0.0.1:0', routes)
  onTestFinished(() => server.close())
  return server.url
}

describe('parseListen', () => {
  it.each([
    ['127.0.0.1:7878', { host: '127.0.0.1', port: 7878 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['0.0.0.0:1', { host: '0.0.0.0', port: 1 }],
    ['[::1]:80', { host: '::1', port: 80 }],
  ])('%s', (text, address) => {
    expect(parseListen(text)).toEqual(address)
    expect(formatListen(address)).toBe(text)
  })

  it.each(['', '7878', ':7878', 'localhost', '127.0.0.1:65536', '::1:80', 'a b:1'])('refuses %j', async text =>
    expect(await errorOf(() => parseListen(text))).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('HOST:PORT'),
    }),
  )
})

describe('startServer', () => {
  const throwing =
    (error: Error): Routes =>
    app =>
      app.get('/bad', () => Promise.reject(error))

  it.each<[string, { path: string; routes?: Routes[] }, object]>([
    [
      'an unknown path',
      { path: '/nowhere?x=1' },
      { status: 404, error_code: 'NOT_FOUND', detail: 'Not found: there is nothing at GET /nowhere?x=1' },
    ],
    [
      'an address that is none',
      { path: '/%zz' },
      { status: 400, error_code: 'VALIDATION_ERROR', detail: expect.stringMatching(/^Cannot read the request: .*%zz/) },
    ],
    [
      'an address that is too long',
      { path: `/there/${'x'.repeat(2_000)}`, routes: [app => app.get('/there/:id', async () => ({}))] },
      { status: 400, error_code: 'VALIDATION_ERROR' },
    ],
    [
      'a bug',
      { path: '/bad', routes: [throwing(new Error('broken'))] },
      { status: 500, error_code: 'INTERNAL_ERROR', detail: expect.stringMatching(/^(?!.*broken).*a bug/) },
    ],
    [
      'a bad request',
      { path: '/bad', routes: [throwing(Object.assign(new Error('odd'), { statusCode: 422 }))] },
      { status: 400, error_code: 'VALIDATION_ERROR', detail: 'Cannot read the request: odd' },
    ],
  ])('%s is answered in the shape of all errors', async (_, { path, routes = [] }, expected) => {
    const answer = await fetch((await serve(...routes)) + path)
    const body = (await answer.json()) as object
    expect({ status: answer.status, ...body }).toMatchObject({ error: expect.any(String), ...expected })
    expect(answer.headers.get('x-request-id')).toMatch(/./)
  })

  it.each([
    ['what is not HTTP', 'hello\r\n\r\n'],
    ['a head that is too large', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(64 * 1024)}\r\n\r\n`],
  ])('so is %s', async (_, text) => {
    const socket = connect(Number(new URL(await serve()).port), '127.0.0.1')
    socket.end(text)
    const [head = '', body = ''] = (await streamText(socket)).split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(JSON.parse(body)).toMatchObject({
      error: expect.stringMatching(/^Cannot read/),
      error_code: 'VALIDATION_ERROR',
    })
  })
})

describe('every answer', () => {
  it('tells browsers to run, frame, guess and keep nothing, also a 404', async () => {
    const url = await serve(app => app.get('/there', async () => ({})))
    for (const path of ['/there', '/nowhere']) {
      const { headers } = await fetch(url + path)
      expect(Object.fromEntries(headers)).toMatchObject({
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
      })
    }
  })

  it('has an id, the one of the request if it is one, which the log has too', async () => {
    const logged: unknown[] = []
    const log: Log = { write: (_level, _message, fields) => void logged.push(fields.request) }
    const broken: Routes = app => app.get('/bad', () => Promise.reject(new Error('broken')))
    const server = await startServer('127.0.0.1:0', [broken], log)
    onTestFinished(() => server.close())
    const idOf = async (given?: string) =>
      (await fetch(`${server.url}/bad`, given === undefined ? {} : { headers: { 'x-request-id': given } })).headers.get(
        'x-request-id',
      )
    const uuid = /^[\da-f]{8}-[\da-f-]{27}$/
    const ids = [await idOf('from-proxy:7'), await idOf('with "quotes"'), await idOf('x'.repeat(129)), await idOf()]
    expect(ids).toEqual(['from-proxy:7', ...Array(3).fill(expect.stringMatching(uuid))])
    expect(new Set(ids).size).toBe(4)
    expect(logged).toEqual(ids)
  })
})

describe('health', () => {
  const source = (readiness: Readiness) => ({
    readiness: async () => readiness,
    metrics: async () => ({ type: 'text/plain; version=0.0.4', body: 'x 1\n' }),
  })

  it('is 503 with the reasons while it is not ready; alive all the same', async () => {
    const url = await serve(app => addHealthRoutes(app, source({ ready: false, reasons: ['it starts'] })))
    const ready = await fetch(`${url}/health/ready/`)
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'not ready', reasons: ['it starts'] }])
    const live = await fetch(`${url}/health/live`)
    expect([live.status, await live.json()]).toEqual([200, { status: 'live' }])
  })

  it('is 200 when it is ready; metrics have their content type', async () => {
    const url = await serve(app => addHealthRoutes(app, source({ ready: true, reasons: [], workflows: 2 })))
    const ready = await fetch(`${url}/health/ready`)
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'ready', reasons: [], workflows: 2 }])
    const metrics = await fetch(`${url}/metrics`)
    expect([metrics.headers.get('content-type'), await metrics.text()]).toEqual(['text/plain; version=0.0.4', 'x 1\n'])
  })
})
