/**
 * A real redis-server for tests: on 127.0.0.1 and a free port, its data in a folder of its own, stopped by its own handle.
 * It can be killed and started again at the same port with the same data.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type ServerOptions = { appendonly?: 'yes' | 'no'; password?: string; args?: readonly string[] }

const startMsMax = 15_000

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

export class RedisServer {
  readonly port: number
  readonly #dir: string
  readonly #options: ServerOptions
  #child: ChildProcess | undefined

  constructor(port: number, dir: string, options: ServerOptions) {
    this.port = port
    this.#dir = dir
    this.#options = options
  }

  static async start(options: ServerOptions = {}): Promise<RedisServer> {
    const dir = await mkdtemp(join(tmpdir(), 'theoneeye-redis-'))
    const server = new RedisServer(await freePort(), dir, options)
    await server.start()
    return server
  }

  get url(): string {
    const auth = this.#options.password === undefined ? '' : `:${this.#options.password}@`
    return `redis://${auth}127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const { appendonly = 'no', password, args = [] } = this.#options
    const words = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.#dir, '--save', '']
    words.push('--appendonly', appendonly, '--loglevel', 'warning', '--enable-debug-command', 'yes')
    if (password !== undefined) words.push('--requirepass', password)
    const child = spawn('redis-server', [...words, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
    this.#child = child
    await untilAnswers(this.port, child)
  }

  /** SIGKILL loses what was not written; SIGTERM ends in order. Resolves when the process is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill(signal)
    await gone
  }

  /** Ends in order, with a snapshot to load at the next start. */
  async saveAndStop(): Promise<void> {
    const child = this.#child as ChildProcess
    this.#child = undefined
    const gone = new Promise(resolve => child.once('exit', resolve))
    const socket = connect(this.port, '127.0.0.1', () => socket.write('SHUTDOWN SAVE\r\n'))
    await gone
    socket.destroy()
  }

  async remove(): Promise<void> {
    await this.stop()
    await rm(this.#dir, { recursive: true, force: true })
  }
}

async function untilAnswers(port: number, child: ChildProcess): Promise<void> {
  const until = performance.now() + startMsMax
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
    if (performance.now() > until) throw new Error(`redis-server does not answer at port ${port}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', data => {
      socket.destroy()
      resolve(/^(\+PONG|-NOAUTH|-LOADING)/.test(data.toString()))
    })
    socket.once('error', () => resolve(false))
  })
}
