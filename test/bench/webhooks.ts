/**
 * Webhooks at 50 connections: the daemon, which answers once the item is durable in the queue of a workflow that is paused,
 * beside bare fastify with one LPUSH for each request, which keeps nothing but the body. Each is a process of its own; what
 * asks writes ready-made bytes to sockets, so that it costs little.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisServer } from '../support/redis-server.ts'
import { type Arm, type Bench, megabytesOf, readyLine, type Sample } from './measure.ts'

const connections = 50
const program = join(process.cwd(), 'dist/daemon/bin.js')

export const webhooks: Bench = {
  title: `webhooks at ${connections} connections, requests`,
  size: { full: 50_000, quick: 2_000 },
  async open() {
    const server = await RedisServer.start({ appendonly: 'yes' })
    const dir = mkdtempSync(join(tmpdir(), 'theoneeye-bench-'))
    const [daemon, bare] = await Promise.all([startDaemon(dir, server.url), startBare(server.url)])
    const close = async (): Promise<void> => {
      await Promise.all([daemon.stop(), bare.stop()])
      rmSync(dir, { recursive: true })
      await server.remove()
    }
    return { arms: [arm('the daemon', daemon), arm('bare fastify, LPUSH', bare)], close }
  },
}

function arm(name: string, { port, pid }: Served): Arm {
  return {
    name,
    async run(size): Promise<Sample> {
      const startedMs = performance.now()
      await flood(port, size)
      const perSecond = (size * 1_000) / (performance.now() - startedMs)
      return { 'requests/s': perSecond, 'MB of memory': megabytesOf(pid) }
    },
  }
}

/** Rejects when one is not answered with 202. */
async function flood(port: number, requests: number): Promise<void> {
  let left = requests
  const body = JSON.stringify({ order: 4711, customer: 'c-17', lines: [{ sku: 'a', n: 2 }], note: 'x'.repeat(200) })
  const head = ['POST /api/webhooks/load HTTP/1.1', 'Host: 127.0.0.1', 'Content-Type: application/json']
  const bytes = Buffer.from(`${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      let answer = ''
      const next = (): void => {
        if (left === 0) socket.end(resolve)
        else {
          left -= 1
          socket.write(bytes)
        }
      }
      socket.setEncoding('latin1').on('data', (text: string) => {
        answer += text
        if (!isWhole(answer)) return
        if (!answer.startsWith('HTTP/1.1 202')) reject(new Error(`Refused: ${answer}`))
        answer = ''
        next()
      })
      socket.on('error', reject).on('connect', next)
    })
  await Promise.all(Array.from({ length: connections }, ask))
}

function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n')
  const length = /content-length: (\d+)/i.exec(answer.slice(0, end))
  return end >= 0 && answer.length >= end + 4 + Number(length?.[1])
}

type Served = { port: number; pid: number; stop(): Promise<void> }

async function startDaemon(cwd: string, redis: string): Promise<Served> {
  for (const name of ['workflows', 'files']) mkdirSync(join(cwd, name))
  const node = (id: string, type: string, form: object) => ({ id, type, data: { form } })
  const workflow = {
    id: 'load',
    settings: { queues: { max_length: 0 } },
    nodes: [
      node('in', 'webhook-producer', { webhook_id: 'load', public: true }),
      node('out', 'queue-writer', { queue_name: 'out' }),
    ],
    edges: [{ id: 'e', source: 'in', target: 'out' }],
  }
  writeFileSync(join(cwd, 'workflows/load.json'), JSON.stringify(workflow))
  const env = { PATH: process.env.PATH ?? '', HOME: cwd, THEONEEYE_LISTEN: '127.0.0.1:0', THEONEEYE_REDIS: redis }
  const pause = spawn(process.execPath, [program, 'pause', 'load'], { cwd, env, stdio: 'ignore' })
  await once(pause, 'exit')
  return await serve(spawn(process.execPath, [program, 'daemon'], { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] }))
}

async function startBare(redis: string): Promise<Served> {
  const source = `
    import fastify from 'fastify'
    import { Redis } from 'ioredis'
    const [redis, app] = [new Redis('${redis}'), fastify()]
    app.post('/api/webhooks/:webhook', async (request, reply) => {
      await redis.lpush('bare', JSON.stringify(request.body))
      return reply.code(202).send({ status: 'accepted' })
    })
    console.log('ready: ' + await app.listen({ host: '127.0.0.1', port: 0 }))`
  const flags = ['--input-type=module', '-e', source]
  return await serve(spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] }))
}

async function serve(child: ChildProcess): Promise<Served> {
  const port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(await readyLine(child))?.[1])
  const stop = async (): Promise<void> => {
    const closed = once(child, 'close')
    child.kill('SIGTERM')
    await closed
  }
  return { port, pid: child.pid as number, stop }
}
