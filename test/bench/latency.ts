/** How long an item takes through idle consumers, from adding it to its acknowledged end, one at a time. */
import { RedisServer } from '../support/redis-server.ts'
import { bullmq } from './bullmq.ts'
import { type Arm, type Bench, quantile, type Sample } from './measure.ts'
import { ours } from './ours.ts'
import type { Hops, Peer } from './peer.ts'

/** Between two items: long enough for every consumer to be back in its blocking wait. */
const pauseMs = 3

export function latency(hops: Hops): Bench {
  const path = hops === 1 ? 'one hop' : 'two hops'
  return {
    title: `add → finished, unloaded, ${path} over a real Redis, 300-byte items, one at a time`,
    size: { full: 400, quick: 100 },
    async open() {
      const server = await RedisServer.start()
      const arm = (peer: Peer): Arm => ({
        name: `${peer.name}, ${path}`,
        run: size => latencies(peer, server.url, { hops, items: size }),
      })
      return { arms: [arm(ours), arm(bullmq)], close: () => server.remove() }
    },
  }
}

async function latencies(peer: Peer, url: string, { hops, items }: { hops: Hops; items: number }): Promise<Sample> {
  let finished: (atMs: number) => void = () => undefined
  let failed: (error: unknown) => void = () => undefined
  let broken: unknown
  const open = await peer.open(url, {
    hops,
    onFinished: () => finished(performance.now()),
    onFailed: error => {
      broken = error
      failed(error)
    },
  })
  const all: number[] = []
  try {
    await open.start()
    await pause(20 * pauseMs)
    for (let n = 1; n <= items; n++) {
      await pause(pauseMs)
      const end = new Promise<number>((resolve, reject) => {
        finished = resolve
        failed = reject
        if (broken !== undefined) reject(broken)
      })
      const startedMs = performance.now()
      const [endedMs] = await Promise.all([end, open.add(n)])
      all.push(endedMs - startedMs)
    }
  } finally {
    await open.close()
  }
  return { 'p50 ms': quantile(all, 0.5), 'p99 ms': quantile(all, 0.99) }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
