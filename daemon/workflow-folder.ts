/**
 * The folder of workflow files: authoritative for what they define (spec 4.4). All of them are read every time, and every
 * problem of every file is found; a broken file never keeps the others from running.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { type HostSettings, loadWorkflow } from '../engine/graph/load-workflow.ts'
import { formatProblem } from '../engine/graph/problems.ts'
import { isJsonObject, type JsonObject } from '../engine/json.ts'
import { parseJsonText } from '../engine/node/json-text.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { readWorkflowFile } from './session.ts'

/** `file` is its name in the folder; `problems` and `warnings` are lines for people. */
export type WorkflowFile = {
  file: string
  /** What stands in it, when that is a JSON object. */
  json?: JsonObject
  graph: FlowGraph | undefined
  problems: string[]
  warnings: string[]
}
export type ReadOptions = { registry: NodeRegistry; host: HostSettings }

/** The files `*.json` of the folder, hidden ones left out, by name. Rejects with `USAGE` when the folder can't be read. */
export async function readWorkflowFolder(dir: string, options: ReadOptions): Promise<WorkflowFile[]> {
  const names = await readdir(dir).catch(error => {
    const reasons: Record<string, string> = { ENOENT: 'it does not exist', ENOTDIR: 'it is no folder' }
    const why = reasons[codeOf(error) ?? ''] ?? messageOf(error)
    const advice = 'make it, or set "workflows" to the folder of your workflow files'
    throw new EngineError('USAGE', `Cannot read the workflows folder "${dir}": ${why}; ${advice}`)
  })
  const wanted = names.filter(isWorkflowFile).sort()
  return refuseTwins(await Promise.all(wanted.map(name => readOne(dir, name, options))))
}

/** Also in a folder where a project has its own JSON. */
export function isWorkflowFile(name: string): boolean {
  return (
    name.endsWith('.json') && !name.startsWith('.') && !/^(package(-lock)?|[jt]sconfig(\..*)?|biome)\.json$/.test(name)
  )
}

/** What shall run now: the sound files; and where a file is broken, what it last held. */
export function chooseGraphs(
  files: readonly WorkflowFile[],
  before: ReadonlyMap<string, FlowGraph>,
): Map<string, FlowGraph> {
  const chosen = new Map<string, FlowGraph>()
  for (const { file, graph } of files) if (graph !== undefined) chosen.set(file, graph)
  const taken = new Set([...chosen.values()].map(graph => graph.workflow.id))
  for (const { file, graph } of files) {
    const old = before.get(file)
    if (graph === undefined && old !== undefined && !taken.has(old.workflow.id)) chosen.set(file, old)
  }
  return chosen
}

/** The same, with the old graph wherever the engine refused the new one: so that the next reload tries again. */
export function withoutRefused(
  chosen: ReadonlyMap<string, FlowGraph>,
  before: ReadonlyMap<string, FlowGraph>,
  refused: ReadonlySet<string>,
): Map<string, FlowGraph> {
  const old = new Map([...before.values()].map(graph => [graph.workflow.id, graph]))
  const entries = [...chosen].map(([file, graph]): [string, FlowGraph] => {
    const { id } = graph.workflow
    return [file, refused.has(id) ? (old.get(id) ?? graph) : graph]
  })
  return new Map(entries)
}

async function readOne(dir: string, file: string, { registry, host }: ReadOptions): Promise<WorkflowFile> {
  try {
    const { source, name } = await readWorkflowFile(join(dir, file))
    const { graph, problems, warnings } = loadWorkflow(source, { registry, name, host })
    const { value } = parseJsonText(source.replace(/^\ufeff/, ''))
    return {
      file,
      ...(isJsonObject(value) ? { json: value } : {}),
      graph,
      problems: problems.map(formatProblem),
      warnings: warnings.map(formatProblem),
    }
  } catch (error) {
    return { file, graph: undefined, problems: [messageOf(error)], warnings: [] }
  }
}

/** Two files of one id: nobody can say which of them is meant, so neither is loaded. */
function refuseTwins(files: WorkflowFile[]): WorkflowFile[] {
  return files.map(each => {
    const id = each.graph?.workflow.id
    const twins = files.filter(other => other !== each && other.graph?.workflow.id === id)
    if (id === undefined || twins.length === 0) return each
    const others = twins.map(({ file }) => `"${file}"`).join(', ')
    const problem = `/id: "${id}" is also the id of ${others}; give each workflow an id of its own`
    return { ...each, graph: undefined, problems: [problem] }
  })
}

/** One broken file is said and left out; when none is whole, something is wrong with the folder or the version. */
export function refuseAllBroken(files: readonly WorkflowFile[]): void {
  if (files.length === 0 || files.some(({ graph }) => graph !== undefined)) return
  const lines = files.flatMap(({ file, problems }) => problems.map(problem => `\n  ${file}: ${problem}`))
  throw new EngineError('WORKFLOW_INVALID', `Cannot start: no workflow file can be loaded:${lines.join('')}`)
}

/** What was said of a file before is not said again. */
export function isNews(file: WorkflowFile, before: readonly WorkflowFile[]): boolean {
  const said = before.find(old => old.file === file.file)
  return JSON.stringify([said?.problems, said?.warnings]) !== JSON.stringify([file.problems, file.warnings])
}
