/** `check FILE…`: loads workflows without running them, and says everything that is wrong with them at once. */
import type { FlowGraph, Problem } from '../../engine/graph/flow-graph.ts'
import { loadWorkflow } from '../../engine/graph/load-workflow.ts'
import type { NodeRegistry } from '../../engine/node/node-registry.ts'
import type { Output } from '../output.ts'
import { openRegistry, readWorkflowFile } from '../session.ts'
import { type AddCommand, withJson, withNodes } from './command.ts'

type Checked = { graph: FlowGraph | undefined; problems: Problem[]; warnings: readonly Problem[] }
type Options = { nodes?: string }

export const addCheck: AddCommand = (program, register) => {
  const command = program
    .command('check')
    .description('load workflows; print all problems, or a summary of loops and queues')
    .argument('<files...>', 'workflow files (JSON)')
  register(withNodes(withJson(command)), (out, [files], options) => check(out, files, options))
}

async function check(out: Output, files: string[], options: Options): Promise<number> {
  const registry = await openRegistry(options)
  let broken = 0
  for (const file of files) {
    const checked = await checkFile(file, registry)
    if (checked.graph === undefined) broken += 1
    if (out.format === 'json') printJson(out, checked, files.length > 1 ? { file } : {})
    else printText(out, file, checked)
  }
  return broken > 0 ? 2 : 0
}

/** A file that cannot be read is a problem like any other, so that the files after it are checked too. */
async function checkFile(file: string, registry: NodeRegistry): Promise<Checked> {
  try {
    const { source, name } = await readWorkflowFile(file)
    return loadWorkflow(source, { registry, name })
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return {
      graph: undefined,
      problems: [{ pointer: '', code: 'FILE_UNREADABLE', message: error.message }],
      warnings: [],
    }
  }
}

function printJson(out: Output, checked: Checked, where: { file?: string }): void {
  for (const { pointer, code, message, hint } of checked.problems) {
    out.json({ type: 'problem', ...where, pointer, code, message, ...(hint === undefined ? {} : { hint }) })
  }
  const loops = checked.graph?.loops ?? []
  const queues = checked.graph?.queues ?? []
  out.json({
    type: 'summary',
    ...where,
    ok: checked.graph !== undefined,
    loops: loops.map(loop => ({
      id: loop.id,
      producer_type: loop.producerType,
      nodes: loop.nodes.map(node => node.id),
      pool: loop.pool,
      replicas: loop.replicas,
      background: loop.background,
    })),
    queues: queues.map(queue => ({ name: queue.name, writers: queue.writers, readers: queue.readers })),
    warnings: checked.warnings,
  })
}

function printText(out: Output, file: string, { graph, problems, warnings }: Checked): void {
  if (graph === undefined) {
    out.note(`${file}: ${count(problems.length, 'problem')}`)
    for (const problem of problems) out.note(`  ${line(problem)}`)
  } else {
    const { workflow, loops, queues } = graph
    const parts = [count(loops.length, 'loop'), count(queues.length, 'queue'), count(graph.nodes.size, 'node')]
    out.text(`${file}: workflow ${out.bold(workflow.id)} (${workflow.type}) is fine: ${parts.join(', ')}`)
    const rows = loops.map(loop => {
      const kind = loop.background ? 'background' : loop.producerType
      return [`  ${loop.id}`, kind, loop.nodes.length, loop.pool, loop.replicas, loop.sources.join(', ')]
    })
    out.table(['  loop', 'producer', 'nodes', 'pool', 'replicas', 'reads'], rows)
  }
  for (const warning of warnings) out.note(`  warning: ${line(warning)}`)
}

function line({ pointer, message, hint }: Problem): string {
  return `${pointer === '' ? '' : `${pointer}: `}${message}${hint === undefined ? '' : ` (${hint})`}`
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`
}
