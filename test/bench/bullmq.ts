/** The peer: jobs wait in one BullMQ queue, a worker passes them on to a second, whose worker ends them. */
import { Queue, Worker } from 'bullmq'

let run = 0

/** Items per second, from the start of the workers until the last job of the second queue has ended. */
export async function bullmqTwoHops(url: string, items: number): Promise<number> {
  const { hostname, port } = new URL(url)
  const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
  const names = [`first-${++run}`, `second-${run}`] as const
  const [first, second] = [new Queue(names[0], { connection }), new Queue(names[1], { connection })]
  const removal = { removeOnComplete: true }
  const jobs = Array.from({ length: items }, (_, i) => ({ name: 'item', data: { n: i + 1 }, opts: removal }))
  await first.addBulk(jobs)

  const startedMs = performance.now()
  let done = 0
  let finish = (): void => {}
  const finished = new Promise<void>(resolve => {
    finish = resolve
  })
  const pass = new Worker(names[0], job => second.add('item', job.data, removal), { connection, concurrency: 1 })
  const end = new Worker(
    names[1],
    async () => {
      if (++done === items) finish()
    },
    { connection, concurrency: 1 },
  )
  await finished
  const rate = (items * 1000) / (performance.now() - startedMs)
  await Promise.all([pass.close(), end.close()])
  await Promise.all([first.obliterate({ force: true }), second.obliterate({ force: true })])
  await Promise.all([first.close(), second.close()])
  return rate
}
