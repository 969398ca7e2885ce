/** The HTTP API without a socket, over keys in memory: tests send requests and look at what lies in Redis. */
import { expect, onTestFinished } from 'vitest'
import { Api } from '../../daemon/routes-api.ts'
import type { AccessPolicy } from '../../daemon/routes-guard.ts'
import { buildServer } from '../../daemon/server.ts'
import { systemClock, systemRandom } from '../../daemon/system-ports.ts'
import type { WorkflowFile } from '../../daemon/workflow-folder.ts'
import { loadWorkflow } from '../../engine/graph/load-workflow.ts'
import type { Json, JsonObject } from '../../engine/json.ts'
import type { NodeClass } from '../../engine/node/node.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { Log, Ports, Redis } from '../../engine/ports.ts'
import { Bench } from './engine-bench.ts'

/** A text that fits: a bare pattern within `toMatchObject` fits anything. */
export function says(pattern: RegExp): string {
  return expect.stringMatching(pattern)
}

/** What `JSON.parse` gives, whatever that is. */
type Parsed = ReturnType<typeof JSON.parse>
export type Answer = { status: number; headers: Record<string, unknown>; body: Parsed; text: string }
type Given = {
  classes?: readonly NodeClass[]
  /** Workflow files by name. */
  files?: Record<string, JsonObject>
  redis?: (redis: Redis) => Redis
  access?: Partial<AccessPolicy>
}

export function apiBench({ classes = [], files = {}, redis = same => same, access = {} }: Given = {}) {
  const bench = new Bench()
  const log: string[] = []
  const writer: Log = { write: (level, message) => void log.push(`${level}: ${message}`) }
  const own = bench.ports(1)
  const ports: Ports = { ...own, clock: systemClock(), random: systemRandom(), redis: redis(own.redis), log: writer }
  const registry = defaultRegistry([...classes])
  const read = Object.entries(files).map(([name, json]): WorkflowFile => {
    const { graph, problems } = loadWorkflow(json, { registry, name })
    return { file: `${name}.json`, json, graph, problems: problems.map(({ message }) => message), warnings: [] }
  })
  let heard = () => {}
  const onEvent = (tell: () => void) => {
    heard = tell
  }
  const api = new Api({
    ...{ registry, ports, access: { keys: 'optional', origins: [], ...access } },
    ...{ onEvent: () => heard(), files: () => read, status: () => [] },
  })
  const app = buildServer([api.routes], writer)
  onTestFinished(() => app.close())
  const send = async (line: string, body?: Json, headers: Record<string, string> = {}): Promise<Answer> => {
    const [method = 'GET', url = '/'] = line.split(' ')
    const payload = body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }
    const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await app.inject({ method: method as 'GET', url, headers: { ...type, ...headers }, ...payload })
    const text = answer.body
    const isJson = String(answer.headers['content-type'] ?? '').includes('json')
    return { status: answer.statusCode, headers: answer.headers, text, body: isJson ? JSON.parse(text) : text }
  }
  return { bench, ports, api, app, send, log, onEvent }
}

/** A workflow in rawconfig shape: `{ 1: ['counter', { … }] }` and `1>2 2:yes>3`. */
export function rawconfig(nodes: Record<string, [string, JsonObject]>, edges = '', more: JsonObject = {}): JsonObject {
  return {
    workflow_type: 'production',
    ...more,
    nodes: Object.entries(nodes).map(([id, [node_type, form_values]]) => ({
      ...{ id: /^\d+$/.test(id) ? Number(id) : id, node_type, form_values, config: {}, x: 0, y: 0 },
    })),
    connections: edges
      .split(/\s+/)
      .filter(Boolean)
      .map((text, i) => {
        const [from = '', target_node = ''] = text.split('>')
        const [source_node = '', source_handle = null] = from.split(':')
        return { id: i + 1, source_node, target_node, source_handle }
      }),
  }
}
