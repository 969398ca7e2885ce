/** A Redis server for one command: on 127.0.0.1 and a free port, keeping nothing, and gone with the command. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { EngineError } from '../engine/errors.ts'

export type OwnServer = { url: string; close(): void }

/** Rejects with `REDIS_UNAVAILABLE` when there is no redis-server in PATH. */
export async function startRedisServer(): Promise<OwnServer> {
  const port = await freePort()
  const words = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--loglevel',
    'warning',
  ]
  const child = spawn('redis-server', words, { stdio: 'ignore' })
  try {
    await once(child, 'spawn')
  } catch {
    const advice = 'install it (apt-get install redis-server), or give --redis redis://HOST:PORT'
    throw new EngineError(
      'REDIS_UNAVAILABLE',
      `Cannot start a Redis server: there is no redis-server in PATH; ${advice}`,
    )
  }
  const close = (): void => void child.kill('SIGKILL')
  process.once('exit', close)
  if (!(await answers(port))) {
    close()
    throw new EngineError(
      'REDIS_UNAVAILABLE',
      `Cannot start a Redis server: it did not listen on port ${port}; give --redis`,
    )
  }
  return { url: `redis://127.0.0.1:${port}`, close }
}

const startMsMax = 15_000

async function answers(port: number): Promise<boolean> {
  for (const untilMs = performance.now() + startMsMax; performance.now() < untilMs; ) {
    const socket = connect(port, '127.0.0.1')
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isThere) return true
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  return false
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
