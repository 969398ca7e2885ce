/** `keys`, over real processes: made and revoked beside the daemon's data, asked for by the daemon. */
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { cli } from '../support/cli.ts'
import { DaemonProcess, daemonFolder } from '../support/daemon-process.ts'

const elsewhere = { THEONEEYE_LISTEN: '0.0.0.0:0' }

/** What the opening of a WebSocket is answered with. */
function upgrade(url: string, headers = {}): Promise<number | undefined> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/workflow/x`, { headers })
  onTestFinished(() => socket.terminate())
  return new Promise(resolve => {
    socket.on('error', () => undefined)
    socket.on('upgrade', ({ statusCode }) => resolve(statusCode))
    socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode))
  })
}

it('a daemon that asks for keys does not start without any, and answers who holds one', async () => {
  const cwd = daemonFolder({}, { 'theoneeye.yaml': 'auth: required' })
  const keyless = new DaemonProcess({ cwd })
  expect(await keyless.exit).toBe(2)
  expect(keyless.stderr).toMatch(/Cannot listen at 127\.0\.0\.1:0: "auth" is "required".*theoneeye keys add/)

  const added = await cli(['keys', 'add', 'Ann', '--scope', 'read,run', '--json'], { cwd })
  expect(added).toMatchObject({ code: 0, lines: [{ type: 'key_added', name: 'Ann', scopes: ['read', 'run'] }] })
  const { id, key } = added.lines[0] as { id: string; key: string }

  const daemon = await DaemonProcess.ready({ cwd })
  const ask = async (path: string, headers = {}) => (await fetch(daemon.url + path, { headers })).status
  expect(await ask('/api/workflow')).toBe(401)
  expect(await ask('/metrics')).toBe(401)
  expect(await ask('/health/ready')).toBe(200)
  expect(await ask('/api/workflow/', { authorization: `Bearer ${key}` })).toBe(200)
  expect(await upgrade(daemon.url)).toBe(401)
  expect(await upgrade(daemon.url, { 'x-api-key': key })).toBe(101)
  expect(JSON.stringify(daemon.lines)).not.toContain(key)
  daemon.signal('SIGTERM')
  await daemon.exit

  expect((await cli(['keys', 'list'], { cwd })).stdout).toMatch(new RegExp(`${id} +Ann +read, run `))
  expect(await cli(['keys', 'revoke', id], { cwd })).toMatchObject({ code: 0, stdout: `revoked ${id}\n` })
  expect(await cli(['keys', 'revoke', id], { cwd })).toMatchObject({ code: 2 })
  expect((await cli(['keys', 'list'], { cwd })).stdout).toMatch(/there are no keys.*keys add/)
})

it('beyond loopback it refuses to start, and its check says so before', async () => {
  const cwd = daemonFolder({})
  const daemon = new DaemonProcess({ cwd, env: elsewhere })
  expect(await daemon.exit).toBe(2)
  const refusal = /Cannot listen at 0\.0\.0\.0:0: other machines can reach it.*theoneeye keys add/
  expect(daemon.stderr).toMatch(refusal)
  const check = await cli(['daemon', '--check'], { cwd, env: elsewhere })
  expect(check.code).toBe(2)
  expect(check.stderr).toMatch(refusal)
})

it.each([
  ['a scope that is none', ['Ann', '--scope', 'write'], /"write" is no scope; give some of read, run, admin/],
  ['no scope', ['Ann'], /--scope/],
  ['a name over two lines', ['A\nB', '--scope', 'read'], /1 to 200 characters/],
])('%s is refused', async (_, words, says) => {
  const { code, stderr } = await cli(['keys', 'add', ...words], { cwd: daemonFolder({}) })
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(says) })
})
