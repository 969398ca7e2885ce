/** Edits of a workflow against a trace of it: `replay --workflow` finds exactly the items that would go another way. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { IterationLine } from '../../engine/trace/trace.ts'
import { generatePlan } from '../../sim/generate.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { recording } from '../../sim/recording.ts'
import { replayTrace } from '../../sim/replay.ts'
import { loadSubject } from '../../sim/subject.ts'
import { simulate } from '../../sim/world.ts'

const registry = defaultRegistry()

type Node = {
  id: string
  type: string
  position?: JsonObject
  data: { label?: string; form: JsonObject; config?: JsonObject }
}
type Edge = { id: string; source: string; target: string; sourceHandle: string | null }
type Flow = { id: string; name: string; env: JsonObject; settings: JsonObject; nodes: Node[]; edges: Edge[] }

const node = (id: string, type: string, form: JsonObject = {}): Node => ({ id, type, data: { form } })
const edge = (source: string, target: string, port: string | null = null): Edge => ({
  ...{ id: `${source}-${target}`, source, target, sourceHandle: port },
})

/** Numbers 1 to 12: those above 6 are large and go over a queue to a loop that looks at each part; the others are small. */
const flow = (): Flow => ({
  id: 'numbers',
  name: 'Numbers',
  env: { ABOVE: 6, UNUSED: 1 },
  settings: {},
  nodes: [
    node('count', 'counter', { min_value: 1, max_value: 12 }),
    node('large', 'if-condition', { condition_expression: 'data.counter.current > workflowenv.ABOVE' }),
    node('price', 'data-transformer', {
      output_template: '{"n": "{{ data.counter.current }}", "price": "{{ data.counter.current * 10 }}"}',
      overwrite: true,
    }),
    node('out', 'queue-writer', { queue_name: 'large' }),
    node('note', 'data-transformer', { output_template: '{"small": "{{ data.counter.current }}"}', overwrite: false }),
    node('keep', 'queue-writer', { queue_name: 'small' }),
    node('take', 'queue-reader', { queue_name: 'large' }),
    node('lane', 'switch', { cases: [{ key: 'odd', condition: 'data.n % 2 == 1' }] }),
    node('parts', 'for-each', { array_expression: '{{ [data.n, data.price] }}' }),
    node('part', 'data-transformer', { output_template: '{"part": "{{ data.forEachNode }}"}', overwrite: true }),
    node('even', 'log', { message: 'even {{ data.n }}' }),
    node('done', 'queue-writer', { queue_name: 'done' }),
  ],
  edges: [
    edge('count', 'large'),
    edge('large', 'price', 'yes'),
    edge('price', 'out'),
    edge('large', 'note', 'no'),
    edge('note', 'keep'),
    edge('take', 'lane'),
    edge('lane', 'parts', 'odd'),
    edge('parts', 'part', 'subdag'),
    edge('parts', 'done'),
    edge('lane', 'even', 'default'),
  ],
})

const form = (id: string, values: JsonObject) => (flow: Flow) => {
  const found = flow.nodes.find(each => each.id === id) as Node
  found.data.form = { ...found.data.form, ...values }
}
const drop = (id: string) => (flow: Flow) => {
  flow.nodes = flow.nodes.filter(each => each.id !== id)
  flow.edges = flow.edges.filter(({ source, target }) => source !== id && target !== id)
}
/** Puts a node into an edge. */
const insert = (at: string, added: Node) => (flow: Flow) => {
  const found = flow.edges.find(({ id }) => id === at) as Edge
  flow.nodes.push(added)
  flow.edges.push(edge(added.id, found.target))
  found.target = added.id
}

const all = Array.from({ length: 12 }, (_, i) => i + 1)
const large = all.filter(n => n > 6)
const small = all.filter(n => n <= 6)
const odd = large.filter(n => n % 2 === 1)
const even = large.filter(n => n % 2 === 0)
type Affected = { count?: number[]; take?: number[] }

const edits: [string, (flow: Flow) => void, Affected][] = [
  [
    'a condition is flipped',
    form('large', { condition_expression: 'not (data.counter.current > workflowenv.ABOVE)' }),
    { count: all },
  ],
  // the node puts out its expression
  ['its limit moves', form('large', { condition_expression: 'data.counter.current > 8' }), { count: all }],
  [
    'a variable that it reads changes',
    flow => {
      flow.env.ABOVE = 10
    },
    { count: [7, 8, 9, 10] },
  ],
  [
    'a template changes',
    form('price', {
      output_template: '{"n": "{{ data.counter.current }}", "price": "{{ data.counter.current * 11 }}"}',
    }),
    { count: large },
  ],
  [
    'a template changes for some',
    form('price', {
      output_template:
        '{"n": "{{ data.counter.current }}", "price": "{{ 90 if data.counter.current == 8 else data.counter.current * 10 }}"}',
    }),
    { count: [8] },
  ],
  ['a key is renamed', form('note', { output_template: '{"little": "{{ data.counter.current }}"}' }), { count: small }],
  ['a result replaces the data', form('note', { overwrite: true }), { count: small }],
  ['a queue is renamed', form('keep', { queue_name: 'little' }), { count: small }],
  [
    'a queue is renamed at both ends',
    flow => {
      form('out', { queue_name: 'big' })(flow)
      form('take', { queue_name: 'big' })(flow)
    },
    { count: large },
  ],
  ['a branch is removed', drop('note'), { count: small }],
  [
    'a branch is cut off',
    flow => {
      flow.edges = flow.edges.filter(({ id }) => id !== 'large-note')
    },
    { count: small },
  ],
  [
    'branches change places',
    flow => {
      for (const each of flow.edges)
        if (each.source === 'large') each.sourceHandle = each.sourceHandle === 'yes' ? 'no' : 'yes'
    },
    { count: all },
  ],
  ['the counter ends earlier', form('count', { max_value: 10 }), { count: all }],
  ['the counter takes larger steps', form('count', { step: 2 }), { count: all }],
  ['a case is another', form('lane', { cases: [{ key: 'odd', condition: 'data.n > 10' }] }), { take: [7, 9, 12] }],
  ['the order of the parts changes', form('parts', { array_expression: '{{ [data.price, data.n] }}' }), { take: odd }],
  ['there are more parts', form('parts', { array_expression: '{{ [data.n, data.price, 1] }}' }), { take: odd }],
  [
    'a part is made otherwise',
    form('part', { output_template: '{"part": "{{ data.forEachNode }}", "also": 1}' }),
    { take: odd },
  ],
  ['what follows a for-each is removed', drop('done'), { take: odd }],
  [
    'a node in between changes the data',
    insert(
      'large-price',
      node('extra', 'data-transformer', {
        output_template: '{"counter": {"current": "{{ data.counter.current + 1 }}"}}',
        overwrite: true,
      }),
    ),
    { count: large },
  ],
  ['a log of one branch is removed', drop('even'), {}],
  ['a log comes in between', insert('price-out', node('say', 'log', { message: 'x' })), {}],
  [
    'nodes are moved and renamed',
    flow => {
      for (const [i, each] of flow.nodes.entries())
        Object.assign(each, { position: { x: i, y: 7 }, data: { ...each.data, label: `Node ${i}` } })
    },
    {},
  ],
  [
    'the workflow has another name',
    flow => {
      flow.name = 'Other'
    },
    {},
  ],
  [
    'nodes and edges stand in another order',
    flow => {
      flow.nodes.reverse()
      flow.edges.reverse()
    },
    {},
  ],
  [
    'edges have other ids',
    flow => {
      for (const [i, each] of flow.edges.entries()) each.id = `x${i}`
    },
    {},
  ],
  [
    'a variable that nobody reads changes',
    flow => {
      flow.env.UNUSED = 2
    },
    {},
  ],
  [
    'limits and pools change',
    flow => {
      flow.settings = { queues: { max_length: 7 }, max_deliveries: 9, loops: { take: { pool: 'thread' } } }
    },
    {},
  ],
  [
    // the node puts out its expression
    'a condition is written otherwise',
    form('large', { condition_expression: 'workflowenv.ABOVE < data.counter.current' }),
    { count: all },
  ],
  ['a case is written otherwise', form('lane', { cases: [{ key: 'odd', condition: 'data.n % 2 != 0' }] }), {}],
  ['what a log says changes', form('even', { message: 'straight {{ data.n }}' }), {}],
]

describe('replay --workflow', () => {
  let lines: string[] = []
  beforeAll(async () => {
    const subject = await loadSubject(
      { name: 'numbers', workflow: flow() as unknown as JsonObject, files: {} },
      registry,
    )
    const { startEngine, lines: recorded } = recording(generatePlan(subject, '0x1', []), startFlowEngine)
    const { failure } = await simulate({
      plan: generatePlan(subject, '0x1', []),
      ...subject,
      startEngine,
      trace: 'recent',
    })
    expect(failure).toBeUndefined()
    lines = recorded
  })

  /** The number that an iteration was about. */
  const numberOf = ({ loop, iteration, entry }: IterationLine): number =>
    loop === 'take' ? Number(entry?.item.data.n) : iteration

  it.each(edits)('finds what is affected when %s', async (_what, edit, expected) => {
    const changed = flow()
    edit(changed)
    const affected: Required<Affected> = { count: [], take: [] }
    const report = await replayTrace(lines, 'trace', {
      registry,
      workflow: { source: changed as unknown as JsonObject, name: 'new' },
      onVerdict: (line, verdict) => {
        expect(verdict.kind).toBe('diverged')
        affected[line.loop as 'count' | 'take'].push(numberOf(line))
      },
    })
    const sorted = (numbers: number[] = []) => [...numbers].sort((a, b) => a - b)
    expect({ count: sorted(affected.count), take: sorted(affected.take) }).toEqual({
      count: sorted(expected.count),
      take: sorted(expected.take),
    })
    expect(report.iterations).toBeGreaterThanOrEqual(18)
  })

  it('is given more than twenty kinds of edit, of both sorts', () => {
    const harmless = edits.filter(([, , affected]) => Object.keys(affected).length === 0)
    expect([edits.length - harmless.length >= 20, harmless.length >= 5]).toEqual([true, true])
    expect(even).toEqual([8, 10, 12])
  })
})
