/**
 * The entry of a worker of a real host, thread or process: adapts it, and has the engine serve the one loop it was handed.
 * As a thread it is a task of piscina; as a process it is told what to do in its first message.
 */
import type { MessagePort } from 'node:worker_threads'
import { Worker } from 'node:worker_threads'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import type { Log, Redis } from '../engine/ports.ts'
import { LoopInWorker } from '../engine/run/loop-worker.ts'
import type { Pulse } from '../engine/run/pulse.ts'
import type { Down, Up, WorkerStart } from './pool-messages.ts'
import { BridgedRedis, lateRedis } from './redis-bridge.ts'
import { BatchingMeter, meterRedis } from './redis-metered.ts'
import { openRegistry } from './session.ts'
import { systemClock, systemFiles, systemHost, systemHttp, systemRandom } from './system-ports.ts'
import { newVitals, writeVitals } from './vitals.ts'

export type ThreadTask = { start: WorkerStart; port: MessagePort; vitals: SharedArrayBuffer }

type Channel = { send(message: Up): void; listen(hear: (message: Down) => void): void }

/** Serves the loop to its end; resolves when the end was told. */
async function serve(
  { task, redisUrl, filesDir, nodesDir, outgoing }: WorkerStart,
  channel: Channel,
  pulse: Pulse,
): Promise<void> {
  const waiting: Down[] = []
  let hear = (message: Down): void => void waiting.push(message)
  channel.listen(message => hear(message))
  const bridge = new BridgedRedis(message => channel.send({ from: 'redis', message }))
  // calls that go by message are measured where they arrive
  const meter = new BatchingMeter(batch => channel.send({ from: 'meter', batch }))
  const own = (url: string): Redis =>
    meterRedis(
      lateRedis(() => connect(url)),
      meter,
    )
  const redis: Redis = redisUrl === undefined ? bridge : own(redisUrl)
  const log: Log = { write: (level, message, fields) => channel.send({ from: 'log', level, message, fields }) }
  const registry = await openRegistry({ nodes: nodesDir })
  const ports = {
    clock: systemClock(),
    random: systemRandom(),
    redis,
    host: systemHost(),
    http: systemHttp(outgoing === undefined ? {} : { outgoing }),
    files: systemFiles(filesDir),
    log,
  }
  const loop = new LoopInWorker(task, {
    ports,
    pulse,
    load: ({ name, source }) => requireWorkflow(source, { registry, name }),
    post: message => channel.send({ from: 'loop', message }),
  })
  hear = message => {
    if (message.to === 'loop') loop.receive(message.message)
    else bridge.hear(message.message)
  }
  for (const message of waiting.splice(0)) hear(message)
  await loop.done
  meter.flush()
  await redis.close().catch(() => undefined)
}

async function connect(url: string): Promise<Redis> {
  return (await import('./redis.ts')).connectRedis(url)
}

/** The task of piscina. The port closes behind the last word, so that the daemon knows that it was the last. */
export default async function serveInThread({ start, port, vitals }: ThreadTask): Promise<void> {
  // stdout belongs to results, and to the daemon
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write
  const channel: Channel = {
    send: message => port.postMessage(message),
    listen: hear => port.on('message', hear),
  }
  try {
    await serve(start, channel, writeVitals(vitals))
  } finally {
    port.close()
  }
}

/** Serves what the first message says; gone when the daemon is. */
function serveInProcess(): void {
  const vitals = newVitals()
  const pulse = writeVitals(vitals)
  const built = new URL('./pool-heartbeat.js', import.meta.url)
  const isSource = import.meta.url.endsWith('.ts')
  const beside = new Worker(new URL(isSource ? built.href.replace(/js$/, 'ts') : built), {
    workerData: { vitals },
    stdout: true,
  })
  beside.unref()
  // Ctrl-C reaches the whole group: what it means for this process is the daemon's to say
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  process.on('disconnect', () => process.exit(0))
  const last = (message: Up): Promise<unknown> => new Promise(resolve => process.send?.(message, resolve))
  let said: Promise<unknown> = Promise.resolve()
  process.once('message', (start: WorkerStart) => {
    const channel: Channel = {
      send: message => {
        said = last(message)
      },
      listen: hear => process.on('message', hear),
    }
    void serve(start, channel, pulse)
      .then(() => said)
      .then(() => process.exit(0))
  })
}

if (process.argv[2] === '--pool-worker' && process.send !== undefined) serveInProcess()
