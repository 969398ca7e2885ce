/** What generated loops are made of: each kind of step adds a few nodes behind the open ends of a draft, and leaves new ones. */
import type { JsonObject } from '../engine/json.ts'
import type { WorkflowDraft } from './workflow-draft.ts'

const always: JsonObject = { output_template: '{"n": "{{ data.n + 1 }}"}', overwrite: true }

const builders = {
  replace: (draft, id) => void draft.next(id, 'data-transformer', always),
  add: (draft, id, size) => void draft.next(id, 'data-transformer', added(`"{{ data.n * ${size} }}"`)),
  log: (draft, id) => void draft.next(id, 'log', { message: 'at {{ data.n }}' }),
  fork: (draft, id, size) => {
    const node = draft.next(id, 'log', { message: 'fork' })
    const branches = Array.from({ length: 2 + (size % 2) }, (_, i) => i)
    draft.fork(branches.map(i => ({ from: { node }, id: `${id}b${i}`, form: added(`${i % 2}`) })))
    draft.next(`${id}j`, 'log', { message: 'join' })
  },
  if: (draft, id, size) => {
    const node = draft.next(id, 'if-condition', { condition_expression: `data.n % ${size + 2} == 0` })
    const both = ['yes', 'no'].map(handle => ({
      from: { node, handle },
      id: `${id}${handle}`,
      form: added(`"${handle}"`),
    }))
    draft.fork(size % 3 === 0 ? both.slice(0, 1) : both)
  },
  switch: (draft, id, size) => {
    const cases = [
      { key: 'low', condition: `data.n < ${size + 2}` },
      { key: 'odd', condition: 'data.n % 2 == 1' },
    ]
    const node = draft.next(id, 'switch', { cases })
    const keys = ['low', 'odd', 'default']
    draft.fork(keys.map(handle => ({ from: { node, handle }, id: `${id}${handle}`, form: added(`"${handle}"`) })))
  },
  each: (draft, id, size) => {
    // results hold all that an item holds: with those of an earlier for-each in them, items would grow without end
    draft.next(`${id}of`, 'data-transformer', always)
    const node = draft.next(id, 'for-each', { array_expression: `{{ range(${Math.min(size, 3)}) | list }}` })
    draft.fork([
      { from: { node, handle: 'body' }, id: `${id}body`, form: added('"{{ data.forEachNode.state.item }}"') },
    ])
    if (size % 2 === 1) nest(draft, `${id}in`)
    draft.from([{ node }])
  },
  delay: (draft, id, size) => void draft.next(id, 'static-delay-node', { interval: size / 50, unit: 'seconds' }),
  spread: (draft, id, size) =>
    void draft.next(id, 'dynamic-delay-node', { total_time: (size + 1) / 3, unit: 'seconds', executions: 4 + size }),
  file: (draft, id) =>
    void draft.next(id, 'file-writer', { file_path: `${id}.out`, mode: 'a', content: '{{ data.n }}' }),
  http: (draft, id, size) => {
    const call = { method: size % 3 === 2 ? 'GET' : 'POST', url: `http://any.test/${id}/{{ data.n }}` }
    const body = size % 3 === 1 ? { body: '{"n": "{{ data.n }}"}' } : {}
    draft.next(id, 'http-request', {
      ...call,
      ...body,
      timeout_seconds: 5 * (size + 1),
      on_error: size % 2 === 0 ? 'output' : 'fail',
    })
  },
  runtime: (draft, id) =>
    void draft.next(
      id,
      'data-transformer',
      added(`"{{ data.n | set_runtime('${id}', (runtime.${id} or 0) + data.n) }}"`),
    ),
  fail: (draft, id, size) => {
    const template = `{{ 0 if data.n % ${size + 2} == 0 else {"n": data.n} }}`
    draft.next(id, 'data-transformer', { output_template: template, overwrite: true })
  },
  background: (draft, id) => void draft.next(id, 'background', {}),
} satisfies Record<string, (draft: WorkflowDraft, id: string, size: number) => void>

export type StepKind = keyof typeof builders
export const stepKinds = Object.keys(builders) as StepKind[]

/** Adds these steps behind the open ends; ids begin with `prefix`. */
export function buildSteps(
  draft: WorkflowDraft,
  steps: readonly { kind: StepKind; size: number }[],
  prefix: string,
): void {
  for (const [i, { kind, size }] of steps.entries()) builders[kind](draft, `${prefix}${kind}${i}`, size)
}

/** Keeps the data, and its number with it. */
function added(json: string): JsonObject {
  return { output_template: `{"v": ${json}}`, overwrite: false }
}

/** A for-each in the body of another. */
function nest(draft: WorkflowDraft, id: string): void {
  const node = draft.next(id, 'for-each', { array_expression: '{{ [data.n, 10] }}' })
  draft.fork([{ from: { node, handle: 'body' }, id: `${id}body`, form: added('"{{ data.forEachNode.state.item }}"') }])
}
