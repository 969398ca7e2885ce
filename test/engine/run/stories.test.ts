/** How iterations, loops and runs behave, told as stories on the bench: no faults here, those are the simulator's. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../engine/json.ts'
import { limits } from '../../../engine/limits.ts'
import { pushToQueue, requeueDeadLetter } from '../../../engine/store/inspect.ts'
import { Bench, type Sketch } from '../../support/engine-bench.ts'
import { Deaf, Flaky, log, storyNodes } from '../../support/story-nodes.ts'

const counter = (max: number): [string, JsonObject] => [
  'counter',
  { min_value: 1, max_value: max, direction: 'increment', step: 1 },
]
const out = (name: string): [string, JsonObject] => ['queue-writer', { queue_name: name }]
const numbers = (items: JsonObject[]) => items.map(data => (data.counter as { current: number }).current)

let bench: Bench
beforeEach(() => {
  bench = new Bench(storyNodes)
  log.length = 0
})

describe('an iteration', () => {
  test('a fork joins once, after both branches, with what each of them added', async () => {
    await bench.run({
      nodes: {
        n: counter(1),
        a: ['mark', { name: 'a' }],
        b: ['mark', { name: 'b' }],
        j: ['mark', { name: 'j' }],
        q: out('end'),
      },
      edges: 'n>a n>b a>j b>j j>q',
    })
    expect(bench.story()).toBe('n a b j q |')
    expect(await bench.queue('end')).toMatchObject([{ a: true, b: true, j: true }])
  })

  test('a conditional in a fork: the join waits for the taken branch and for nothing else', async () => {
    await bench.run({
      nodes: {
        n: counter(2),
        c: ['if-condition', { condition_expression: 'data.counter.current == 1' }],
        y: ['mark', { name: 'y' }],
        z: ['mark', { name: 'z' }],
        other: ['mark', { name: 'other' }],
        j: ['mark', { name: 'j' }],
      },
      edges: 'n>c n>other c:yes>y c:no>z y>j z>j other>j',
    })
    expect(bench.story()).toBe('n c:yes -z other y j n | c:no -y other z j |')
  })

  test('for-each runs its body per element in order, choosing anew each time, and collects results', async () => {
    await bench.run({
      nodes: {
        n: counter(1),
        each: ['for-each', { array_expression: '[5, 50, 7]' }],
        c: ['if-condition', { condition_expression: 'data.forEachNode.state.item > 10' }],
        big: ['data-transformer', { output_template: '{"big": "{{ data.forEachNode.state.item }}"}' }],
        small: ['data-transformer', { output_template: '{"small": "{{ data.forEachNode.state.index }}"}' }],
        q: out('end'),
      },
      edges: 'n>each each:body>c c:yes>big c:no>small each>q',
    })
    expect(bench.story()).toBe('n c:no -big small c:yes -small big c:no -big small each q |')
    const [data] = await bench.queue('end')
    expect(data?.loop_results).toEqual([{ small: 0 }, { big: 50 }, { small: 2 }])
    expect(data?.forEachNode).toEqual({ input: [5, 50, 7], results: data?.loop_results, state: { index: 2, item: 7 } })
  })

  test('a body that passes its data on does not collect what was collected before, again and again', async () => {
    await bench.run({
      nodes: {
        n: counter(1),
        each: ['for-each', { array_expression: '{{ range(40) | list }}' }],
        pass: 'log',
        q: out('end'),
      },
      edges: 'n>each each:body>pass each>q',
    })
    const [data] = await bench.queue('end')
    const results = data?.loop_results as { forEachNode: { results: unknown[]; state: { index: number } } }[]
    expect(results.map(result => result.forEachNode.state.index)).toEqual(Array.from({ length: 40 }, (_, i) => i))
    expect(results.every(result => result.forEachNode.results.length === 0)).toBe(true)
  })

  test('an empty array runs no body', async () => {
    await bench.run({
      nodes: {
        n: counter(1),
        each: ['for-each', { array_expression: '[]' }],
        body: ['mark', { name: 'x' }],
        q: out('end'),
      },
      edges: 'n>each each:subdag>body each>q',
    })
    expect(bench.story()).toBe('n each q |')
    expect(await bench.queue('end')).toMatchObject([
      { loop_results: [], forEachNode: { state: { index: 0, item: null } } },
    ])
  })

  test('draws, ids and idempotency keys differ per item and repeat when it is processed again', async () => {
    const workflow: Sketch = {
      nodes: { n: counter(2), w: 'queue-writer', r: 'queue-reader', m: 'remember', slow: 'slow', q: out('end') },
      edges: 'n>w w>r r>m m>slow slow>q',
    }
    const graph = bench.load(workflow)
    const { engine, pid } = bench.engine(graph)
    await engine.start()
    await bench.pass(30_000)
    bench.gone.add(pid)
    await bench.finish(engine.kill())
    await bench.run(graph)
    const [first, second] = await bench.queue('end')
    expect(first?.draws).not.toEqual(second?.draws)
    const again = new Bench(storyNodes)
    await again.run(workflow)
    expect((await again.queue('end')).map(data => data.draws)).toEqual([first?.draws, second?.draws])
    expect([first?.seen, second?.seen]).toEqual([1, 2])
  })
})

describe('failure', () => {
  test('a failed iteration leaves a dead letter and nothing else; the loop goes on', async () => {
    await bench.run({
      nodes: { n: counter(4), early: out('early'), m: 'remember', f: 'fail-even', q: out('end') },
      edges: 'n>m m>early m>f f>q',
    })
    expect(bench.story()).toBe('n m early f q n | m early !f n x m early f q n | m early !f x')
    expect(numbers(await bench.queue('early'))).toEqual([1, 3])
    expect((await bench.queue('end')).map(data => data.seen)).toEqual([1, 2])
    expect(await bench.deadLetters()).toMatchObject([
      {
        node: 'f',
        node_type: 'fail-even',
        iteration: 2,
        deliveries: 1,
        error: { code: 'HTTP_FAILED', message: 'Cannot process 2' },
      },
      { node: 'f', iteration: 4, item: { data: { counter: { current: 4 } } }, queue: null },
    ])
  })

  test('the other branches of a failed fork are aborted through their signal', async () => {
    await bench.run({
      nodes: {
        n: ['counter', { min_value: 2, max_value: 2, direction: 'increment', step: 1 }],
        s: 'slow',
        f: 'fail-even',
      },
      edges: 'n>s n>f',
    })
    expect(log).toEqual(['slow aborted'])
    expect(bench.time.ms).toBeLessThan(1000)
  })

  test('a node that passes its time limit fails its item; one that holds on is replaced, and its context is revoked', async () => {
    const graph = bench.load({ nodes: { n: counter(1), d: 'deaf' }, edges: 'n>d' })
    await bench.run(graph)
    const [letter] = await bench.deadLetters()
    expect(letter?.error.code).toBe('NODE_TIMEOUT')
    expect(bench.time.ms).toBeGreaterThanOrEqual(300_000)
    expect(bench.of('warning').map(event => event.code)).toEqual(['NODE_HOLDS_ON'])
    expect(() => Deaf.kept?.clock.now()).toThrow(expect.objectContaining({ code: 'ITERATION_ENDED' }))
  })

  test('a producer that throws is asked again after 1, 2, 4 … 30 s, and makes no dead letter', async () => {
    Flaky.times = 7
    Flaky.asked = []
    await bench.run({ nodes: { f: 'flaky', m: ['mark', { name: 'm' }] }, edges: 'f>m' })
    const pauses = Flaky.asked.slice(1).map((time, i) => Math.round((time - (Flaky.asked[i] as number)) / 1000))
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30])
    expect(await bench.deadLetters()).toEqual([])
    expect(bench.story().replaceAll('!f ', '')).toBe('f m |')
  })

  test('a requeued dead letter is served first, once, by the loop that made it', async () => {
    const workflow: Sketch = { nodes: { n: counter(2), f: 'fail-even', q: out('end') }, edges: 'n>f f>q' }
    await bench.run(workflow)
    const [letter] = await bench.deadLetters()
    const { clock } = bench.ports(0)
    expect(await requeueDeadLetter(bench.redis, 'story', letter?.id ?? '', clock)).toEqual({
      queue: 'requeue_n',
      read: true,
    })
    await expect(requeueDeadLetter(bench.redis, 'story', letter?.id ?? '', clock)).rejects.toMatchObject({
      code: 'DEAD_LETTER_UNKNOWN',
    })
    bench.events.length = 0
    await bench.run(workflow)
    expect(bench.story()).toBe('!f x n f q n | !f x')
  })
})

describe('stopping', () => {
  const slow: Sketch = {
    nodes: { n: counter(3), w: 'queue-writer', r: 'queue-reader', s: 'slow', q: out('end') },
    edges: 'n>w w>r r>s s>q',
  }

  test('stop lets the running iteration end and leaves nothing claimed or leased', async () => {
    const graph = bench.load({ ...slow, settings: { drain_timeout_seconds: 100 } })
    const { engine } = bench.engine(graph)
    await engine.start()
    await bench.pass(10_000)
    await bench.finish(engine.stop())
    expect(await engine.done).toEqual({ status: 'stopped' })
    expect(log).toEqual(['slow ended'])
    expect(numbers(await bench.queue('end'))).toEqual([1])
    expect(bench.server.db.keys().filter(key => key.includes(':c:'))).toEqual([])
  })

  test('what does not end within the drain time is aborted, kept, and processed again without blame', async () => {
    const graph = bench.load(slow)
    for (let i = 0; i < 5; i++) {
      const { engine, pid } = bench.engine(graph)
      await bench.finish(engine.start())
      await bench.pass(1000)
      await bench.finish(engine.stop({ drainMs: 5000 }))
      bench.gone.add(pid)
    }
    expect(log).toEqual(Array.from({ length: 5 }, () => 'slow aborted'))
    await bench.run(graph)
    expect(numbers(await bench.queue('end'))).toEqual([1, 2, 3])
    expect(await bench.deadLetters()).toEqual([])
  })

  test('an item whose worker dies three times while it is processed alone is dead-lettered as poison', async () => {
    const graph = bench.load(slow)
    for (let i = 0; i < 3; i++) {
      const { engine, pid } = bench.engine(graph)
      await bench.finish(engine.start())
      await bench.pass(1000)
      bench.gone.add(pid)
      await bench.finish(engine.kill())
    }
    await bench.run(graph)
    expect(await bench.deadLetters()).toMatchObject([
      { error: { code: 'POISON' }, deliveries: 4, item: { data: { counter: { current: 1 } } } },
    ])
    expect(numbers(await bench.queue('end'))).toEqual([2, 3])
  })

  test('pause lets nothing begin until resume; other loops go on', async () => {
    const graph = bench.load({
      nodes: { n: counter(3), w: 'queue-writer', r: 'queue-reader', q: out('end') },
      edges: 'n>w w>r r>q',
    })
    const { engine } = bench.engine(graph)
    await bench.finish(engine.start().then(() => engine.pause('r')))
    await bench.pass(60_000)
    expect(engine.status().loops.map(loop => `${loop.id} ${loop.status}`)).toEqual(['n running', 'r paused'])
    expect(bench.story('n')).toBe('n w n | w n | w |')
    expect(bench.story('r')).toBe('')
    await bench.finish(engine.resume('r').then(() => engine.done))
    expect(numbers(await bench.queue('end'))).toEqual([1, 2, 3])
  })

  test('every instance is set up once and cleaned up once', async () => {
    await bench.run({
      nodes: { n: counter(2), a: ['mark', { name: 'a' }], b: ['mark', { name: 'b' }] },
      edges: 'n>a a>b',
    })
    expect(log).toEqual(['setup a', 'setup b', 'cleanup b', 'cleanup a'])
  })
})

describe('queues and runs', () => {
  test('a full queue makes its writer wait, and the reader wakes it', async () => {
    const workflow: Sketch = {
      settings: { queues: { max_length: 3 } },
      nodes: {
        n: counter(10),
        w: 'queue-writer',
        r: 'queue-reader',
        wait: ['static-delay-node', { interval: 1, unit: 'seconds' }],
        l: 'log',
      },
      edges: 'n>w w>r r>wait wait>l',
    }
    let longest = 0
    const watch = bench.server.db.rpush.bind(bench.server.db)
    bench.server.db.rpush = (key, ...values) => {
      const length = watch(key, ...values)
      if (key.endsWith('q:queue_w_r')) longest = Math.max(longest, length)
      return length
    }
    expect(await bench.run(workflow)).toEqual({ status: 'completed' })
    expect(longest).toBe(3)
    expect(bench.of('iteration_completed').filter(event => event.loop === 'r')).toHaveLength(10)
  })

  test('a reader of two writers completes only after both, and takes from them in turn', async () => {
    await bench.run({
      nodes: {
        a: ['counter', { min_value: 1, max_value: 3, direction: 'increment', step: 1 }],
        b: ['counter', { min_value: 11, max_value: 13, direction: 'increment', step: 1 }],
        d: ['static-delay-node', { interval: 20, unit: 'seconds' }],
        wa: 'queue-writer',
        wb: 'queue-writer',
        r: 'queue-reader',
        q: out('end'),
      },
      edges: 'a>wa b>d d>wb wa>r wb>r r>q',
    })
    expect(numbers(await bench.queue('end')).toSorted((x, y) => x - y)).toEqual([1, 2, 3, 11, 12, 13])
    const ends = bench.of('loop_completed').map(event => event.loop)
    expect(ends.at(-1)).toBe('r')
    expect(ends.toSorted()).toEqual(['a', 'b', 'r'])
  })

  test('a cycle of loops ends when it is empty and its writers have ended', async () => {
    await bench.run({
      nodes: {
        n: counter(2),
        w: ['queue-writer', { queue_name: 'ring' }],
        r: ['queue-reader', { queue_name: 'ring' }],
        c: ['if-condition', { condition_expression: "data.get('rounds', 0) < 3" }],
        more: ['data-transformer', { output_template: '{"rounds": "{{ data.get(\'rounds\', 0) + 1 }}"}' }],
        back: ['queue-writer', { queue_name: 'ring' }],
        q: out('end'),
      },
      edges: 'n>w r>c c:yes>more more>back c:no>q',
    })
    expect(await bench.queue('end')).toMatchObject([{ rounds: 3 }, { rounds: 3 }])
    expect(bench.of('loop_completed').map(event => event.loop)).toEqual(['n', 'r'])
  })

  test('a durable delay waits only for the rest after a restart', async () => {
    const graph = bench.load({
      nodes: { n: counter(1), d: ['static-delay-node', { interval: 100, unit: 'seconds' }], q: out('end') },
      edges: 'n>d d>q',
    })
    const { engine, pid } = bench.engine(graph)
    await bench.finish(engine.start())
    await bench.pass(90_000)
    bench.gone.add(pid)
    await bench.finish(engine.kill())
    await bench.run(graph)
    expect(bench.time.ms).toBeGreaterThanOrEqual(100_000)
    expect(bench.time.ms).toBeLessThan(105_000)
    expect(await bench.queue('end')).toHaveLength(1)
  })

  test('resuming with another definition is refused, adopting keeps state of unchanged nodes and lists orphans', async () => {
    const before: Sketch = {
      nodes: { n: counter(4), m: 'remember', w: 'queue-writer', r: 'queue-reader', s: 'slow' },
      edges: 'n>m m>w w>r r>s',
    }
    const graph = bench.load(before)
    const { engine } = bench.engine(graph)
    await bench.finish(engine.start())
    await bench.pass(1000)
    await bench.finish(engine.stop({ drainMs: 0 }))
    const after = bench.load({ nodes: { n: counter(6), m: 'remember', q: out('end') }, edges: 'n>m m>q' })
    await expect(bench.engine(after).engine.start()).rejects.toMatchObject({ code: 'WORKFLOW_CHANGED' })
    const { engine: adopting } = bench.engine(after)
    const started = await adopting.start({ mode: 'adopt' })
    expect(started).toMatchObject({ run: 'run-1', resumed: true, orphanedQueues: ['queue_w_r'] })
    await bench.finish(adopting.done)
    expect((await bench.queue('end')).map(data => data.seen)).toEqual([5, 6])
    expect(numbers(await bench.queue('queue_w_r'))).toEqual([1, 2, 3, 4])
  })

  test('after a completed run the next is new: producers begin again, queues stay; fresh discards them', async () => {
    const workflow: Sketch = { nodes: { n: counter(2), q: out('end') }, edges: 'n>q' }
    await bench.run(workflow)
    await bench.run(workflow)
    expect(numbers(await bench.queue('end'))).toEqual([1, 2, 1, 2])
    await bench.run(workflow, 'fresh')
    expect(numbers(await bench.queue('end'))).toEqual([1, 2])
    expect(bench.of('workflow_started').map(event => event.run)).toEqual(['run-1', 'run-2', 'run-3'])
  })

  test('a second process helps: loops are leased, not doubled, and handed over when the first dies', async () => {
    const graph = bench.load({
      nodes: { n: counter(5), s: ['static-delay-node', { interval: 10, unit: 'seconds' }], q: out('end') },
      edges: 'n>s s>q',
    })
    const first = bench.engine(graph)
    await bench.finish(first.engine.start())
    const second = bench.engine(graph)
    await bench.finish(second.engine.start())
    await bench.pass(25_000)
    expect(first.engine.status().loops[0]?.served).toBe(true)
    expect(second.engine.status().loops[0]?.served).toBe(false)
    bench.gone.add(first.pid)
    await bench.finish(first.engine.kill())
    expect(await bench.finish(second.engine.done)).toEqual({ status: 'completed' })
    expect(numbers(await bench.queue('end'))).toEqual([1, 2, 3, 4, 5])
  })

  test('an engine of an older holder is fenced: it says so and commits nothing more', async () => {
    const graph = bench.load({ nodes: { n: counter(2), s: 'slow', q: out('end') }, edges: 'n>s s>q' })
    const first = bench.engine(graph)
    await bench.finish(first.engine.start())
    await bench.pass(1000)
    // wrongly believed dead, as after a long pause
    bench.gone.add(first.pid)
    const second = bench.engine(graph)
    await bench.finish(second.engine.start())
    expect(await bench.finish(second.engine.done)).toEqual({ status: 'completed' })
    await bench.finish(first.engine.done)
    expect(numbers(await bench.queue('end'))).toEqual([1, 2])
    expect(bench.of('warning').map(event => event.code)).toContain('FENCED')
  })

  test('a wake-up that a fenced holder had first reaches the one that has the replica now', async () => {
    const graph = bench.load({
      nodes: {
        t: ['timer', { interval: 1, unit: 'hours' }],
        w: out('jobs'),
        r: ['queue-reader', { queue_name: 'jobs' }],
        q: out('end'),
      },
      edges: 't>w r>q',
    })
    const [first, second] = [bench.engine(graph), bench.engine(graph)]
    await bench.finish(first.engine.start())
    await bench.pass(1000)
    bench.gone.add(first.pid)
    await bench.finish(second.engine.start())
    await bench.pass(200)
    await pushToQueue(bench.redis, { workflow: 'story', queue: 'jobs' }, [{ n: 1 }], { nonce: 'push', now: 0 })
    await bench.pass(100)
    expect(await bench.queue('end')).toHaveLength(1)
    expect(bench.of('warning').map(event => event.code)).toContain('FENCED')
    await bench.finish(Promise.all([first.engine.stop(), second.engine.stop()]))
  })

  test('an hour of waiting for a tick takes no calls but renewals and a look now and then', async () => {
    const { engine } = bench.engine(bench.load({ nodes: { t: ['timer', { interval: 1, unit: 'hours' }] }, edges: '' }))
    await bench.finish(engine.start())
    await bench.pass(1_000)
    const before = bench.calls
    await bench.pass(3_500_000)
    const looks = (3_500 / (limits.idleLookMs / 1_000)) * 2
    expect(bench.calls - before).toBeLessThan(3_500 / (limits.leaseRenewMs / 1_000) + looks + 5)
    await bench.pass(100_000)
    expect(bench.story()).toBe('t |')
    await bench.finish(engine.stop())
  })

  test('runtime variables written by one loop are seen by the others after its commit', async () => {
    await bench.run({
      nodes: {
        n: counter(2),
        set: [
          'data-transformer',
          { output_template: '{"v": "{{ data.counter.current | set_runtime(\'last\', data.counter.current) }}"}' },
        ],
        w: 'queue-writer',
        r: 'queue-reader',
        get: ['data-transformer', { output_template: '{"seen": "{{ runtime.last }}"}' }],
        q: out('end'),
      },
      edges: 'n>set set>w w>r r>get get>q',
    })
    const seen = (await bench.queue('end')).map(data => Number(data.seen))
    expect(seen).toHaveLength(2)
    for (const [i, value] of seen.entries()) expect(value).toBeGreaterThanOrEqual(i + 1)
  })
})
