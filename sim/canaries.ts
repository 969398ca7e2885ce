/**
 * The workflows in which planted bugs must be found. They are small, and between them they use what mutants break: state,
 * joins of live and dead branches, queues that fill, items that fail, for-each, runtime variables, durable delays.
 */
import type { JsonObject } from '../engine/json.ts'

type NodeText = [id: string, type: string, form?: JsonObject]

function workflow(id: string, nodes: readonly NodeText[], edges: string, settings: JsonObject = {}): JsonObject {
  return {
    id,
    settings,
    nodes: nodes.map(([name, type, form = {}]) => ({ id: name, type, data: { form } })),
    edges: edges.split(' ').map((text, i) => {
      const [pair = '', sourceHandle = null] = text.split(':')
      const [source = '', target = ''] = pair.split('>')
      return { id: `e${i}`, source, target, sourceHandle }
    }),
  }
}

const count = (max: number): NodeText => ['count', 'counter', { min_value: 1, max_value: max }]
const odd: NodeText = ['odd', 'if-condition', { condition_expression: 'data.counter.current % 2 == 1' }]
const set = (id: string, template: string): NodeText => [
  id,
  'data-transformer',
  { output_template: template, overwrite: false },
]

/** A template that asks for what is not there. */
const failsWhen = (condition: string): string => `{"n": "{% if ${condition} %}{{ data.nothing.here }}{% endif %}"}`

export const canaries = {
  /** Two loops, a join of a taken and an untaken branch, durable delays. */
  plain: workflow(
    'canary',
    [
      count(12),
      odd,
      set('note', '{"odd": true}'),
      ['join', 'log', { message: 'joined' }],
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['slow', 'static-delay-node', { interval: 0.04, unit: 'seconds' }],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>odd odd>note:yes note>join odd>join:no join>out out>in in>slow slow>done',
  ),
  /** A queue of three that is often full: the reader waits now and then, and prefetches when it does not. */
  tight: workflow(
    'tight',
    [
      count(30),
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['fifth', 'if-condition', { condition_expression: 'data.counter.current % 5 == 0' }],
      ['slow', 'static-delay-node', { interval: 0.05, unit: 'seconds' }],
      ['next', 'queue-writer', { queue_name: 'next', max_length: 3 }],
      ['last', 'queue-reader', { queue_name: 'next' }],
      ['end', 'log', { message: 'end' }],
    ],
    'count>out out>in in>fifth fifth>slow:yes slow>next fifth>next:no last>end',
    { queues: { max_length: 3 } },
  ),
  /** Every fourth item fails in the loop that makes it, and every third in the one that claims it, beside a push. */
  failing: workflow(
    'failing',
    [
      count(15),
      set('fourth', failsWhen('data.counter.current % 4 == 0')),
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['done', 'queue-writer', { queue_name: 'done' }],
      set('third', failsWhen('data.counter.current % 3 == 0')),
    ],
    'count>fourth fourth>out out>in in>done in>third',
    { strict_templates: true },
  ),
  /** Two branches that both run and meet again, a for-each behind them, and a sum that every item adds to. */
  shapes: workflow(
    'shapes',
    [
      count(9),
      set('left', '{"left": "{{ data.counter.current }}"}'),
      set('right', '{"right": "{{ data.counter.current * 2 }}"}'),
      ['meet', 'log', { message: 'met' }],
      ['each', 'for-each', { array_expression: '{{ [data.counter.current, 10, 20] }}' }],
      set('inner', '{"item": "{{ data.forEachNode.state.item }}"}'),
      set(
        'sum',
        '{"sum": "{{ data.counter.current | set_runtime(\'sum\', (runtime.sum or 0) + data.counter.current) }}"}',
      ),
      ['done', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>left count>right left>meet right>meet meet>each each>inner:subdag each>sum sum>done',
  ),
  /** A service and a file beside the queue: what the outside does shows in what is queued. */
  outside: workflow(
    'outside',
    [
      count(12),
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      [
        'call',
        'http-request',
        { method: 'POST', url: 'http://pay.test/{{ data.counter.current }}', timeout_seconds: 5 },
      ],
      ['note', 'file-writer', { file_path: 'log.txt', mode: 'a', content: '{{ data.counter.current }}' }],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>out out>in in>call call>note note>done',
  ),
  /** Loops that take longer than leases and drains, beside one that need not. */
  patient: workflow(
    'patient',
    [
      count(5),
      ['slow', 'static-delay-node', { interval: 40, unit: 'seconds' }],
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['next', 'queue-writer', { queue_name: 'next' }],
      ['last', 'queue-reader', { queue_name: 'next' }],
      ['slower', 'static-delay-node', { interval: 50, unit: 'seconds' }],
      ['end', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>slow slow>out out>in in>next last>slower slower>end',
  ),
  /** A loop of three replicas, whose items take their time. */
  crowd: workflow(
    'crowd',
    [
      count(8),
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['slow', 'dynamic-delay-node', { total_time: 2, unit: 'seconds', executions: 3 }],
      ['wait', 'static-delay-node', { interval: 0.3, unit: 'seconds' }],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>slow slow>out out>in in>wait wait>done',
    { loops: { in: { replicas: 3 } } },
  ),
  /** Loops in a thread and in a process. */
  pooled: workflow(
    'pooled',
    [
      count(30),
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['slow', 'static-delay-node', { interval: 0.04, unit: 'seconds' }],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>out out>in in>slow slow>done',
    { loops: { count: { pool: 'thread' }, in: { pool: 'process' } } },
  ),
  /** An item every half second for a while: time enough for people to interfere. */
  steady: workflow(
    'steady',
    [
      count(40),
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['slow', 'static-delay-node', { interval: 0.5, unit: 'seconds' }],
      ['done', 'queue-writer', { queue_name: 'done' }],
    ],
    'count>out out>in in>slow slow>done',
    { lease_seconds: 2 },
  ),
  /** Fed by a webhook whose queue is short, and often full. */
  hook: workflow(
    'hook',
    [
      ['hook', 'webhook-producer', { webhook_id: 'orders' }],
      ['out', 'queue-writer'],
      ['in', 'queue-reader'],
      ['slow', 'static-delay-node', { interval: 0.2, unit: 'seconds' }],
      ['end', 'log', { message: 'end' }],
    ],
    'hook>out out>in in>slow slow>end',
    { queues: { max_length: 12 } },
  ),
  /** Asked by many at once: each pushes, every third fails then, and some take minutes. */
  asked: {
    ...workflow(
      'asked',
      [
        ['ask', 'webhook-producer', { webhook_id: 'ask' }],
        ['out', 'queue-writer', { queue_name: 'done' }],
        set('third', failsWhen('data.n % 3 == 0')),
        ['seventh', 'if-condition', { condition_expression: 'data.n % 7 == 0' }],
        ['long', 'static-delay-node', { interval: 150, unit: 'seconds' }],
        ['say', 'http-response', {}],
      ],
      'ask>out out>third third>seventh seventh>long:yes seventh>say:no long>say',
      { strict_templates: true },
    ),
    type: 'api',
  },
} as const

export type CanaryName = keyof typeof canaries
