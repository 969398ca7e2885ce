/** Replays many files of traces, in as many threads as the machine has cores; what they give is told in the order of the files. */
import { availableParallelism } from 'node:os'
import { EngineError, type ErrorCode } from '../engine/errors.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { RegistryModule } from './registry-module.ts'
import { type FileReport, type ReplayTask, replayFile } from './replay-file.ts'
import { openThreads } from './workers.ts'

export type WorkerTask = ReplayTask & { registry: RegistryModule }
/** An error comes as data: an `EngineError` would arrive without its code. */
export type WorkerAnswer = { report: FileReport } | { code: ErrorCode; message: string }

/** Rejects with the first error, in the order of the files; what comes before it was told. */
export async function replayAll(
  tasks: readonly ReplayTask[],
  how: { registry: NodeRegistry; registryModule?: RegistryModule },
  tell: (task: ReplayTask, report: FileReport) => void,
): Promise<void> {
  const threads = Math.min(tasks.length, availableParallelism())
  if (threads < 2 || how.registryModule === undefined) {
    for (const task of tasks) tell(task, await replayFile(task, how.registry))
    return
  }
  const registry = how.registryModule
  const pool = openThreads<WorkerTask, WorkerAnswer>(new URL('./replay-worker.js', import.meta.url), threads)
  try {
    const answers = tasks.map(task => pool.run({ ...task, registry }))
    // whoever is not waited for yet may fail first
    for (const answer of answers) answer.catch(() => undefined)
    for (const [i, task] of tasks.entries()) {
      const answer = (await answers[i]) as WorkerAnswer
      if ('code' in answer) throw new EngineError(answer.code, answer.message)
      tell(task, answer.report)
    }
  } finally {
    await pool.destroy()
  }
}
