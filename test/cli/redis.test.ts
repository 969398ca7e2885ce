/** `--redis`: the same results as on the embedded one, and a clear word when there is no usable Redis. */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cli, repository, temporaryFolder } from '../support/cli.ts'
import { freePort, RedisServer } from '../support/redis-server.ts'

const orders = join(repository, 'fixtures/orders/orders.json')
let server: RedisServer
let guarded: RedisServer

beforeAll(async () => {
  ;[server, guarded] = await Promise.all([RedisServer.start(), RedisServer.start({ password: 'secret' })])
})
afterAll(() => Promise.all([server.remove(), guarded.remove()]))

describe('--redis', () => {
  it('gives what the embedded Redis gives', async () => {
    const results = []
    for (const place of [[], ['--redis', server.url]]) {
      const cwd = temporaryFolder()
      copyFileSync(join(repository, 'fixtures/orders/orders.csv'), join(cwd, 'orders.csv'))
      const run = await cli(['run', orders, '--files', cwd, '--allow-dead-letters', '--json', ...place], { cwd })
      expect(run.code, run.stderr).toBe(0)
      const peek = await cli(['queue', 'peek', 'orders', 'approval', '--json', ...place], { cwd })
      const dead = await cli(['dlq', 'list', 'orders', '--json', ...place], { cwd })
      results.push({
        loops: run.lines.at(-1)?.loops,
        waiting: peek.lines.map(line => line.data),
        dead: dead.lines.map(line => [line.node, line.error]),
      })
    }
    expect(results[1]).toEqual(results[0])
  })

  it('takes a password in the URL', async () => {
    const url = guarded.url
    const { code, stderr } = await cli(['queue', 'list', 'orders', '--redis', url], { cwd: temporaryFolder() })
    expect(code, stderr).toBe(0)
  })

  it.each([
    ['needs a password', () => guarded.url.replace(/:secret@/, ''), /password/i],
    ['has another password', () => guarded.url.replace('secret', 'guess'), /password/i],
    ['is no Redis URL', () => 'http://127.0.0.1:1', /redis:\/\//],
  ])('that %s is said with 2', async (_, url, says) => {
    const { code, stdout, stderr } = await cli(['run', orders, '--redis', url()], { cwd: temporaryFolder() })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(says)
    expect(stderr).not.toMatch(/\n\s+at |guess/)
  })

  it('that nobody answers is said with 2, naming host and port', async () => {
    const port = await freePort()
    const { code, stderr } = await cli(['run', orders, '--redis', `redis://127.0.0.1:${port}`], {
      cwd: temporaryFolder(),
    })
    expect(code).toBe(2)
    expect(stderr).toContain(`127.0.0.1:${port}`)
  })
})
