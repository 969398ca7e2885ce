/** `run FILE` for a workflow of type `api`: one request, answered on stdout; a failure is exit code 1. */
import { readFile } from 'node:fs/promises'
import { EngineError, messageOf } from '../../engine/errors.ts'
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import type { Json } from '../../engine/json.ts'
import { parseJsonText } from '../../engine/node/json-text.ts'
import type { Ports } from '../../engine/ports.ts'
import { type ApiAnswer, ApiRunner, unwrapInput } from '../../engine/run/api-runner.ts'
import type { TraceSink } from '../../engine/trace/trace.ts'
import type { Output } from '../output.ts'

export type ApiJob = {
  out: Output
  graph: FlowGraph
  ports: Ports
  /** As --input gives it: JSON, or @FILE. */
  input: string | undefined
  /** seconds */
  timeout?: number
  record?: TraceSink | undefined
}

export async function runApi({ out, graph, ports, input, timeout, record }: ApiJob): Promise<number> {
  const asked = unwrapInput(await readInput(input))
  const stop = new AbortController()
  const interrupt = (): void =>
    stop.abort(new EngineError('ITERATION_ABORTED', 'The request was aborted: interrupted by a signal'))
  const runner = new ApiRunner({ graph, ports, onEvent: event => out.json(event), record })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt)
  try {
    const bound = timeout === undefined ? {} : { timeoutMs: timeout * 1000 }
    const answer = await runner.execute({ ...asked, ...bound, signal: stop.signal })
    tell(out, graph, answer)
    return answer.success ? 0 : 1
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt)
  }
}

function tell(out: Output, graph: FlowGraph, answer: ApiAnswer): void {
  const { workflow_id, execution_time_ms, run } = answer
  out.json({ type: 'answer', ...answer })
  const counts = { iterations: 1, failed: answer.success ? 0 : 1, dead_letters: 0 }
  const loops = Object.fromEntries(graph.loops.map(({ id }) => [id, counts]))
  const status = answer.success ? 'completed' : 'failed'
  out.json({ type: 'summary', workflow_id, run, status, duration: execution_time_ms / 1000, loops })
  if (answer.success) out.text(JSON.stringify(answer.response?.body ?? answer.output, null, 2))
  else out.error(new EngineError('NODE_FAILED', failureInWords(answer)))
}

function failureInWords({ node_id, error, workflow_id }: Extract<ApiAnswer, { success: false }>): string {
  const where = node_id === null ? '' : ` at node "${node_id}"`
  return `The request of workflow "${workflow_id}" failed${where}: ${error}`
}

async function readInput(text: string | undefined): Promise<Json> {
  if (text === undefined) return {}
  const source = text.startsWith('@') ? await readFile(text.slice(1), 'utf8').catch(unreadable) : text
  const parsed = parseJsonText(source)
  if (parsed.fault === undefined) return parsed.value
  throw new EngineError('USAGE', `Cannot use --input: it ${parsed.fault.message}; give JSON, or @FILE`)
}

function unreadable(error: unknown): never {
  throw new EngineError('USAGE', `Cannot read --input: ${messageOf(error)}; name a file after the @`)
}
