/** What a reload does to loops, leases and queues, and who takes over from whom, told as stories on the bench. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { FlowDaemon, ReloadReport } from '../../../engine/flow-daemon.ts'
import type { FlowGraph } from '../../../engine/graph/flow-graph.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { pushToQueue } from '../../../engine/store/inspect.ts'
import { keysOf } from '../../../engine/store/keys.ts'
import { setWish } from '../../../engine/store/wishes.ts'
import { Bench, type Sketch } from '../../support/engine-bench.ts'
import { log, storyNodes } from '../../support/story-nodes.ts'

const ticks: [string, JsonObject] = ['timer', { interval: 1, unit: 'seconds' }]
const out = (name: string): [string, JsonObject] => ['queue-writer', { queue_name: name }]
const into = (name: string): [string, JsonObject] => ['queue-reader', { queue_name: name }]
const mark = (name: string): [string, JsonObject] => ['mark', { name }]

/** A loop that ticks, a loop that reads what it pushes. */
function flow(marks: { tick?: string; read?: string } = {}, more: Sketch['nodes'] = {}, edges = ''): FlowGraph {
  return bench.load({
    nodes: {
      tick: ticks,
      a: mark(marks.tick ?? 'old'),
      q: out('middle'),
      read: into('middle'),
      b: mark(marks.read ?? 'old'),
      end: out('end'),
      ...more,
    },
    edges: `tick>a a>q q>read read>b b>end ${edges}`,
  })
}

let bench: Bench
beforeEach(() => {
  bench = new Bench(storyNodes)
  log.length = 0
})

async function opened(graph: FlowGraph): Promise<FlowDaemon> {
  const { daemon } = bench.daemon()
  await bench.finish(daemon.open([graph]))
  return daemon
}

const stop = (...daemons: FlowDaemon[]) => bench.finish(Promise.all(daemons.map(daemon => daemon.stop())))
const reload = async (daemon: FlowDaemon, ...graphs: FlowGraph[]): Promise<ReloadReport> =>
  (await bench.finish(daemon.reload(graphs)))[0] as ReloadReport
const db = () => bench.server.db
const holder = (name: string) => db().hgetall(keysOf('story').replica(name))
const started = (loop: string) => bench.of('loop_started').filter(event => event.loop === loop).length
const warnings = () => bench.of('warning').map(({ code }) => code)
const last = async () => (await bench.queue('end')).at(-1) as JsonObject

describe('a reload', () => {
  test('swaps the loop that changed and does not touch the other: same lease, same instances', async () => {
    const daemon = await opened(flow())
    await bench.pass(3_500)
    const before = holder('tick:0').holder
    const report = await reload(daemon, flow({ read: 'new' }))
    expect(report).toEqual({
      workflow: 'story',
      status: 'reloaded',
      loops: [
        { id: 'tick', change: 'unchanged' },
        { id: 'read', change: 'changed' },
      ],
    })
    await bench.pass(3_000)
    expect(holder('tick:0').holder).toBe(before)
    expect([started('tick'), started('read')]).toEqual([1, 2])
    expect(await last()).toMatchObject({ old: true, new: true })
    expect(log.filter(line => line === 'cleanup a')).toEqual([])
    const items = await bench.queue('end')
    expect(
      items.map(data => (data.timer as JsonObject).iteration),
      'each once and in order',
    ).toEqual(items.map((_, i) => i + 1))
    expect(warnings()).toEqual([])
    await stop(daemon)
  })

  test('of nothing that matters changes nothing; of the same file it does nothing', async () => {
    const daemon = await opened(flow())
    const { workflow } = flow()
    expect(await reload(daemon, flow())).toMatchObject({ status: 'unchanged' })
    const longer = bench.load({ ...sketchOf(), settings: { drain_timeout_seconds: 7 } })
    expect(workflow.settings.drain_timeout_seconds).toBe(30)
    expect(await reload(daemon, longer)).toMatchObject({
      status: 'reloaded',
      loops: [{ change: 'unchanged' }, { change: 'unchanged' }],
    })
    await bench.pass(2_000)
    expect([started('tick'), started('read')]).toEqual([1, 1])
    await stop(daemon)
  })

  test('starts what was added and stops what was removed', async () => {
    const daemon = await opened(flow())
    await bench.pass(1_500)
    const added = await reload(daemon, flow({}, { more: ticks, x: out('x') }, 'more>x'))
    expect(added.loops.at(-1)).toEqual({ id: 'more', change: 'added' })
    await bench.pass(3_500)
    expect((await bench.queue('x')).length).toBeGreaterThan(1)
    const removed = await reload(daemon, flow())
    expect(removed.loops.at(-1)).toEqual({ id: 'more', change: 'removed' })
    const before = (await bench.queue('x')).length
    await bench.pass(5_000)
    expect(await bench.queue('x')).toHaveLength(before)
    expect(holder('more:0').holder).toBe('')
    await stop(daemon)
  })

  test('that would leave items without a reader is refused as a whole, naming the queue', async () => {
    const daemon = await opened(flow())
    await setWish(bench.redis, { workflow: 'story', loop: 'read' }, 'pause')
    await bench.pass(4_000)
    const without = bench.load({ nodes: { tick: ticks, a: mark('new'), q: out('middle') }, edges: 'tick>a a>q' })
    const report = await reload(daemon, without)
    expect(report).toMatchObject({ status: 'refused', error: { code: 'QUEUE_ORPHANED' } })
    expect(report.error?.message).toContain('"middle"')
    await setWish(bench.redis, { workflow: 'story', loop: 'read' }, '')
    await bench.pass(3_000)
    expect(await last()).toMatchObject({ old: true })
    expect([started('tick'), started('read')]).toEqual([1, 1])
    expect(await reload(daemon, without), 'an empty queue is no reason').toMatchObject({ status: 'reloaded' })
    await stop(daemon)
  })

  test('keeps the state of nodes that stay', async () => {
    const daemon = await opened(flow())
    await bench.pass(3_500)
    const before = (await bench.queue('end')).length
    await reload(daemon, flow({ tick: 'new' }))
    await bench.pass(3_500)
    const numbers = (await bench.queue('end')).map(data => (data.timer as JsonObject).iteration)
    expect(numbers.length).toBeGreaterThan(before)
    expect(numbers).toEqual(numbers.map((_, i) => i + 1))
    await stop(daemon)
  })

  test('a loop that ended begins again when it changed, and so does what it feeds', async () => {
    const counting = (max: number) =>
      bench.load({
        nodes: { n: ['counter', { min_value: 1, max_value: max }], q: out('middle'), read: into('middle'), w: ticks },
        edges: 'n>q q>read',
      })
    const daemon = await opened(counting(2))
    await bench.pass(4_000)
    expect(db().hgetall(keysOf('story').ended)).toEqual({ n: 'run-1', read: 'run-1' })
    await reload(daemon, counting(5))
    await bench.pass(4_000)
    expect(bench.of('iteration_completed').filter(event => event.loop === 'read')).toHaveLength(5)
    expect(db().hgetall(keysOf('story').ended)).toEqual({ n: 'run-1', read: 'run-1' })
    await stop(daemon)
  })

  test('without the last loop that was not over completes the run', async () => {
    const counting = (more: Sketch['nodes']) =>
      bench.load({ nodes: { n: ['counter', { min_value: 1, max_value: 2 }], q: out('end'), ...more }, edges: 'n>q' })
    const daemon = await opened(counting({ w: ticks }))
    await bench.pass(4_000)
    await reload(daemon, counting({}))
    await bench.pass(4_000)
    expect(daemon.status()[0]?.status).toBe('completed')
    await stop(daemon)
  })

  test('waits for the running iteration, at most for the drain time-out', async () => {
    const slow = (name: string) =>
      bench.load({
        settings: { drain_timeout_seconds: 5 },
        nodes: { n: ['counter', { min_value: 1, max_value: 1 }], s: 'slow', m: mark(name), q: out('end') },
        edges: 'n>s s>m m>q',
      })
    const daemon = await opened(slow('old'))
    await bench.pass(1_000)
    expect(await reload(daemon, slow('new'))).toMatchObject({ status: 'reloaded' })
    expect(bench.time.ms).toBeLessThan(9_000)
    expect(log).toContain('slow aborted')
    await bench.pass(70_000)
    expect(await bench.queue('end')).toMatchObject([{ new: true }])
    await stop(daemon)
  })
})

describe('several daemons', () => {
  test('one reloads: what changed moves to it, what did not stays where it is; the other says so once, then adopts', async () => {
    const [one, two] = [await opened(flow()), await opened(flow())]
    await bench.pass(2_000)
    const before = holder('tick:0').holder
    expect(await reload(two, flow({ read: 'new' }))).toMatchObject({ status: 'reloaded' })
    await bench.pass(20_000)
    expect(holder('tick:0').holder).toBe(before)
    expect(holder('read:0').pid).toBe('2')
    expect(await last()).toMatchObject({ new: true })
    const said = bench.of('warning').filter(({ code }) => code === 'DEFINITION_CHANGED')
    expect(said.map(({ loop }) => loop)).toEqual([undefined, 'read'])
    expect(await reload(one, flow({ read: 'new' }))).toMatchObject({ status: 'adopted' })
    await stop(two)
    const count = (await bench.queue('end')).length
    await bench.pass(4_000)
    expect(holder('read:0').pid).toBe('1')
    expect((await bench.queue('end')).length).toBeGreaterThan(count + 2)
    await stop(one)
  })

  test('all reload at once: one definition, each loop served once', async () => {
    const daemons = [await opened(flow()), await opened(flow()), await opened(flow())]
    await bench.pass(2_000)
    const reports = await bench.finish(Promise.all(daemons.map(daemon => daemon.reload([flow({ tick: 'new' })]))))
    expect(
      reports
        .flat()
        .map(({ status }) => status)
        .sort(),
    ).toEqual(['adopted', 'adopted', 'reloaded'])
    await bench.pass(5_000)
    const items = await bench.queue('end')
    expect(items.map(data => (data.timer as JsonObject).iteration)).toEqual(items.map((_, i) => i + 1))
    expect(items.at(-1)).toMatchObject({ new: true })
    await stop(...daemons)
  })

  test('one that began a reload and died blocks nobody for long', async () => {
    const first = await opened(flow())
    const { daemon: second, pid } = bench.daemon()
    await bench.finish(second.open([flow()]))
    await bench.pass(1_000)
    // it has asked the holders to yield, and is gone before they have
    void second.reload([flow({ tick: 'new' })])
    await bench.pass(50)
    await bench.finish(second.kill())
    bench.gone.add(pid)
    expect(Object.keys(db().hgetall(`${keysOf('story').prefix}yields`))).toEqual(['tick'])
    await bench.pass(20_000)
    const count = (await bench.queue('end')).length
    expect(count).toBeGreaterThan(12)
    expect(await last()).toMatchObject({ old: true })
    await stop(first)
  })

  test('an unfinished run of another definition is taken over by a reload, not by a start', async () => {
    await stop(await opened(flow()))
    const daemon = await opened(flow({ read: 'new' }))
    await bench.pass(3_000)
    expect(daemon.status()[0]).toMatchObject({ status: 'failed', error: { code: 'WORKFLOW_CHANGED' } })
    expect(await reload(daemon, flow({ read: 'new' }))).toMatchObject({ status: 'reloaded' })
    await bench.pass(4_000)
    expect(daemon.status()[0]?.status).toBe('running')
    expect(await last()).toMatchObject({ new: true })
    await stop(daemon)
  })

  test('a new run begins with the new definition, whoever is asked first', async () => {
    const brief = (name: string) =>
      bench.load({
        nodes: { n: ['counter', { min_value: 1, max_value: 1 }], m: mark(name), q: out('end') },
        edges: 'n>m m>q',
      })
    const [old, young] = [await opened(brief('old')), await opened(brief('old'))]
    await bench.pass(3_000)
    expect(await reload(young, brief('new'))).toMatchObject({ status: 'reloaded' })
    await bench.pass(3_000)
    await setWish(bench.redis, { workflow: 'story', loop: '' }, 'run:token')
    await bench.pass(5_000)
    expect(await bench.queue('end')).toMatchObject([{ old: true }, { new: true }])
    await stop(old, young)
  })
})

describe('hand-over', () => {
  test('a standby takes over what is released without waiting for a look at its lease', async () => {
    const [one, two] = [await opened(flow()), await opened(flow())]
    await bench.pass(2_100)
    const beforeMs = bench.time.ms
    await stop(one)
    await bench.pass(50)
    expect(holder('tick:0').pid).toBe('2')
    expect(bench.time.ms - beforeMs).toBeLessThan(200)
    await stop(two)
  })

  test('at once from a dead process of this machine, within the lease from another', async () => {
    const { daemon: one, pid } = bench.daemon()
    await bench.finish(one.open([flow()]))
    const two = await opened(flow())
    await bench.pass(2_100)
    await bench.finish(one.kill())
    await bench.pass(5_000)
    expect(holder('tick:0').pid, 'nobody knows that it is dead').toBe('1')
    bench.gone.add(pid)
    await bench.pass(1_100)
    expect(holder('tick:0').pid).toBe('2')
    await stop(two)
  })

  test('whoever waits for a lease steals no wake-up of the loop', async () => {
    const hourly: [string, JsonObject] = ['timer', { interval: 1, unit: 'hours' }]
    const quiet = () =>
      bench.load({ nodes: { h: hourly, w: out('in'), read: into('in'), q: out('end') }, edges: 'h>w read>q' })
    const [one, two] = [await opened(quiet()), await opened(quiet())]
    await bench.pass(2_000)
    await pushToQueue(bench.redis, { workflow: 'story', queue: 'in' }, [{}], { nonce: 'p', now: 1 })
    await bench.pass(20)
    expect(await bench.queue('end')).toHaveLength(1)
    await stop(one, two)
  })
})

function sketchOf(): Sketch {
  return {
    nodes: { tick: ticks, a: mark('old'), q: out('middle'), read: into('middle'), b: mark('old'), end: out('end') },
    edges: 'tick>a a>q q>read read>b b>end',
  }
}
