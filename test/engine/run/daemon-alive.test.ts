/** When a daemon is worth keeping: one loop in trouble costs readiness, never the process in which the others run. */
import { expect, test } from 'vitest'
import { defineForm } from '../../../engine/node/form.ts'
import { BlockingNode, type NodeOutput } from '../../../engine/node/node.ts'
import { knownDaemons } from '../../../engine/store/keys.ts'
import { setWish } from '../../../engine/store/wishes.ts'
import { Bench, type Sketch } from '../../support/engine-bench.ts'

let isLicensed = false

/** Its loop crashes whenever it starts, until there is a licence. */
class NeverReady extends BlockingNode {
  static override identifier = 'never-ready'
  static override form = defineForm({})
  override async setup(): Promise<void> {
    if (!isLicensed) throw new Error('no licence')
  }
  async execute(input: NodeOutput): Promise<NodeOutput> {
    return input
  }
}

const ticking = (id: string, type: string): Sketch => ({
  id,
  nodes: { n: ['timer', { interval: 1, unit: 'seconds' }], x: type },
  edges: 'n>x',
})

async function opened(...workflows: Sketch[]) {
  const bench = new Bench([NeverReady])
  const { daemon } = bench.daemon()
  await bench.finish(daemon.open(workflows.map(workflow => bench.load(workflow))))
  await bench.pass(5_000)
  return { bench, daemon, end: () => bench.finish(daemon.kill()) }
}

test('with one loop in trouble it is not ready, but alive', async () => {
  const { daemon, end } = await opened(ticking('good', 'log'), ticking('bad', 'never-ready'))
  expect(daemon.health()).toMatchObject({ ready: false, reasons: [expect.stringContaining('no licence')] })
  expect(daemon.isAlive()).toBe(true)
  await end()
})

test('with every loop in trouble it is neither', async () => {
  const { daemon, end } = await opened(ticking('bad', 'never-ready'), ticking('worse', 'never-ready'))
  expect([daemon.health().ready, daemon.isAlive()]).toEqual([false, false])
  await end()
})

test('without workflows it is alive as long as Redis answers', async () => {
  const { bench, daemon, end } = await opened()
  expect(daemon.isAlive()).toBe(true)
  bench.server.db.set(knownDaemons, 'not a hash')
  await bench.pass(7_000)
  expect(daemon.isAlive()).toBe(false)
  await end()
})

test('a loop that was given up goes on when somebody wants it to, once for each time that they do', async () => {
  const { bench, daemon, end } = await opened(ticking('bad', 'never-ready'))
  const status = () => daemon.status()[0]?.loops[0]?.status
  const resume = (token: string) => setWish(bench.redis, { workflow: 'bad', loop: 'n' }, `try:${token}`)
  await bench.pass(600_000)
  expect(status()).toBe('failed')
  await resume('too-early')
  await bench.pass(600_000)
  expect(status(), 'it was tried, and given up again').toBe('failed')
  const crashes = bench.of('warning').length
  await bench.pass(600_000)
  expect(bench.of('warning'), 'what was wanted once is not done twice').toHaveLength(crashes)
  isLicensed = true
  await resume('mended')
  await bench.pass(5_000)
  expect(status()).toBe('running')
  expect(bench.of('iteration_completed').length).toBeGreaterThan(2)
  await end()
})
