/** A workflow that can be simulated: loaded, with the files it reads, and with what the reference makes of it. */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import type { JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { isEndless } from './calls.ts'
import { type Expected, expectedEffects } from './expected.ts'

/** What a subject is made of: data, so that a worker can be handed it. */
export type Source = {
  name: string
  workflow: JsonObject
  files: Record<string, string>
  /** Each seed makes a workflow of its own; this one only stands for them. */
  perSeed?: true
  /** A reference that takes more has no end; many thousands unless told otherwise. */
  iterationsMax?: number
}

export type Subject = Source & {
  graph: FlowGraph
  expected: Expected | undefined
}

/** Rejects with `WORKFLOW_INVALID`. */
export async function loadSubject(source: Source, registry: NodeRegistry): Promise<Subject> {
  const graph = requireWorkflow(source.workflow, { registry, name: source.name })
  // what is asked of an endless one is not in the source, so there is nothing to expect yet
  const expected = isEndless(graph) ? undefined : expectedEffects(graph, source.files, source.iterationsMax)
  return { ...source, graph, expected }
}

/** The files that a workflow's readers name outright: what a host must hand over. */
export function filesRead(workflow: JsonObject): string[] {
  const paths = [...JSON.stringify(workflow).matchAll(/"file_path":"((?:[^"\\]|\\.)*)"/g)]
  const named = paths.map(([, text]) => JSON.parse(`"${text}"`) as string)
  return [...new Set(named)].filter(path => !path.includes('{{') && !path.startsWith('/') && !path.includes('..'))
}
