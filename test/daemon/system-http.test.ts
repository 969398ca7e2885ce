import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemHttp } from '../../daemon/system-ports.ts'
import type { HttpRequest } from '../../engine/ports.ts'
import { freePort } from '../support/redis-server.ts'
import { errorOf } from '../support/temp-dir.ts'

async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handle)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

function ask(url: string, more: Partial<HttpRequest> = {}, bytesMax?: number) {
  const http = systemHttp(bytesMax === undefined ? {} : { bytesMax })
  return http.request({
    method: 'GET',
    url,
    headers: {},
    timeoutMs: 5_000,
    signal: new AbortController().signal,
    ...more,
  })
}

async function echo(request: IncomingMessage, response: ServerResponse) {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { method, url, headers } = request
  response.setHeader('x-two', ['a', 'b'])
  response.end(JSON.stringify({ method, url, header: headers['x-my'], body: Buffer.concat(chunks).toString() }))
}

describe('answers', () => {
  test('any method, headers, body', async () => {
    const url = await serve(echo)
    const answer = await ask(`${url}/p?q=1`, {
      method: 'PUT',
      headers: { 'x-my': 'v' },
      body: 'bödy',
    })
    expect(answer.status).toBe(200)
    expect(answer.headers['x-two']).toBe('a, b')
    expect(JSON.parse(answer.body)).toEqual({ method: 'PUT', url: '/p?q=1', header: 'v', body: 'bödy' })
  })

  test.each([404, 500, 503])('status %i is an answer', async status => {
    const url = await serve((_, response) => response.writeHead(status).end('no'))
    expect(await ask(url)).toMatchObject({ status, body: 'no' })
  })

  test('redirects are followed, five at most', async () => {
    const url = await serve((request, response) => {
      const n = Number(request.url?.slice(1))
      if (n === 0) response.end('there')
      else response.writeHead(302, { location: `/${n - 1}` }).end()
    })
    expect(await ask(`${url}/5`)).toMatchObject({ status: 200, body: 'there' })
    expect(await ask(`${url}/6`)).toMatchObject({ status: 302 })
  })

  test('compressed bodies and other charsets are read', async () => {
    const url = await serve((request, response) => {
      if (request.url === '/zip') response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('zipped'))
      else response.writeHead(200, { 'content-type': 'text/plain; charset=iso-8859-1' }).end(Buffer.from([0xe9]))
    })
    expect((await ask(`${url}/zip`)).body).toBe('zipped')
    expect((await ask(`${url}/latin`)).body).toBe('é')
  })
})

describe('HTTP_FAILED', () => {
  test('refused, with the reason and without the secret parts of the URL', async () => {
    const port = await freePort()
    const error = await errorOf(() => ask(`http://me:secret@127.0.0.1:${port}/path?key=secret`))
    expect(error).toMatchObject({ code: 'HTTP_FAILED', details: { code: 'ECONNREFUSED' } })
    expect(error.message).toContain(`GET http://127.0.0.1:${port}/path: the connection was refused`)
    expect(error.message).not.toContain('secret')
  })

  test('no answer in time, also when the body stalls', async () => {
    const silent = await serve(() => undefined)
    expect(await errorOf(() => ask(silent, { timeoutMs: 20 }))).toMatchObject({ details: { code: 'ETIMEDOUT' } })
    const stalls = await serve((_, response) => response.write('half'))
    expect(await errorOf(() => ask(stalls, { timeoutMs: 50 }))).toMatchObject({ details: { code: 'ETIMEDOUT' } })
  })

  test('a body that is too large, and a connection that closes', async () => {
    const large = await serve((_, response) => response.end('x'.repeat(1_001)))
    expect(await errorOf(() => ask(large, {}, 1_000))).toMatchObject({ details: { code: 'EMSGSIZE' } })
    const bomb = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(10_000)))
    })
    expect((await errorOf(() => ask(bomb, {}, 1_000))).code).toBe('HTTP_FAILED')
    const closes = await serve((request, _) => request.socket.destroy())
    expect((await errorOf(() => ask(closes))).code).toBe('HTTP_FAILED')
  })

  test.each(['nonsense', 'ftp://h/', 'file:///etc/passwd', ''])('the URL %j', async url => {
    expect((await errorOf(() => ask(url))).code).toBe('HTTP_FAILED')
  })
})

test('an abort rejects with its reason', async () => {
  const stop = new AbortController()
  const url = await serve(() => stop.abort(new Error('stop')))
  await expect(ask(url, { signal: stop.signal })).rejects.toThrow('stop')
})
