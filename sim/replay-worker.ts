/** One thread of replay-all.ts. */
import { EngineError } from '../engine/errors.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { openRegistryOf } from './registry-module.ts'
import type { WorkerAnswer, WorkerTask } from './replay-all.ts'
import { replayFile } from './replay-file.ts'

/** All tasks of a thread name the same one. */
let registry: Promise<NodeRegistry> | undefined

export default async function work(task: WorkerTask): Promise<WorkerAnswer> {
  try {
    registry ??= openRegistryOf(task.registry)
    return { report: await replayFile(task, await registry) }
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    return { code: error.code, message: error.message }
  }
}
