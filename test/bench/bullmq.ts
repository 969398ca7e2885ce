/** The peer's side of a comparison: a BullMQ worker of concurrency 1 per queue, finished jobs removed at once. */
import { Queue, Worker } from 'bullmq'
import { itemData, type OpenPeer, type Peer } from './peer.ts'

const opts = { removeOnComplete: true }
let opened = 0

export const bullmq: Peer = {
  name: 'BullMQ',
  async open(url, { hops, onFinished, onFailed }): Promise<OpenPeer> {
    const { hostname, port } = new URL(url)
    const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
    const names = hops === 2 ? [`first-${++opened}`, `second-${opened}`] : [`first-${++opened}`]
    const queues = names.map(name => new Queue(name, { connection }))
    const [first, second] = queues as [Queue, Queue | undefined]
    const settings = { connection, concurrency: 1, autorun: false }
    const end = new Worker(names.at(-1) as string, async () => undefined, settings)
    end.on('completed', job => onFinished((job.data as { n: number }).n))
    const workers = [end]
    if (second !== undefined) {
      workers.push(
        new Worker(names[0] as string, async job => void (await second.add('item', job.data, opts)), settings),
      )
    }
    for (const worker of workers) worker.on('error', onFailed).on('failed', (_job, error) => onFailed(error))
    await Promise.all([...workers, ...queues].map(each => each.waitUntilReady()))
    return {
      fill: async numbers => void (await first.addBulk(numbers.map(n => ({ name: 'item', data: itemData(n), opts })))),
      start: async () => {
        for (const worker of workers) void worker.run()
      },
      add: async n => void (await first.add('item', itemData(n), opts)),
      close: async () => {
        await Promise.all(workers.map(worker => worker.close()))
        await Promise.all(queues.map(queue => queue.obliterate({ force: true })))
        await Promise.all(queues.map(queue => queue.close()))
      },
    }
  },
}
