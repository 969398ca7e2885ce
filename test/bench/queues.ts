/**
 * Two hops over a real Redis beside BullMQ's: the queue is full before the consumers start, the last item stops the watch.
 * Beside the rate stands what an item costs, this process and the server together: on a busy machine that says more, since
 * whoever works without a pause gets less of it than who sleeps often.
 */
import { connectRedis } from '../../daemon/redis.ts'
import type { Script } from '../../engine/ports.ts'
import { RedisServer } from '../support/redis-server.ts'
import { bullmq } from './bullmq.ts'
import { type Arm, type Bench, cpuUs, type Sample } from './measure.ts'
import { ours } from './ours.ts'
import { numbers, type Peer } from './peer.ts'

export const queues: Bench = {
  title: 'queue → loop → queue → loop over a real Redis, 300-byte items, one consumer each, in order',
  size: { full: 5000, quick: 1000 },
  async open() {
    const server = await RedisServer.start()
    return { arms: [arm(ours, server.url), arm(bullmq, server.url)], close: () => server.remove() }
  },
}

function arm(peer: Peer, url: string): Arm {
  return { name: `${peer.name}, two hops`, run: size => throughput(peer, url, size) }
}

/** Rejects when an item is missing, doubled or out of order: a rate of something else would be worth nothing. */
export async function throughput(peer: Peer, url: string, items: number): Promise<Sample> {
  let onFinished: (n: number) => void = () => undefined
  let onFailed: (error: unknown) => void = () => undefined
  const finished = new Promise<number>((resolve, reject) => {
    let expected = 1
    onFailed = reject
    onFinished = n => {
      if (n !== expected) reject(new Error(`${peer.name}: item ${n} came when ${expected} was due`))
      else if (n === items) resolve(performance.now())
      expected += 1
    }
  })
  const open = await peer.open(url, { hops: 2, onFinished, onFailed })
  const server = await connectRedis(url)
  const used = async () => cpuUs() + Number(await server.call(serverCpu, [], []))
  let usedBefore = 0
  const begun = async (): Promise<number> => {
    await open.fill(numbers(1, items))
    usedBefore = await used()
    const startedMs = performance.now()
    await open.start()
    return startedMs
  }
  try {
    const [endedMs, startedMs] = await Promise.all([finished, begun()])
    const cpu = (await used()) - usedBefore
    return { 'items/s': (items * 1000) / (endedMs - startedMs), 'µs of CPU each': cpu / items }
  } finally {
    await open.close()
    await server.close()
  }
}

/** Microseconds that the server has used. */
const serverCpu: Script = {
  name: 'server-cpu',
  lua: `
    local info = redis.call('INFO', 'cpu')
    local function seconds(name) return tonumber(string.match(info, 'used_cpu_' .. name .. ':([%d.]+)')) end
    return math.floor((seconds('user') + seconds('sys')) * 1000000)`,
  run: () => {
    throw new Error('only a server knows')
  },
}
