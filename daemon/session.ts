/**
 * What nearly every command needs before it can begin: the node registry, a workflow file, a Redis. Whatever fails
 * here means that nothing ran, which is exit code 2.
 */
import { readFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import { defaultRegistry, type NodeRegistry } from '../engine/node/node-registry.ts'
import type { Log, Redis } from '../engine/ports.ts'
import { allScripts } from '../engine/store/scripts/index.ts'
import { loadCustomNodes } from './custom-nodes.ts'
import type { Output } from './output.ts'
import { systemClock } from './system-ports.ts'

/** Options that mean the same for every command that has them. */
export type CommonOptions = { redis?: string; nodes?: string; data: string; json?: boolean; debug?: boolean }

/** `edition`: see `loadCustomNodes`. */
export async function openRegistry(options: { nodes?: string | undefined }, edition = ''): Promise<NodeRegistry> {
  return defaultRegistry(options.nodes === undefined ? [] : await loadCustomNodes(options.nodes, edition))
}

/** The text of a workflow file, and the name that serves as its id when it has none. Rejects with `USAGE`. */
export async function readWorkflowFile(path: string): Promise<{ source: string; name: string }> {
  try {
    return { source: await readFile(path, 'utf8'), name: basename(path, extname(path)) }
  } catch (error) {
    const reasons: Record<string, string> = { ENOENT: 'there is no such file', EISDIR: 'it is a directory' }
    const reason = reasons[codeOf(error) ?? ''] ?? messageOf(error)
    throw new EngineError('USAGE', `Cannot read workflow "${path}": ${reason}; name a workflow file (JSON)`)
  }
}

/** Rejects with `WORKFLOW_INVALID`, listing every problem of the file. */
export async function openWorkflow(path: string, options: { nodes?: string }): Promise<FlowGraph> {
  const registry = await openRegistry(options)
  const { source, name } = await readWorkflowFile(path)
  return requireWorkflow(source, { registry, name })
}

/** WORKFLOW on the command line, an id or a file that has one, as an id. */
export async function findWorkflow(word: string, options: { nodes?: string }): Promise<{ id: string }> {
  if (!/\.json$/i.test(word)) return { id: word }
  const { workflow } = await openWorkflow(word, options)
  return { id: workflow.id }
}

/** The Redis of `--redis`, or the embedded one; closed again whatever happens. */
export async function withRedis<T>(options: CommonOptions, out: Output, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = await openRedis(options, out.log)
  try {
    return await use(redis)
  } finally {
    await redis.close()
  }
}

/** Loads only the one that is asked for: half of the time a short command takes is loading code. */
async function openRedis(options: CommonOptions, log: Log): Promise<Redis> {
  if (options.redis !== undefined) return (await import('./redis.ts')).connectRedis(options.redis)
  const { openEmbeddedRedis } = await import('./embedded-redis.ts')
  return openEmbeddedRedis({ dir: options.data, clock: systemClock(), scripts: allScripts, log })
}
