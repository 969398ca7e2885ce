/**
 * A daemon and a real Redis that goes away, hangs, is emptied, is full, or forgets its last second: nothing is lost that
 * Redis kept, nothing is done twice between queues, and what happened is said.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis as Client } from 'ioredis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connectRedis } from '../../daemon/redis.ts'
import { type Daemon, startDaemon } from '../../daemon/start-daemon.ts'
import { pinoLog } from '../../daemon/system-ports.ts'
import type { JsonObject } from '../../engine/json.ts'
import { listQueues, peekQueue, pushToQueue } from '../../engine/store/inspect.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import { sketch } from '../support/engine-bench.ts'
import { RedisServer, type ServerOptions } from '../support/redis-server.ts'
import { tempDir } from '../support/temp-dir.ts'

const items = 400

/** Counts into `raw`, from there one by one into `done`, where nobody reads; never completes, since `keep` might tick. */
const pipeline = sketch({
  id: 'pipeline',
  nodes: {
    count: ['counter', { min_value: 1, max_value: items }],
    keep: ['timer', { interval: 1, unit: 'hours' }],
    raw: ['queue-writer', { queue_name: 'raw' }],
    take: ['queue-reader', { queue_name: 'raw' }],
    done: ['queue-writer', { queue_name: 'done' }],
  },
  edges: 'count>raw keep>raw take>done',
})

class Running {
  readonly server: RedisServer
  readonly events: EngineEvent[] = []
  readonly lines: (JsonObject & { level: number; msg: string })[] = []
  daemon!: Daemon
  readonly #cwd = tempDir()
  #wake: () => void = () => undefined

  constructor(server: RedisServer) {
    this.server = server
  }

  static async start(workflow: JsonObject, options: ServerOptions = { appendonly: 'yes' }): Promise<Running> {
    const server = await RedisServer.start(options)
    onTestFinished(() => server.remove())
    const running = new Running(server)
    mkdirSync(join(running.#cwd, 'workflows'))
    writeFileSync(join(running.#cwd, 'workflows/w.json'), JSON.stringify(workflow))
    running.daemon = await running.again()
    return running
  }

  /** Another daemon on the same folder and Redis. */
  async again(): Promise<Daemon> {
    const write = (line: string) => void this.lines.push(JSON.parse(line) as Running['lines'][number])
    const daemon = await startDaemon(
      { redis: this.server.url, listen: '127.0.0.1:0', lease_seconds: 1 },
      { cwd: this.#cwd, log: pinoLog({ destination: { write } }), onEvent: event => this.#see(event) },
    )
    onTestFinished(() => daemon.kill())
    return daemon
  }

  #see(event: EngineEvent): void {
    this.events.push(event)
    this.#wake()
  }

  #next(): Promise<void> {
    return new Promise<void>(resolve => {
      this.#wake = resolve
    })
  }

  /** Resolves when an event fits that has come since index `from`. */
  async until(fits: (event: EngineEvent) => boolean, from = 0): Promise<void> {
    while (!this.events.slice(from).some(fits)) await this.#next()
  }

  /** Resolves when so many iterations of a loop have committed. */
  async committed(loop: string, n: number): Promise<void> {
    const count = () => this.events.filter(event => event.type === 'iteration_completed' && event.loop === loop).length
    while (count() < n) await this.#next()
  }

  /** Resolves when the queue holds so many; looks whenever something has happened. */
  async holds(name: string, n: number): Promise<void> {
    const redis = await connectRedis(this.server.url)
    for (let seen = this.events.length; ; seen = this.events.length) {
      const length = (await listQueues(redis, 'pipeline', 0)).find(queue => queue.name === name)?.length
      if (length === n) break
      if (this.events.length === seen) await this.#next()
    }
    await redis.close()
  }

  /** As an operator does: `theoneeye queue push`. */
  async push(queue: string, numbers: readonly number[]): Promise<void> {
    const redis = await connectRedis(this.server.url)
    const items = numbers.map(current => ({ counter: { current } }))
    await pushToQueue(redis, { workflow: 'pipeline', queue }, items, { nonce: `push-${numbers[0]}`, now: 0 })
    await redis.close()
  }

  /** What stands in the queue, as the counter counted. */
  async queue(name: string): Promise<number[]> {
    const redis = await connectRedis(this.server.url)
    const entries = await peekQueue(redis, 'pipeline', name, 0)
    await redis.close()
    return entries.map(({ data }) => (data.counter as JsonObject).current as number)
  }

  async client(): Promise<Client> {
    const client = new Client({ port: this.server.port })
    onTestFinished(() => client.disconnect())
    return client
  }
}

const all = Array.from({ length: items }, (_, i) => i + 1)

describe('a Redis that', () => {
  it('is killed and started again loses nothing with an append-only file: each item once, in order', async () => {
    const running = await Running.start(pipeline, { appendonly: 'yes', args: ['--appendfsync', 'always'] })
    for (const n of [20, 60, 120]) {
      await running.committed('take', n)
      await running.server.stop('SIGKILL')
      await running.server.start()
    }
    await running.holds('done', items)
    expect(await running.queue('done')).toEqual(all)
    expect(await running.queue('raw')).toEqual([])
  })

  it('pauses all clients for longer than a lease is waited for', async () => {
    const running = await Running.start(pipeline)
    await running.committed('take', 20)
    await (await running.client()).client('PAUSE', 3_000, 'ALL')
    await running.holds('done', items)
    expect(await running.queue('done')).toEqual(all)
  })

  it('is away makes it unready, with the reason; back again, ready', async () => {
    const running = await Running.start(pipeline)
    expect((await fetch(`${running.daemon.url}/health/ready`)).status).toBe(200)
    await running.server.stop('SIGKILL')
    const statusWhen = async (status: number): Promise<string> => {
      for (;;) {
        const answer = await fetch(`${running.daemon.url}/health/ready`)
        const body = await answer.text()
        if (answer.status === status) return body
      }
    }
    expect(await statusWhen(503)).toMatch(/Redis has not answered for \d+ s|leases were not renewed/)
    expect((await fetch(`${running.daemon.url}/health/live`)).status).toBe(200)
    await running.server.start()
    await statusWhen(200)
  })

  it('is emptied by a stranger: it is said loudly, and a new run begins', async () => {
    const running = await Running.start(pipeline)
    await running.committed('take', 20)
    const from = running.events.length
    await (await running.client()).flushall()
    await running.until(event => event.type === 'warning' && event.code === 'RUN_LOST', from)
    await running.holds('done', items)
    const loud = running.lines.filter(({ level, code }) => level === 50 && code === 'RUN_LOST')
    expect(loud[0]?.msg).toMatch(/Redis no longer knows run "run-1"/)
    expect(await running.queue('done')).toEqual(all)
  })

  it('is full makes producers wait while readers drain; with room again, nothing is lost', async () => {
    const running = await Running.start(pipeline)
    const client = await running.client()
    await running.committed('count', 20)
    await client.config('SET', 'maxmemory', '1')
    await running.until(event => event.type === 'warning' && event.code === 'REDIS_OUT_OF_MEMORY')
    await running.holds('raw', 0)
    await client.config('SET', 'maxmemory', '0')
    await running.holds('done', items)
    expect(await running.queue('done')).toEqual(all)
  })

  it('comes back without its last second goes on from what it has', async () => {
    const running = await Running.start(pipeline, { appendonly: 'no' })
    const client = await running.client()
    await running.holds('done', items)
    await client.save()
    // Redis will forget that these were ever pushed, and so will everybody
    await running.push('raw', [1_001, 1_002, 1_003])
    await running.holds('done', items + 3)
    await running.server.stop('SIGKILL')
    await running.server.start()
    await running.push('raw', [2_001, 2_002])
    await running.holds('done', items + 2)
    expect(await running.queue('done')).toEqual([...all, 2_001, 2_002])
    expect(running.lines.filter(({ code }) => code === 'DIVERGED').map(({ level }) => level)).toContain(50)
  })
})

it('a drained daemon leaves no claims', async () => {
  const running = await Running.start(pipeline)
  await running.committed('take', 50)
  await running.daemon.stop()
  const redis = await connectRedis(running.server.url)
  const queues = await listQueues(redis, 'pipeline', 0)
  await redis.close()
  expect(queues.map(({ name, claimed }) => [name, claimed])).toEqual([
    ['done', 0],
    ['raw', 0],
  ])
  expect(await running.daemon.done).toBe('stopped')
})

it('a daemon stops although its Redis is gone; what it held is recovered by the next', async () => {
  const running = await Running.start({ ...pipeline, settings: { drain_timeout_seconds: 0 } })
  await running.committed('take', 20)
  await running.server.stop('SIGKILL')
  void running.daemon.stop()
  expect(await running.daemon.done).toMatch(/stopped|killed/)
  await running.server.start()
  const next = await running.again()
  await running.holds('done', items)
  expect(await running.queue('done')).toEqual(all)
  await next.stop()
})
