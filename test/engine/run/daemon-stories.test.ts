/** How a daemon serves its workflows and what it makes of wishes, told as stories on the bench. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { FlowDaemon } from '../../../engine/flow-daemon.ts'
import type { FlowGraph } from '../../../engine/graph/flow-graph.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { keysOf, knownDaemons } from '../../../engine/store/keys.ts'
import { setWish, type Wish } from '../../../engine/store/wishes.ts'
import { Bench, type Sketch } from '../../support/engine-bench.ts'
import { log, storyNodes } from '../../support/story-nodes.ts'

const counter = (max: number): [string, JsonObject] => ['counter', { min_value: 1, max_value: max }]
const ticks: [string, JsonObject] = ['timer', { interval: 1, unit: 'seconds' }]
const out = (name: string): [string, JsonObject] => ['queue-writer', { queue_name: name }]
const short: Sketch = { nodes: { n: counter(3), q: out('end') }, edges: 'n>q' }
/** Never ends. */
const long: Sketch = { nodes: { n: ticks, q: out('end') }, edges: 'n>q' }

let bench: Bench
beforeEach(() => {
  bench = new Bench(storyNodes)
  log.length = 0
})

async function opened(...workflows: (Sketch | FlowGraph)[]): Promise<FlowDaemon> {
  const { daemon } = bench.daemon()
  const graphs = workflows.map(each => ('loops' in each ? each : bench.load(each)))
  await bench.finish(daemon.open(graphs))
  return daemon
}

const stop = (...daemons: FlowDaemon[]) => bench.finish(Promise.all(daemons.map(daemon => daemon.stop())))
const ask = (wish: Wish, loop = '', workflow = 'story') => setWish(bench.redis, { workflow, loop }, wish)
const statuses = (daemon: FlowDaemon) => daemon.status().map(({ status }) => status)
const warnings = () => bench.of('warning').map(({ code }) => code)
const runs = () => new Set(bench.of('workflow_started').map(({ run }) => run))
const flush = () => bench.server.db.clear()
const meta = (field: string) => bench.server.db.hget(keysOf('story').meta, field)

describe('serving', () => {
  test('several workflows at once; one that cannot start is said once and holds up none', async () => {
    const answers: Sketch = { id: 'api', nodes: { w: 'counter', l: 'log' }, edges: 'w>l' }
    const api = bench.load(answers)
    const daemon = await opened(short, { ...long, id: 'other' }, { ...api, workflow: { ...api.workflow, type: 'api' } })
    await bench.pass(5_000)
    expect(statuses(daemon)).toEqual(['completed', 'running', 'failed'])
    expect(daemon.status()[2]?.error?.code).toBe('NOT_SUPPORTED')
    expect(warnings()).toEqual(['NOT_SUPPORTED'])
    expect((await bench.queue('end', 'other')).length).toBeGreaterThan(2)
    await stop(daemon)
  })

  test('two workflows of one id are refused before anything starts', async () => {
    const { daemon } = bench.daemon()
    await expect(daemon.open([bench.load(short), bench.load(long)])).rejects.toMatchObject({ code: 'USAGE' })
    expect(bench.events).toEqual([])
  })

  test('a complete workflow is left alone by whoever comes next; stopping drains, and the next one resumes', async () => {
    await stop(await opened(short))
    await stop(await opened(short, { ...long, id: 'other' }))
    const daemon = await opened(short, { ...long, id: 'other' })
    await bench.pass(3_000)
    expect(bench.of('workflow_started').map(event => [event.workflow_id, event.resumed])).toEqual([
      ['story', false],
      ['other', false],
      ['other', true],
    ])
    expect(statuses(daemon)).toEqual(['completed', 'running'])
    await stop(daemon)
  })

  test('it is on the list of daemons while it lives, and no longer', async () => {
    const [one, two] = [await opened(long), await opened(long)]
    await bench.pass(1_500)
    const listed = bench.server.db.hgetall(knownDaemons)
    expect(Object.values(listed).map(value => JSON.parse(value.slice(value.indexOf('|') + 1)))).toMatchObject([
      { host: 'bench', version: '0', pid: 1, workflows: 1 },
      { pid: 2 },
    ])
    await stop(one)
    expect(bench.server.db.hlen(knownDaemons)).toBe(1)
    await bench.finish(two.kill())
    const third = await opened()
    await bench.pass(12_000)
    expect(bench.server.db.hlen(knownDaemons), 'one that died without a word is dropped').toBe(1)
    await stop(third)
  })

  test('it is not ready while it starts, when Redis is silent, and when it stops', async () => {
    const { daemon } = bench.daemon()
    expect(daemon.health().ready).toBe(false)
    await bench.finish(daemon.open([bench.load(long)]))
    expect(daemon.health()).toEqual({ ready: true, reasons: [] })
    bench.server.db.set(knownDaemons, 'not a hash')
    await bench.pass(7_000)
    expect(daemon.health().reasons).toEqual([expect.stringMatching(/^Redis has not answered for \d s: WRONGTYPE/)])
    bench.server.db.del(knownDaemons)
    await bench.pass(1_500)
    expect(daemon.health().ready).toBe(true)
    await stop(daemon)
    expect(daemon.health().reasons).toEqual(['it stops'])
  })
})

describe('a wish', () => {
  test('to start begins one new run, however many daemons there are', async () => {
    const daemons = [await opened(short), await opened(short), await opened(short)]
    await ask('run:token')
    await bench.pass(3_000)
    expect(runs()).toEqual(new Set(['run-1', 'run-2']))
    expect(await bench.queue('end')).toHaveLength(6)
    expect(bench.of('workflow_started').filter(event => !event.resumed)).toHaveLength(2)
    await stop(...daemons)
  })

  test('to start is asked for once: said again, or while the run goes on, it is no second run', async () => {
    const daemon = await opened(short)
    await ask('run:token')
    await bench.pass(3_000)
    await ask('run:token')
    await bench.pass(3_000)
    expect(runs().size).toBe(2)
    await stop(daemon)
    const other = await opened({ ...long, id: 'other' })
    expect(await ask('run:another', '', 'other')).toEqual({ status: 'running' })
    await bench.pass(2_000)
    expect(bench.server.db.hget(keysOf('other').desired, '')).toBeNull()
    await stop(other)
  })

  test('to stop drains wherever it runs, and is remembered until somebody says start', async () => {
    const daemons = [await opened(long), await opened(long)]
    await ask('stop')
    await bench.pass(2_000)
    expect(daemons.flatMap(statuses)).toEqual(['stopped', 'stopped'])
    await stop(...daemons)
    const later = await opened(long)
    await bench.pass(5_000)
    expect(statuses(later)).toEqual(['stopped'])
    const before = (await bench.queue('end')).length
    expect(await ask('run:token')).toEqual({ status: 'running' })
    await bench.pass(5_000)
    expect(statuses(later)).toEqual(['running'])
    expect((await bench.queue('end')).length).toBeGreaterThan(before)
    expect(runs().size, 'it is the same run').toBe(1)
    await stop(later)
  })

  test('to pause holds for whoever comes later too, and to resume ends it', async () => {
    const first = await opened(long)
    await ask('pause')
    await bench.pass(2_000)
    expect(statuses(first)).toEqual(['paused'])
    await stop(first)
    const before = (await bench.queue('end')).length
    const second = await opened(long)
    await bench.pass(5_000)
    expect(statuses(second)).toEqual(['paused'])
    expect(await bench.queue('end')).toHaveLength(before)
    expect(await setWish(bench.redis, { workflow: 'story', loop: '' }, '', 'stop')).toEqual({ differs: 'pause' })
    await setWish(bench.redis, { workflow: 'story', loop: '' }, '', 'pause')
    await bench.pass(3_000)
    expect(statuses(second)).toEqual(['running'])
    expect((await bench.queue('end')).length).toBeGreaterThan(before)
    await stop(second)
  })

  test('for one loop leaves the others alone', async () => {
    const daemon = await opened({
      nodes: { n: ticks, q: out('a'), m: ticks, r: out('b') },
      edges: 'n>q m>r',
    })
    await ask('pause', 'n')
    await bench.pass(1_500)
    const before = (await bench.queue('a')).length
    await bench.pass(5_000)
    expect(daemon.status()[0]?.loops.map(({ status }) => status)).toEqual(['paused', 'running'])
    expect(await bench.queue('a')).toHaveLength(before)
    expect((await bench.queue('b')).length).toBeGreaterThan(before + 2)
    await stop(daemon)
  })

  test('to kill waits for no iteration, and leaves nothing leased', async () => {
    const daemon = await opened({ nodes: { n: counter(1), s: 'slow' }, edges: 'n>s' })
    await bench.pass(1_000)
    await ask('kill')
    await bench.pass(1_500)
    expect(log).toEqual(['slow aborted'])
    expect(statuses(daemon)).toEqual(['stopped'])
    expect(bench.server.db.hget(keysOf('story').replica('n:0'), 'holder')).toBe('')
    await ask('run:token')
    await bench.pass(62_000)
    expect(log).toEqual(['slow aborted', 'slow ended'])
    await stop(daemon)
  })
})

describe('what Redis says differs from what it said before', () => {
  test('another definition of an unfinished run: said once, tried again when that run is over', async () => {
    await stop(await opened(long))
    const daemon = await opened({ ...long, settings: { drain_timeout_seconds: 7 } })
    await bench.pass(10_000)
    expect(statuses(daemon)).toEqual(['failed'])
    expect(warnings()).toEqual(['WORKFLOW_CHANGED'])
    await bench.finish(bench.engine(bench.load(short)).engine.start({ mode: 'fresh' }))
    await bench.pass(3_000)
    expect(meta('status')).toBe('completed')
    await ask('run:token')
    await bench.pass(3_000)
    expect(statuses(daemon)).toEqual(['running'])
    await stop(daemon)
  })

  test('Redis is emptied while the workflow runs: said, and begun anew', async () => {
    const daemon = await opened(long)
    await bench.pass(5_000)
    flush()
    await bench.pass(20_000)
    expect(warnings()).toContain('RUN_LOST')
    expect(statuses(daemon)).toEqual(['running'])
    expect(meta('status')).toBe('running')
    await stop(daemon)
  })

  test('Redis is emptied while it rests: said, and not begun until somebody asks, by no daemon', async () => {
    const daemon = await opened(short)
    await bench.pass(2_000)
    flush()
    await bench.pass(5_000)
    const other = await opened(short)
    await bench.pass(5_000)
    expect(warnings()).toEqual(['RUN_LOST'])
    expect(bench.of('workflow_started')).toHaveLength(1)
    await ask('run:token')
    await bench.pass(3_000)
    expect(statuses(daemon)).toEqual(['completed'])
    expect(await bench.queue('end')).toHaveLength(3)
    await stop(daemon, other)
  })
})
