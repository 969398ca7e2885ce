/**
 * Nodes that break the rules: each breaks its own item, by name, and nothing else. Every case here once crashed a loop,
 * changed somebody else's item, or hung.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../engine/json.ts'
import type { NodeContext } from '../../../engine/node/context.ts'
import { defineForm } from '../../../engine/node/form.ts'
import { anyText } from '../../../engine/node/form-fields.ts'
import { BlockingNode, ConditionalNode, LoopNode, type NodeOutput, ProducerNode } from '../../../engine/node/node.ts'
import { pushToQueue } from '../../../engine/store/inspect.ts'
import { Bench, type Sketch } from '../../support/engine-bench.ts'

type Deed = (input: NodeOutput, context: NodeContext) => unknown

/** What the hostile node does to its n-th item (from 1). */
let deed: (n: number) => Deed
let seen: number
let setUp: () => Promise<void>
let cleanUp: () => Promise<void>

class Hostile extends BlockingNode {
  static override identifier = 'hostile'
  static override stateful = true
  static override form = defineForm({ name: anyText({ label: 'Name' }) })
  override setup = () => setUp()
  override cleanup = () => cleanUp()
  // not async: what it answers or throws reaches the engine as it is
  execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    seen += 1
    return deed(seen)(input, context) as Promise<NodeOutput>
  }
}

class HostileProducer extends ProducerNode {
  static override identifier = 'hostile-producer'
  static override form = defineForm({ name: anyText({ label: 'Name' }) })
  execute(input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    seen += 1
    return deed(seen)(input, context) as Promise<NodeOutput>
  }
}

const counter: [string, JsonObject] = ['counter', { min_value: 1, max_value: 3, direction: 'increment', step: 1 }]
const chain: Sketch = {
  nodes: { n: counter, h: 'hostile', q: ['queue-writer', { queue_name: 'end' }] },
  edges: 'n>h h>q',
}
const nothing = async () => undefined

let bench: Bench
beforeEach(() => {
  bench = new Bench([Hostile, HostileProducer])
  seen = 0
  setUp = nothing
  cleanUp = nothing
})

function cyclic(): JsonObject {
  const value: JsonObject = {}
  value.self = value
  return value
}

function deep(levels: number): JsonObject {
  let value: JsonObject = {}
  for (let i = 0; i < levels; i++) value = { value }
  return value
}

describe('a hostile node fails its own item', () => {
  test.each<[string, Deed, string]>([
    ['returns nothing', () => undefined, 'OUTPUT_NOT_JSON'],
    ['returns a number', () => 5, 'OUTPUT_NOT_JSON'],
    ['returns data that is a list', input => ({ ...input, data: [1] }), 'OUTPUT_NOT_JSON'],
    ['returns data that is a date', input => ({ ...input, data: new Date(0) }), 'OUTPUT_NOT_JSON'],
    ['returns no metadata', ({ id, data }) => ({ id, data }), 'OUTPUT_NOT_JSON'],
    ['returns NaN', input => ({ ...input, data: { x: Number.NaN } }), 'OUTPUT_NOT_JSON'],
    ['returns undefined in data', input => ({ ...input, data: { x: undefined } }), 'OUTPUT_NOT_JSON'],
    ['returns a BigInt in metadata', input => ({ ...input, metadata: { x: 1n } }), 'OUTPUT_NOT_JSON'],
    ['returns a cycle', input => ({ ...input, data: cyclic() }), 'OUTPUT_NOT_JSON'],
    ['returns 5,000 levels', input => ({ ...input, data: deep(5000) }), 'OUTPUT_NOT_JSON'],
    ['keeps a BigInt as a variable', (_, context) => context.runtime.set('k', 1n as never), 'OUTPUT_NOT_JSON'],
    ['keeps a cycle as state', (_, context) => context.state.set(cyclic()), 'OUTPUT_NOT_JSON'],
    ['keeps 2 MiB as a variable', (_, context) => context.runtime.set('k', 'x'.repeat(2 ** 21)), 'PAYLOAD_TOO_LARGE'],
    [
      'changes its input',
      input => {
        ;(input.data.counter as JsonObject).current = 99
        return input
      },
      'NODE_FAILED',
    ],
    [
      'throws an object without a prototype',
      () => {
        throw Object.create(null)
      },
      'NODE_FAILED',
    ],
    [
      'throws an error whose message is a BigInt',
      () => {
        throw Object.assign(new Error('x'), { message: 1n, name: 2n })
      },
      'NODE_FAILED',
    ],
  ])('when it %s', async (_what, bad, code) => {
    deed = n => (n === 2 ? bad : input => input)
    expect(await bench.run(chain)).toEqual({ status: 'completed' })
    const letters = await bench.deadLetters()
    expect(letters.map(letter => `${letter.node} ${letter.error.code}`)).toEqual([`h ${code}`])
    expect(letters[0]?.item.data).toMatchObject({ counter: { current: 2 } })
    expect((await bench.queue('end')).map(data => (data.counter as JsonObject).current)).toEqual([1, 3])
    expect(bench.of('warning')).toEqual([])
  })

  test('a plain answer without async is an answer', async () => {
    deed = () => input => input
    await bench.run(chain)
    expect(await bench.queue('end')).toHaveLength(3)
  })

  test('state that a failed iteration changed in place is as it was', async () => {
    deed = n => async (input, context) => {
      const state = (context.state.get() ?? { n: 0 }) as { n: number }
      state.n += 1
      context.state.set(state)
      if (n === 2) throw new Error('no')
      return { ...input, data: { n: state.n } }
    }
    await bench.run(chain)
    expect(await bench.queue('end')).toEqual([{ n: 1 }, { n: 2 }])
  })

  test('a node that two loops reach has a state in each, also after a restart', async () => {
    deed = () => async (input, context) => {
      const n = Number(context.state.get() ?? 0) + 1
      context.state.set(n)
      return { ...input, data: { ...input.data, n } }
    }
    const graph = bench.load({
      nodes: {
        a: counter,
        b: counter,
        slow: ['static-delay-node', { interval: 100, unit: 'seconds' }],
        h: 'hostile',
        q: ['queue-writer', { queue_name: 'end' }],
      },
      edges: 'a>h b>slow slow>h h>q',
    })
    const { engine } = bench.engine(graph)
    await bench.finish(engine.start())
    await bench.pass(150_000)
    await bench.finish(engine.stop({ drainMs: 0 }))
    await bench.run(graph)
    expect((await bench.queue('end')).map(data => data.n).toSorted()).toEqual([1, 1, 2, 2, 3, 3])
  })
})

describe('a hostile producer', () => {
  test('that answers garbage is named itself, and asked again later', async () => {
    deed = n => {
      if (n === 1) return () => undefined
      if (n === 2) return () => ({ id: 'x', data: {} })
      return () => ({ kind: 'execution-completed' })
    }
    await bench.run({ nodes: { p: 'hostile-producer', l: 'log' }, edges: 'p>l' })
    for (const { message } of bench.of('warning'))
      expect(message).toMatch(/^Producer "p" failed: Cannot use the output of node "p"/)
    expect(bench.of('node_failed')).toEqual([])
    expect(bench.of('warning').map(event => event.code)).toEqual(['PRODUCER_FAILED', 'PRODUCER_FAILED'])
  })
})

describe('a hostile conditional or loop node', () => {
  class Chooser extends ConditionalNode {
    static override identifier = 'chooser'
    static override form = defineForm({})
    async execute(output: NodeOutput) {
      return { output, route: 5 as unknown as string }
    }
  }
  class Lister extends LoopNode {
    static override identifier = 'lister'
    static override form = defineForm({})
    async execute(output: NodeOutput) {
      return { output, items: [1, Number.NaN] }
    }
  }

  test.each(['chooser', 'lister'])('%s is named, with what it should have answered', async type => {
    bench = new Bench([Chooser, Lister])
    await bench.run({
      nodes: { n: counter, x: type, l: 'log' },
      edges: 'n>x x>l'.replace('x>l', type === 'lister' ? 'x>l' : 'x:yes>l'),
    })
    const letters = await bench.deadLetters()
    expect(letters.map(letter => `${letter.node} ${letter.error.code}`)).toEqual(Array(3).fill('x OUTPUT_NOT_JSON'))
  })
})

describe('nothing waits for ever', () => {
  const never = () => new Promise<never>(() => undefined)

  test('a setup that never ends is given up, and told', async () => {
    deed = () => input => input
    let calls = 0
    setUp = () => (++calls === 1 ? never() : nothing())
    expect(await bench.run(chain)).toEqual({ status: 'completed' })
    expect(bench.of('warning').map(event => event.code)).toEqual(['LOOP_CRASHED'])
  })

  test('a cleanup that never ends is given up, and told', async () => {
    deed = () => input => input
    cleanUp = never
    expect(await bench.run(chain)).toEqual({ status: 'completed' })
    expect(bench.of('warning').map(event => event.code)).toEqual(['CLEANUP_FAILED'])
  })

  test('kill does not wait for anybody', async () => {
    setUp = never
    const { engine } = bench.engine(bench.load(chain))
    await engine.start()
    await engine.kill()
    expect(await engine.done).toEqual({ status: 'stopped' })
  })
})

describe('pushes from outside', () => {
  const origin = { nonce: 'by-hand', now: 0 }

  test('obey the limit that the workflow declared, and the size of an item', async () => {
    deed = () => input => input
    await bench.run({ ...chain, settings: { queues: { max_length: 4 } } })
    const target = { workflow: 'story', queue: 'end' }
    await expect(pushToQueue(bench.redis, target, [{}, {}], origin)).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    expect(await pushToQueue(bench.redis, target, [{}], origin)).toBe(1)
    expect(await pushToQueue(bench.redis, target, [{}], origin)).toBe(1)
    expect(await bench.queue('end')).toHaveLength(4)
    const large = [{ x: 'y'.repeat(2 ** 20) }]
    await expect(pushToQueue(bench.redis, target, large, origin)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
    await expect(pushToQueue(bench.redis, target, [deep(5000)], origin)).rejects.toMatchObject({
      code: 'OUTPUT_NOT_JSON',
    })
  })
})
