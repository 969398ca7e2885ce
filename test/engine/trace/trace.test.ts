/** The header loads as the workflow that was recorded; what is secret is not in it, and what is damaged is refused. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadWorkflow, requireWorkflow } from '../../../engine/graph/load-workflow.ts'
import type { Json, JsonObject } from '../../../engine/json.ts'
import { defaultRegistry } from '../../../engine/node/node-registry.ts'
import { secretsOf } from '../../../engine/trace/redact.ts'
import {
  openTrace,
  parseHeader,
  parseLine,
  readIteration,
  type TraceLine,
  toSource,
} from '../../../engine/trace/trace.ts'

const registry = defaultRegistry()
const folder = join(import.meta.dirname, '../../../fixtures/workflows')

function opened(source: string | JsonObject, name = 'w') {
  const graph = requireWorkflow(source, { registry, name })
  const lines: string[] = []
  const record = openTrace(graph, { engine: '1', source: 'recorded' }, line => lines.push(line))
  return { graph, lines, record }
}

function withForm(form: JsonObject): JsonObject {
  return {
    id: 'w',
    env: { TOKEN: 'long-token-1', OTHER: 'left alone' },
    nodes: [
      { id: 'c', type: 'counter', data: { form: { min_value: 1, max_value: 2 } } },
      { id: 'h', type: 'http-request', data: { form: { url: 'http://x.test/', ...form } } },
    ],
    edges: [{ id: 'e', source: 'c', target: 'h' }],
  }
}

describe('a header', () => {
  it.each(['counter-log.json', 'pools.json'])('of %s is the same definition whatever its host sets', name => {
    const text = readFileSync(join(folder, name), 'utf8')
    const host = { lease_seconds: 2, drain_timeout_seconds: 7.5 }
    const graph = requireWorkflow(text, { registry, name, host })
    expect(graph.workflow.settings).toMatchObject(host)
    const again = requireWorkflow(toSource(graph.workflow), { registry, name })
    expect(again.hash).toBe(graph.hash)
    expect(again.loops.map(loop => loop.hash)).toEqual(graph.loops.map(loop => loop.hash))
  })

  const names = readdirSync(folder).filter(name => name.endsWith('.json'))

  it.each(names)('of %s loads as the same definition', name => {
    const text = readFileSync(join(folder, name), 'utf8')
    if (loadWorkflow(text, { registry, name }).graph === undefined) return
    const { graph, lines } = opened(text, name)
    const header = parseHeader(lines[0] as string, 'trace')
    expect(requireWorkflow(header.workflow, { registry, name: 'other' }).hash).toBe(graph.hash)
    expect(header.hash).toBe(graph.hash)
  })

  it.each<[JsonObject, string[]]>([
    [{ auth_bearer_token: 'long-token-2' }, ['long-token-2']],
    [{ auth_bearer_token: '{{ workflowenv.TOKEN }}' }, ['long-token-1']],
    [{ auth_password: "{{ workflowenv['TOKEN'] }}" }, ['long-token-1']],
    [{ auth_bearer_token: 'short' }, []],
    [{ headers: { x: '{{ workflowenv.OTHER }}' } }, []],
  ])('of a form with %j hides %j', (form, secrets) => {
    const { graph, lines } = opened(withForm(form))
    expect(secretsOf(graph)).toEqual(secrets)
    for (const secret of secrets) expect(lines[0]).not.toContain(secret)
    if (typeof form.auth_bearer_token === 'string' && !form.auth_bearer_token.includes('{{')) {
      expect(lines[0]).not.toContain(form.auth_bearer_token)
    }
    expect(lines[0]).toContain('left alone')
    expect(() => requireWorkflow(parseHeader(lines[0] as string, 't').workflow, { registry })).not.toThrow()
  })

  it.each([
    ['', 'is no header'],
    ['{"kind":"iteration"}', 'is no header'],
    ['{"kind":"header","format":2,"workflow":{}}', 'has form 2'],
    ['[1]', 'is no header'],
  ])('%s is refused', (line, why) => expect(() => parseHeader(line, 'trace')).toThrow(why))
})

describe('a line', () => {
  const line: TraceLine = {
    kind: 'iteration',
    time: 1,
    instance: 'h',
    run: 'run-1',
    loop: 'c',
    replica: 0,
    iteration: 1,
    key: 'k',
    prefix: 'p',
    entry: null,
    reads: { state: {}, runtime: {} },
    clock: {},
    calls: [{ at: 'h', op: 'http', ask: { url: 'u' }, answer: { body: 'you said long-token-2!' } }],
    steps: [],
    outcome: { as: 'ok' },
    writes: { state: {}, runtime: {}, delays: [], pushes: [] },
  }
  const place = { name: 'trace', line: 2 }

  it('comes back as it was, but for secrets', () => {
    const plain = opened(withForm({}))
    plain.record(line)
    expect(readIteration(parseLine(plain.lines[1] as string) as JsonObject, place)).toEqual(line)
    const hiding = opened(withForm({ auth_bearer_token: 'long-token-2' }))
    hiding.record(line)
    const told = JSON.parse(hiding.lines[1] as string)
    expect(told.calls[0].answer.body).toBe('you said [redacted]!')
    expect({ ...told, calls: line.calls }).toEqual(line)
  })

  it.each(['time', 'loop', 'entry', 'reads', 'calls', 'steps', 'outcome', 'writes'])(
    'without its %s is refused',
    key => {
      const { [key]: _, ...rest } = line as unknown as JsonObject
      expect(() => readIteration(rest, place)).toThrow(`its "${key}" is not as it was recorded`)
    },
  )

  it('of another kind is passed over, but a commit must be one', () => {
    expect(readIteration({ kind: 'later', time: 'x' }, place)).toBeUndefined()
    expect(() => readIteration({ kind: 'commit', time: 'x' }, place)).toThrow('line 2 is no commit: its "time"')
  })

  it.each([
    ['steps', [null]],
    ['steps', [{ at: 'a', did: 'jump' }]],
    ['calls', [{ at: 'a', op: '__proto__', ask: {} }]],
    ['reads', { state: { a: '{' }, runtime: {} }],
    ['writes', { state: {}, runtime: {}, delays: [], pushes: [{ at: 'a' }] }],
    ['entry', { item: { id: 'a', data: {}, metadata: {} } }],
    ['outcome', { as: 'failed', node: 'a' }],
  ] as [string, Json][])('whose %s holds %j is refused', (key, value) => {
    const wrong = { ...(line as unknown as JsonObject), [key]: value }
    expect(() => readIteration(wrong, place)).toThrow(`its "${key}" is not as it was recorded`)
  })
})
