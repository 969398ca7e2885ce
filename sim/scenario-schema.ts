/** The form of a scenario file, and where in it something is wrong: YAML positions for what zod complains about. */
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { EngineError } from '../engine/errors.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import { allFaultKinds, type FaultKind } from './faults.ts'
import { callSchema } from './scenario-calls.ts'

const json: z.ZodType<Json> = z.json() as z.ZodType<Json>
const object = z.record(z.string(), json) as unknown as z.ZodType<JsonObject>
const count = z.number().int().min(0)
const time = z.union([
  z.number().min(0),
  z.string().regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'must be a number of milliseconds, or a text such as 500ms, 3s, 2m, 1h'),
])
const kind = z.enum(allFaultKinds as [FaultKind, ...FaultKind[]], {
  error: issue => `there is no kind of fault ${JSON.stringify(issue.input)}; there are ${allFaultKinds.join(', ')}`,
})

const exactFault = z.strictObject({
  kind,
  /** The operation that it hits, of which loop, and the how-manieth of these, from 1. */
  op: z.string(),
  loop: z.string().default(''),
  n: z.number().int().min(1).default(1),
  ms: z.number().optional(),
  percent: z.number().optional(),
  /** For how many of the items, of faults that hit nodes. */
  odds: z.number().min(0).max(1).optional(),
})

const node = z.strictObject({
  id: z.string(),
  type: z.string(),
  form: object.default({}),
  config: object.optional(),
})

const inline = z.strictObject({
  type: z.enum(['production', 'api']).optional(),
  nodes: z.array(node).min(1),
  edges: z.array(z.string().regex(/^\S+ > \S+( : \S+)?$/, 'must be "FROM > TO", or "FROM > TO : BRANCH"')).default([]),
  settings: object.optional(),
  env: object.optional(),
})

const amount = z.union([count, z.array(json)])

export const scenarioSchema = z.strictObject({
  why: z.string().min(1),
  workflow: z.union([z.string(), inline], { error: 'must be the path of a workflow file, or { nodes, edges, … }' }),
  /** A loop: only it lives, and its items come from the queue `items` (see cut-loop.ts). */
  only: z.string().optional(),
  arrivals: z
    .array(z.strictObject({ queue: z.string(), at: time.default(0), items: z.array(object).min(1) }))
    .default([]),
  /** What people ask over HTTP; without any, what is drawn. */
  calls: z.array(callSchema(time)).default([]),
  http: z
    .array(
      z.strictObject({
        request: z.string().regex(/^(\*|[A-Z]+) \S+$/, 'must be "METHOD URL"; the URL may end in *'),
        status: z.number().int().min(100).max(599).optional(),
        headers: z.record(z.string(), z.string()).optional(),
        body: json.optional(),
        error: z.string().optional(),
      }),
    )
    .default([]),
  files: z.record(z.string(), z.string()).default({}),
  faults: z.union([z.enum(['all', 'none']), z.array(z.union([kind, exactFault]))]).default('none'),
  settings: z
    .strictObject({
      latencyMsMax: z.number().min(1),
      fsyncMs: z.number().min(1),
      comebackMsMax: z.number().min(1),
      elsewhere: z.number().min(0).max(1),
      instances: z.number().int().min(1).max(9),
      lagMs: z.number().min(0),
      faultsUntilMs: z.number().min(0),
    })
    .partial()
    .default({}),
  seeds: z.number().int().min(1).max(1_000).default(1),
  must: z
    .strictObject({
      queues: z.record(z.string(), amount),
      dead_letters: z.union([count, z.record(z.string(), amount)]),
      files: z.record(z.string(), amount),
      iterations: z.record(z.string(), count),
    })
    .partial(),
})

export type Scenario = z.infer<typeof scenarioSchema>

/** Reads a scenario. Throws `USAGE` with line and column of each problem. */
export function parseScenario(text: string, file: string): Scenario {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `line ${line}, column ${col}`
  }
  const fail = (problems: readonly string[]): never => {
    const shown = problems.map(problem => `\n  ${problem}`).join('')
    throw new EngineError('USAGE', `Cannot read scenario "${file}":${shown}`, { details: problems })
  }
  if (document.errors.length > 0) fail(document.errors.map(({ pos, message }) => `${at(pos[0])}: ${message}`))
  const result = scenarioSchema.safeParse(document.toJS())
  if (result.success) return result.data
  const problems = result.error.issues
    .flatMap(issue => flatten(issue))
    .map(({ path, message }) => {
      const name = path.length === 0 ? '' : `${path.join('/')}: `
      return `${at(offsetOf(document, path))}: ${name}${message}`
    })
  return fail(problems)
}

type Place = { path: PropertyKey[]; message: string }

/** Of a union, what its likeliest branch says: the one that got furthest. */
function flatten(issue: z.core.$ZodIssue, above: readonly PropertyKey[] = []): Place[] {
  const path = [...above, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({ path: [...path, key], message: 'there is no such key here' }))
  }
  if (issue.code !== 'invalid_union') return [{ path, message: issue.message }]
  const depth = (issues: readonly z.core.$ZodIssue[]): number => Math.max(0, ...issues.map(each => each.path.length))
  const furthest = [...issue.errors].sort((a, b) => depth(b) - depth(a))[0] ?? []
  const isDeep = depth(furthest) > 0 || furthest.some(each => each.code === 'unrecognized_keys')
  if (isDeep) return furthest.flatMap(each => flatten(each, path))
  const own = issue.message === 'Invalid input' ? (furthest[0]?.message ?? issue.message) : issue.message
  return [{ path, message: own }]
}

/** Where a value begins, or the nearest one around it that there is. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const node = document.getIn(path.slice(0, depth), true) as { range?: [number, number, number] } | undefined
    if (node?.range !== undefined) return node.range[0]
  }
  return document.contents?.range?.[0] ?? 0
}

/** Milliseconds. */
export function readTime(text: string | number): number {
  if (typeof text === 'number') return text
  const [, number = '', unit = 'ms'] = /^([\d.]+)(\w+)$/.exec(text) ?? []
  return Number(number) * ({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit] as number)
}
