/**
 * `theoneeye trace to-scenario`: one recorded item as a scenario, the least that shows again what became of it: its loop
 * alone, the item, what the outside answered. It fails for as long as the item does.
 */
import { stringify } from 'yaml'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { IterationLine, TraceHeader } from '../engine/trace/trace.ts'
import { decodeAnswer } from '../engine/trace/witness.ts'
import { cutLoop, itemsQueue, readerOf, requireLoop } from './cut-loop.ts'
import { edgeText } from './edge-text.ts'
import { deadLetterKey, pathThrough } from './item-path.ts'
import { readTrace } from './read-trace.ts'
import { traceLines } from './trace-lines.ts'

export type Wanted = { item: string } | { deadLetter: string }

export type FoundIteration = { header: TraceHeader; line: IterationLine; file: string }

/** The iteration that is asked for: the one of the dead letter; of an item the one that failed, or else its last. */
export async function findIteration(files: readonly string[], wanted: Wanted): Promise<FoundIteration | undefined> {
  let found: FoundIteration | undefined
  const fits = 'item' in wanted ? await ofItem(files, wanted.item) : ofDeadLetter(wanted.deadLetter)
  for (const file of files)
    await readTrace(traceLines(file), file, header => ({
      read({ iteration: line }) {
        if (line === undefined || line.outcome.as === 'none' || !fits(line)) return
        if (found === undefined || isBetter(line, found.line)) found = { header, line, file }
      },
    }))
  return found
}

type Fits = (line: IterationLine) => boolean

async function ofItem(files: readonly string[], item: string): Promise<Fits> {
  const path = await pathThrough(files, item)
  return line => path.has(line)
}

function ofDeadLetter(id: string): Fits {
  const key = deadLetterKey(id) ?? id
  return line => line.key === key && line.outcome.as === 'failed'
}

/** What failed says more than what did not, and the last more than what came before. */
function isBetter(line: IterationLine, than: IterationLine): boolean {
  const [fails, failed] = [line.outcome.as === 'failed', than.outcome.as === 'failed']
  return fails === failed ? line.time >= than.time : fails
}

export type ScenarioOptions = {
  registry: NodeRegistry
  /** The file that is to be mended, as the scenario will name it; the recorded workflow when it is missing. */
  workflow?: string
}

/** The scenario as YAML. Throws `WORKFLOW_INVALID` when the recorded workflow can't be loaded here, `LOOP_UNKNOWN`. */
export function scenarioOf({ header, line, file }: FoundIteration, options: ScenarioOptions): string {
  const graph = requireWorkflow(header.workflow, { registry: options.registry, name: file })
  const loop = requireLoop(graph, line.loop)
  const failed = line.outcome.as === 'failed' ? line.outcome : undefined
  const where =
    options.workflow === undefined
      ? { workflow: inline(cutLoop(graph, loop)) }
      : { workflow: options.workflow, only: loop.id }
  const http = line.calls.filter(({ op }) => op === 'http').map(ruleOf)
  const files = filesOf(line)
  const why =
    failed === undefined
      ? `What became of one item in loop "${loop.id}" (iteration ${line.iteration} of ${line.run}).`
      : `Node "${failed.node}" failed: ${failed.error.message.slice(0, 300)} (loop "${loop.id}", iteration ${line.iteration} of ${line.run}).`
  const scenario = {
    why,
    ...where,
    arrivals: [{ queue: itemsQueue, items: [itemOf(line, readerOf(loop))] }],
    ...(http.length === 0 ? {} : { http }),
    ...(Object.keys(files).length === 0 ? {} : { files }),
    must: { dead_letters: 0, iterations: { [readerOf(loop)]: 1 } },
  }
  return `# Made by: theoneeye trace to-scenario. It holds once the item goes through.\n${stringify(scenario, { lineWidth: 120 })}`
}

/** What the producer of the loop handed on. */
function itemOf({ entry, steps }: IterationLine, producer: string): JsonObject {
  const data = { ...(entry?.item.data ?? {}) }
  const [first] = steps
  if (first?.at !== producer || first.did !== 'complete') return data
  for (const key of first.unset) delete data[key]
  return { ...data, ...first.set }
}

function ruleOf({ ask, answer, error }: IterationLine['calls'][number]): JsonObject {
  const { method, url } = ask as { method: string; url: string }
  const request = `${method} ${url}`
  if (error !== undefined) return { request, error: error.message }
  const { status, headers, body } = (answer ?? {}) as { status?: number; headers?: JsonObject; body?: string }
  return {
    request,
    ...(status === undefined ? {} : { status }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
  }
}

/** What was read from the beginning of files, as texts. */
function filesOf({ calls }: IterationLine): Record<string, string> {
  const reads = calls.filter(({ op, ask, answer }) => op === 'read' && ask.offset === 0 && typeof answer === 'string')
  const textOf = (answer: Json | undefined): string => new TextDecoder().decode(decodeAnswer('read', answer ?? null))
  return Object.fromEntries(reads.map(({ ask, answer }) => [String(ask.path), textOf(answer)]))
}

/** As scenarios write a workflow. */
function inline({ nodes, edges, settings = {}, env = {} }: JsonObject): JsonObject {
  const plain = (nodes as { id: string; type: string; data: { form: JsonObject; config?: JsonObject } }[]).map(
    ({ id, type, data }) => ({
      id,
      type,
      form: data.form,
      ...(Object.keys(data.config ?? {}).length === 0 ? {} : { config: data.config as JsonObject }),
    }),
  )
  const lines = (edges as JsonObject[]).map(edgeText)
  return { nodes: plain, edges: lines, settings, env }
}
