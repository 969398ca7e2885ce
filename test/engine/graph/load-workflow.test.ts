import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Problem } from '../../../engine/graph/flow-graph.ts'
import { loadWorkflow, requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import { formatProblem, problemCodes } from '../../../engine/graph/problems.ts'
import type { JsonObject } from '../../../engine/json.ts'
import { fakeRegistry, flow } from '../../support/fake-nodes.ts'

function load(source: string | JsonObject, name?: string) {
  return loadWorkflow(source, { registry: fakeRegistry, ...(name === undefined ? {} : { name }) })
}

const brief = ({ code, pointer }: Problem) => `${code} ${pointer}`
const a = { id: 'a', type: 'step' }
const s = { id: 's', type: 'source' }
const edge = { source: 's', target: 'a' }
const chain = (length: number, type: string) =>
  Array.from({ length }, (_, i) => ({ id: `n${i}`, type, data: { form: {}, config: {} } }))

/** What a file says → the problems it has, as `CODE pointer`. */
const wrong: Record<string, [source: string | JsonObject, problems: string[], message?: RegExp]> = {
  'a text that is no JSON': ['{"id": "x",\n "nodes": }', ['NOT_JSON '], /line 2, column 11/],
  'a truncated text': ['{"id": "x", "nodes": [', ['NOT_JSON '], /the text ends at line 1, column 23/],
  'an empty text': ['', ['NOT_JSON '], /line 1, column 1/],
  'a list': ['[]', ['WRONG_SHAPE ']],
  'JSON of 100,000 levels': ['['.repeat(100_000) + ']'.repeat(100_000), ['WRONG_SHAPE ']],
  'an env of 1,000 levels': [`{"id":"x","env":${'{"a":'.repeat(1000)}1${'}'.repeat(1001)}`, ['TOO_DEEP ']],
  'no nodes': [{ id: 'x' }, ['WRONG_SHAPE /nodes'], /missing/],
  'nodes that are an object': [{ id: 'x', nodes: {} }, ['WRONG_SHAPE /nodes']],
  'a node that is a text': [{ id: 'x', nodes: [s, 'a'] }, ['WRONG_SHAPE /nodes/1']],
  'a node without id': [{ id: 'x', nodes: [s, { type: 'step' }] }, ['WRONG_SHAPE /nodes/1/id']],
  'a node without type': [{ id: 'x', nodes: [s, { id: 'a' }], edges: [edge] }, ['WRONG_SHAPE /nodes/1/type']],
  'a number as id': [flow({ s: 'source' }, '', { nodes: [{ ...s, id: 7 }] }), ['WRONG_SHAPE /nodes/0/id']],
  'a form that is a list': [{ id: 'x', nodes: [{ ...s, data: { form: [] } }] }, ['WRONG_SHAPE /nodes/0/data/form']],
  'data that is a text': [{ id: 'x', nodes: [{ ...s, data: 'x' }] }, ['WRONG_SHAPE /nodes/0/data']],
  'edges that are an object': [{ id: 'x', nodes: [s], edges: {} }, ['WRONG_SHAPE /edges']],
  'an edge without target': [{ id: 'x', nodes: [s], edges: [{ source: 's' }] }, ['WRONG_SHAPE /edges/0/target']],
  'a handle that is a number': [
    { id: 'x', nodes: [s, a], edges: [{ ...edge, sourceHandle: 1 }] },
    ['WRONG_SHAPE /edges/0/sourceHandle'],
  ],
  'an unknown workflow type': [flow({ s: 'source' }, '', { type: 'test' }), ['WRONG_SHAPE /type']],
  'an env that is a list': [flow({ s: 'source' }, '', { env: [] }), ['WRONG_SHAPE /env']],
  'neither id nor name': [{ nodes: [s] }, ['MISSING_ID /id']],
  'an id with a line feed': [{ id: 'x\ny', nodes: [s] }, ['INVALID_NAME /id'], /control character/],
  'an id with half a character': [{ id: 'x\ud800', nodes: [s] }, ['INVALID_NAME /id']],
  'an id of 201 characters': [{ id: 'x'.repeat(201), nodes: [s] }, ['INVALID_NAME /id']],
  'two nodes of one id': [{ id: 'x', nodes: [s, s] }, ['DUPLICATE_ID /nodes/1/id'], /already that of \/nodes\/0/],
  'two edges of one id': [
    flow({ s: 'source', a: 'step' }, '', {
      edges: [
        { ...edge, id: 'e' },
        { id: 'e', source: 'a', target: 's' },
      ],
    }),
    ['DUPLICATE_ID /edges/1/id'],
  ],
  '10,001 nodes': [{ id: 'x', nodes: chain(10_001, 'source') }, ['TOO_MANY_NODES /nodes']],
  'fifty producers of 2,001 nodes each': [
    {
      id: 'x',
      nodes: [...Array.from({ length: 50 }, (_, i) => ({ id: `s${i}`, type: 'source' })), ...chain(2_001, 'step')],
      edges: [
        ...Array.from({ length: 50 }, (_, i) => ({ source: `s${i}`, target: 'n0' })),
        ...ring(2_001).slice(0, 2_000),
      ],
    },
    ['TOO_MANY_NODES /nodes'],
  ],
  'a type with a typo': [
    flow({ s: 'source', a: 'stepp' }, 's>a'),
    ['UNKNOWN_TYPE /nodes/1/type'],
    /did you mean "step"\?/,
  ],
  'a type like nothing': [flow({ s: 'source', a: 'xylophone' }, 's>a'), ['UNKNOWN_TYPE /nodes/1/type']],
  'a type named like an object method': [flow({ s: 'constructor' }), ['UNKNOWN_TYPE /nodes/0/type']],
  'a producer that api does not support': [
    flow({ s: 'counting', a: 'step' }, 's>a', { type: 'api' }),
    ['UNSUPPORTED_TYPE /nodes/0/type'],
    /the producer "counting" .* "api"/,
  ],
  'two producers in an api workflow': [
    flow({ s: 'source', t: 'source' }, '', { type: 'api' }),
    ['TOO_MANY_PRODUCERS /nodes/1'],
  ],
  'a form with two problems': [
    flow({ s: 'source', a: { type: 'step', form: { size: 0, note: '{{ data. }}' } } }, 's>a'),
    ['FORM_INVALID /nodes/1/data/form/size', 'TEMPLATE_SYNTAX /nodes/1/data/form/note'],
  ],
  'ports that cannot be told': [
    flow({ s: 'source', a: 'pick' }, 's>a'),
    ['PORTS_FAILED /nodes/1/data/form'],
    /the branches of "a" cannot be told/,
  ],
  'an edge to nowhere': [flow({ s: 'source' }, 's>a'), ['MISSING_NODE /edges/0/target'], /no node has the id "a"/],
  'an edge from nowhere': [flow({ s: 'source' }, 'a>s'), ['MISSING_NODE /edges/0/source']],
  'the same edge twice': [flow({ s: 'source', a: 'step' }, 's>a s:default>a'), ['DUPLICATE_EDGE /edges/1']],
  'body and subdag to one node': [
    flow({ s: 'source', f: 'each', a: 'step' }, 's>f f:body>a f:SubDag>a'),
    ['DUPLICATE_EDGE /edges/2'],
  ],
  'a branch the node has not': [
    flow({ s: 'source', c: 'choose', a: 'step' }, 's>c c:maybe>a'),
    ['UNKNOWN_PORT /edges/1/sourceHandle'],
    /has no branch "maybe"; it offers "yes" and "no"/,
  ],
  'a conditional without a branch': [
    flow({ s: 'source', c: 'choose', a: 'step' }, 's>c c>a'),
    ['UNKNOWN_PORT /edges/1/sourceHandle'],
  ],
  'a body of a plain node': [flow({ s: 'source', a: 'step' }, 's:body>a'), ['UNKNOWN_PORT /edges/0/sourceHandle']],
  'a queue edge from a plain node': [
    flow({ s: 'source', a: 'step', r: 'reader' }, 's>a a>r'),
    ['QUEUE_EDGE /edges/1'],
    /put a queue-writer between/,
  ],
  'an edge into a producer': [
    flow({ s: 'source', w: 'step', t: 'source' }, 's>w w>t'),
    ['EDGE_INTO_PRODUCER /edges/1'],
  ],
  'an edge from a writer into a producer': [
    flow({ s: 'source', w: { type: 'writer', form: { queue_name: 'q' } }, t: 'source' }, 's>w w>t'),
    ['EDGE_INTO_PRODUCER /edges/1'],
  ],
  'a queue name with a line feed': [
    flow({ r: { type: 'reader', form: { queue_name: 'a\nb' } } }),
    ['QUEUE_NAME /nodes/0/data/form/queue_name'],
  ],
  'a queue name that is a list': [
    flow({ r: { type: 'reader', config: { queue_name: [] } } }),
    ['QUEUE_NAME /nodes/0/data/config/queue_name', 'NO_QUEUE /nodes/0'],
  ],
  'a queue name with a template': [
    flow({ r: { type: 'reader', config: { queue_name: 'q{{ data.x }}' } } }),
    ['QUEUE_NAME /nodes/0/data/config/queue_name'],
    /joined at load/,
  ],
  'a derived queue name of 201 characters': [
    flow(
      { s: 'source', ['w'.repeat(97)]: 'writer', ['r'.repeat(97)]: 'reader' },
      `s>${'w'.repeat(97)} ${'w'.repeat(97)}>${'r'.repeat(97)}`,
    ),
    ['QUEUE_NAME /edges/1'],
  ],
  'different names at the ends of an edge': [
    flow(
      {
        s: 'source',
        w: { type: 'writer', form: { queue_name: 'p' } },
        r: { type: 'reader', form: { queue_name: 'q' } },
      },
      's>w w>r',
    ),
    ['QUEUE_NAMES_DIFFER /edges/1'],
  ],
  'two edges whose queues would get one name': [
    flow({ s: 'source', a_b: 'writer', a: 'writer', c: 'reader', b_c: 'reader' }, 's>a_b s>a a_b>c a>b_c'),
    ['QUEUE_NAME_TAKEN /edges/3'],
    /"queue_a_b_c"/,
  ],
  'a name that a background loop needs': [
    flow({ s: 'source', l: 'later', a: 'step', r: { type: 'reader', form: { queue_name: 'after_s_l' } } }, 's>l l>a'),
    ['QUEUE_NAME_TAKEN '],
  ],
  'a name that requeueing needs': [
    flow({ r: { type: 'reader', form: { queue_name: 'requeue_r' } } }),
    ['QUEUE_NAME_TAKEN '],
  ],
  'a writer with neither edge nor name': [flow({ s: 'source', w: 'writer' }, 's>w'), ['NO_QUEUE /nodes/1']],
  'a reader whose name is default': [
    flow({ r: { type: 'reader', form: { queue_name: 'DEFAULT' }, config: { queue_name: '' } } }),
    ['NO_QUEUE /nodes/0'],
  ],
  'a cycle': [
    flow({ s: 'source', a: 'step', b: 'step', c: 'step' }, 's>a a>b b>c c>a'),
    ['CYCLE /edges/3'],
    /"a" → "b" → "c" → "a"/,
  ],
  'a node that follows itself': [flow({ s: 'source', a: 'step' }, 's>a a>a'), ['CYCLE /edges/1'], /"a" → "a"/],
  'a cycle through a non-blocking node': [
    flow({ s: 'source', l: 'later', a: 'step' }, 's>l l>a a>l'),
    ['CYCLE /edges/2'],
  ],
  'two cycles': [
    flow({ s: 'source', a: 'step', b: 'step', c: 'step', d: 'step' }, 's>a a>b b>a s>c c>d d>c'),
    ['CYCLE /edges/2', 'CYCLE /edges/5'],
  ],
  'a cycle of 9,000 nodes': [
    { id: 'x', nodes: [s, ...chain(9_000, 'step')], edges: [{ source: 's', target: 'n0' }, ...ring(9_000)] },
    ['CYCLE /edges/9000'],
    /"n5" → … → "n8995"/,
  ],
  'a join of background and foreground': [
    flow({ s: 'source', l: 'later', a: 'step', j: 'step' }, 's>l s>a l>j a>j'),
    ['FORBIDDEN_JOIN /edges/3'],
    /"j" joins non-blocking "l" with "a" \(not behind a non-blocking node\)/,
  ],
  'a join of two backgrounds': [
    flow({ s: 'source', l: 'later', m: 'later', a: 'step', b: 'step', j: 'step' }, 's>l s>m l>a m>b a>j b>j'),
    ['FORBIDDEN_JOIN /edges/5'],
  ],
  'a join of a background and the one behind it': [
    flow({ s: 'source', l: 'later', m: 'later', j: 'step' }, 's>l l>m m>j l>j'),
    ['FORBIDDEN_JOIN /edges/2'],
  ],
  'a body entered from before': [
    flow({ s: 'source', f: 'each', a: 'step' }, 's>f f:body>a s>a'),
    ['BODY_ENTERED /edges/2'],
    /"a" is in the body of "f", but "s" leads to it/,
  ],
  'a body entered by the default branch': [
    flow({ s: 'source', f: 'each', a: 'step', b: 'step' }, 's>f f:body>a f>b a>b'),
    ['BODY_ENTERED /edges/2'],
  ],
  'an inner body entered from the outer': [
    flow({ s: 'source', f: 'each', g: 'each', a: 'step', b: 'step' }, 's>f f:body>g g:body>a f:body>b b>a'),
    ['BODY_ENTERED /edges/4'],
  ],
  '51 nested bodies': [
    {
      id: 'x',
      nodes: [s, ...chain(51, 'each')],
      edges: [
        { source: 's', target: 'n0' },
        ...ring(51)
          .slice(0, 50)
          .map(each => ({ ...each, sourceHandle: 'body' })),
      ],
    },
    ['BODY_TOO_DEEP /nodes/51'],
  ],
  'a background inside a body': [
    flow({ s: 'source', f: 'each', l: 'later', a: 'step' }, 's>f f:body>l l>a'),
    ['NON_BLOCKING_IN_BODY /nodes/2'],
  ],
  'no producer': [flow({ a: 'step' }), ['NO_PRODUCER /nodes']],
  'no nodes at all': [flow({}), ['NO_PRODUCER /nodes']],
  'two loops of one id': [
    flow({ after_s_l: 'source', s: 'source', l: 'later', a: 'step' }, 's>l l>a'),
    ['LOOP_ID_TAKEN '],
  ],
  'replicas of a producer with state': [
    flow({ s: 'counting' }, '', { settings: { loops: { s: { replicas: 2 } } } }),
    ['REPLICAS /settings/loops/s/replicas'],
    /"s" keeps state/,
  ],
  'a time-out of nothing': [
    flow({ s: { type: 'source', config: { timeout_seconds: 0 } } }),
    ['TIMEOUT /nodes/0/data/config/timeout_seconds'],
  ],
  'a time-out that is a text': [
    flow({ s: { type: 'source', config: { timeout_seconds: '5' } } }),
    ['TIMEOUT /nodes/0/data/config/timeout_seconds'],
  ],
  'settings out of range': [
    flow({ s: 'source' }, '', {
      settings: {
        queues: { max_length: -1 },
        dead_letters: { max: 0 },
        max_deliveries: 1.5,
        drain_timeout_seconds: -1,
        lease_seconds: 0,
        loops: { s: { replicas: 0, memory_mb: 1 } },
      },
    }),
    [
      'SETTING_RANGE /settings/queues/max_length',
      'SETTING_RANGE /settings/dead_letters/max',
      'SETTING_RANGE /settings/loops/s/replicas',
      'SETTING_RANGE /settings/loops/s/memory_mb',
      'SETTING_RANGE /settings/max_deliveries',
      'SETTING_RANGE /settings/drain_timeout_seconds',
      'SETTING_RANGE /settings/lease_seconds',
    ],
  ],
  'settings of the wrong type': [
    flow({ s: 'source' }, '', {
      settings: {
        queues: [],
        dead_letters: { max: '5' },
        strict_templates: 1,
        loops: { s: { pool: 'fork' }, t: true },
      },
    }),
    [
      'SETTING_TYPE /settings/queues',
      'SETTING_TYPE /settings/dead_letters/max',
      'SETTING_TYPE /settings/loops/s/pool',
      'SETTING_TYPE /settings/loops/t',
      'SETTING_TYPE /settings/strict_templates',
    ],
  ],
  'settings that are a list': [flow({ s: 'source' }, '', { settings: [] }), ['SETTING_TYPE /settings']],
}

/** Edges that join n0 … n(length-1) to a ring. */
function ring(length: number): { source: string; target: string }[] {
  return Array.from({ length }, (_, i) => ({ source: `n${i}`, target: `n${(i + 1) % length}` }))
}

/** What is odd but loads → its warnings. */
const odd: Record<string, [source: JsonObject, warnings: string[]]> = {
  'a node that nothing reaches': [
    flow({ s: 'source', a: 'step', b: 'step' }, 'a>b'),
    ['UNREACHABLE /nodes/1', 'UNREACHABLE /nodes/2'],
  ],
  'settings of no loop': [
    flow({ s: 'source' }, '', { settings: { loops: { 'x/y~': {}, s: {} } } }),
    ['UNKNOWN_LOOP /settings/loops/x~1y~0'],
  ],
  'a cycle of loops': [
    flow({ s: 'source', o: 'writer', r: 'reader', w: 'writer' }, 's>o o>r r>w w>r'),
    ['CYCLE_OF_LOOPS '],
  ],
  'two readers of one name': [
    flow({ r: { type: 'reader', form: { queue_name: 'q' } }, t: { type: 'reader', form: { queue_name: 'q' } } }),
    ['SHARED_QUEUE '],
  ],
}

describe('problemCodes', () => {
  it('are all in a table above', () => {
    const tables = [...Object.values(wrong), ...Object.values(odd)].flatMap(([, expected]) => expected)
    const tried = new Set(tables.map(expected => expected.split(' ')[0]))
    expect(Object.keys(problemCodes).filter(code => !tried.has(code))).toEqual([])
  })
})

describe('loadWorkflow: problems', () => {
  it.each(Object.entries(wrong))('%s', (_name, [source, problems, message]) => {
    const loaded = load(source)
    expect(loaded.problems.map(brief).sort()).toEqual([...problems].sort())
    expect(loaded.graph).toBeUndefined()
    if (message !== undefined) expect(loaded.problems.map(formatProblem).join('\n')).toMatch(message)
  })

  it('collects all problems of a file, and pointers follow its shape', () => {
    const { problems } = load({
      id: 1,
      workflow_type: 'production',
      settings: { lease_seconds: 'x' },
      nodes: [
        { id: 1, node_type: { identifier: 'source' }, form_values: { size: 'x' } },
        { id: 2, node_type: { identifier: 'setp' } },
        { id: 3, node_type: 'chose', config: { timeout_seconds: -1 } },
        { id: 4, node_type: 'step', config: { timeout_seconds: -1 } },
        { id: 5, node_type: 'step' },
      ],
      connections: [
        { id: 1, source_node: 1, target_node: 9 },
        { id: 2, source_node: 4, target_node: 5, source_handle: 'up' },
      ],
    })
    expect(problems.map(brief).sort()).toEqual([
      'FORM_INVALID /nodes/0/form_values/size',
      'MISSING_NODE /connections/0/target_node',
      'SETTING_TYPE /settings/lease_seconds',
      'TIMEOUT /nodes/3/config/timeout_seconds',
      'UNKNOWN_PORT /connections/1/source_handle',
      'UNKNOWN_TYPE /nodes/1/node_type/identifier',
      'UNKNOWN_TYPE /nodes/2/node_type',
    ])
  })

  it('points into the nested workflow of canvas_data', () => {
    const { problems } = load({
      nodes: [s],
      edges: [],
      workflow: { id: 3, workflow_type: 'x', settings: { loops: 1 } },
    })
    expect(problems.map(brief)).toEqual([
      'WRONG_SHAPE /workflow/workflow_type',
      'SETTING_TYPE /workflow/settings/loops',
    ])
  })
})

describe('loadWorkflow: warnings', () => {
  it.each(Object.entries(odd))('%s', (_name, [source, warnings]) => {
    const { graph, warnings: found, problems } = load(source)
    expect(problems).toEqual([])
    expect(found.map(brief)).toEqual(warnings)
    expect(graph?.warnings).toEqual(found)
  })
})

describe('loadWorkflow: what is accepted', () => {
  it('takes the file name for a missing id, and keeps quiet about unknown keys', () => {
    const { graph, problems } = load({ nodes: [{ ...s, color: 'red' }], extra: 1, settings: { mine: [] } }, 'orders')
    expect(problems).toEqual([])
    expect(graph?.workflow).toMatchObject({ id: 'orders', name: 'orders', type: 'production', env: {} })
  })

  it('fills in the defaults of all settings', () => {
    expect(load(flow({ s: 'source' })).graph?.workflow.settings).toEqual({
      queues: { max_length: 10_000 },
      dead_letters: { max: 10_000 },
      loops: {},
      strict_templates: false,
      max_deliveries: 3,
      drain_timeout_seconds: 30,
      lease_seconds: 10,
    })
  })

  it('skips a byte order mark', () => {
    expect(load(`\ufeff${JSON.stringify(flow({ s: 'source' }))}`).problems).toEqual([])
  })

  it('survives ids that are names of object methods', () => {
    const names = '{"__proto__": {"replicas": 1}, "constructor": {"pool": "thread"}}'
    const text = `{"id":"toString","nodes":[{"id":"constructor","type":"source"},{"id":"__proto__","type":"step"}],
      "edges":[{"id":"valueOf","source":"constructor","target":"__proto__"}],"settings":{"loops":${names}}}`
    const { graph, problems } = load(text)
    expect(problems).toEqual([])
    expect(graph?.loops.map(({ id, pool, nodes }) => [id, pool, nodes.length])).toEqual([['constructor', 'thread', 2]])
  })

  it('gives time limits in milliseconds', () => {
    const { graph } = load(
      flow({ s: 'source', a: 'step', w: 'waiting', t: { type: 'waiting', config: { timeout_seconds: 1.5 } } }),
    )
    expect([...(graph?.nodes.values() ?? [])].map(node => node.timeoutMs)).toEqual([0, 300_000, 0, 1_500])
  })

  it('folds branch keys, those of the node too', () => {
    const c = { type: 'pick', form: { keys: ['Small', ' BIG '] } }
    const { graph, problems } = load(
      flow({ s: 'source', c, a: 'step', b: 'step', d: 'step' }, 's>c c:SMALL>a c:big>b c:default>d'),
    )
    expect(problems).toEqual([])
    expect(graph?.nodes.get('c')?.ports).toEqual(['small', 'big', 'default'])
    expect(graph?.loops[0]?.plan.edges.map(edge => edge.port)).toEqual(['default', 'small', 'big', 'default'])
  })
})

describe('hash', () => {
  const base = flow({ s: 'source', a: { type: 'step', form: { note: 'x' } } }, 's>a')
  const hashOf = (source: JsonObject) => load(source).graph?.hash
  const withNode = (change: JsonObject): JsonObject => {
    const nodes = base.nodes as JsonObject[]
    return { ...base, nodes: [nodes[0] as JsonObject, { ...nodes[1], ...change }] }
  }

  it.each<[string, JsonObject]>([
    ['positions', withNode({ position: { x: 1, y: 2 } })],
    ['names and unknown keys', { ...base, name: 'other', viewport: {}, settings: { mine: 1 } }],
    ['an alias of a type', withNode({ type: 'stage' })],
    ['edge ids', { ...base, edges: [edge] }],
    ['a default written out', { ...base, settings: { queues: { max_length: 10_000 } } }],
  ])('stays with %s', (_name, source) => {
    expect(hashOf(source)).toBe(hashOf(base))
  })

  it.each<[string, JsonObject]>([
    ['the form', withNode({ data: { form: { note: 'y' } } })],
    ['the config', withNode({ data: { form: { note: 'x' }, config: { timeout_seconds: 1 } } })],
    ['the type', withNode({ type: 'heavy' })],
    ['env', { ...base, env: { A: 1 } }],
    ['settings', { ...base, settings: { strict_templates: true } }],
    ['an edge', { ...base, edges: [] }],
    ['the id', { ...base, id: 'other' }],
  ])('changes with %s', (_name, source) => {
    expect(hashOf(source)).toMatch(/^[0-9a-f]{32}$/)
    expect(hashOf(source)).not.toBe(hashOf(base))
  })
})

describe('requireWorkflow', () => {
  it('throws one error that lists every problem on a line of its own', () => {
    const source = flow({ s: 'source', a: 'stepp' }, 's>a', { type: 'x' })
    expect(() => requireWorkflow(source, { registry: fakeRegistry, name: 'orders' })).toThrow(
      expect.objectContaining({
        code: 'WORKFLOW_INVALID',
        message: [
          'Cannot load workflow "orders": 2 problems:',
          '  /type: must be "production" or "api", is "x"',
          '  /nodes/1/type: unknown node type "stepp"; did you mean "step"?',
        ].join('\n'),
        details: [expect.objectContaining({ code: 'WRONG_SHAPE' }), expect.objectContaining({ code: 'UNKNOWN_TYPE' })],
      }),
    )
  })

  it('returns the graph of a sound file', () => {
    expect(requireWorkflow(flow({ s: 'source' }), { registry: fakeRegistry }).loops).toHaveLength(1)
  })
})

describe('loadWorkflow: garbage', () => {
  it('never throws on any JSON or any text', () => {
    const part = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<never>
    const node = fc.record({ id: part, type: fc.constantFrom('step', 'each', 'writer', 'x', null), data: part })
    const source = fc.record(
      {
        id: part,
        type: part,
        env: part,
        settings: part,
        workflow: part,
        nodes: fc.array(fc.oneof(part, node)),
        edges: part,
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(source, fc.string(), fc.json()), garbage => {
        const { graph, problems } = load(garbage as JsonObject | string)
        expect(graph === undefined).toBe(problems.length > 0)
      }),
    )
  })
})
