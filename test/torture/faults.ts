/** What is done to a cluster. Each kind resolves when its doing is over; what it broke may still be recovering. */
import type { Cluster, Daemon } from './cluster.ts'

export type Draw = <T>(from: readonly T[]) => T
export type Act = (cluster: Cluster, draw: Draw, leaseMs: number) => Promise<void>

const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** One that is up and not held still. */
function victim(cluster: Cluster, draw: Draw): Daemon {
  return draw(cluster.daemons.filter(daemon => !daemon.isStopped))
}

export const faults: Readonly<Record<string, Act>> = {
  'kill -9 of a daemon': async (cluster, draw) => {
    await victim(cluster, draw).end('SIGKILL')
  },
  'kill -9 of two daemons': async (cluster, draw) => {
    const first = victim(cluster, draw)
    const second = draw(cluster.daemons.filter(daemon => daemon !== first))
    await Promise.all([first.end('SIGKILL'), second.end('SIGKILL')])
  },
  'SIGTERM of a daemon': async (cluster, draw) => {
    await victim(cluster, draw).end('SIGTERM')
  },
  'kill -9 of a worker': async (cluster, draw) => {
    const workers = cluster.daemons.flatMap(daemon => daemon.workers())
    if (workers.length === 0) return
    try {
      process.kill(draw(workers), 'SIGKILL')
    } catch {
      // it has just ended by itself
    }
  },
  'kill -9 of Redis': async cluster => {
    await cluster.restartRedis()
  },
  'connections cut': async (cluster, draw) => {
    victim(cluster, draw).proxy.killAll()
  },
  'all connections cut': async cluster => {
    for (const daemon of cluster.daemons) daemon.proxy.killAll()
  },
  'reply to a commit lost': async (cluster, draw) => {
    victim(cluster, draw).proxy.cutReplyTo('evalsha')
  },
  'connections slow': async (cluster, draw) => {
    const { proxy } = victim(cluster, draw)
    proxy.slow(draw([50, 200]))
    await wait(1_500)
    proxy.slow(0)
  },
  'SIGSTOP beyond the lease': async (cluster, draw, leaseMs) => {
    const daemon = victim(cluster, draw)
    daemon.pause()
    await wait(leaseMs * draw([1.5, 2.5]))
    daemon.resume()
  },
}
