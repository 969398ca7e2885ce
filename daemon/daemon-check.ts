/** `daemon --check`: all that could keep the daemon from starting, or lose data later, found without running anything. */
import { codeOf, messageOf } from '../engine/errors.ts'
import type { DaemonConfig, LoadedConfig } from './config.ts'
import { openDaemonRedis } from './daemon-redis.ts'
import type { Output } from './output.ts'
import { parseRedisUrl } from './redis-url.ts'
import { requireAnyKey } from './routes-guard.ts'
import { openRegistry } from './session.ts'
import { systemClock } from './system-ports.ts'
import { readWorkflowFolder } from './workflow-folder.ts'

/** Prints what was found; 0, or 2 when something is wrong. Rejects when the configuration itself is. */
export async function checkDaemon(out: Output, load: () => Promise<LoadedConfig>): Promise<number> {
  const { config, warnings, path } = await load()
  out.text(`configuration: ${path ?? 'none, all defaults'}`)
  for (const warning of warnings) out.note(`warning: ${warning}`)
  out.text(`  listens at ${config.listen}, workflows in ${config.workflows}, files in ${config.files}`)
  const isSound = [
    await tryOut(out, () => checkWorkflows(out, config)),
    await tryOut(out, () => checkStore(out, config)),
  ]
  return isSound.every(Boolean) ? 0 : 2
}

/** One thing that fails must not hide the next. */
async function tryOut(out: Output, look: () => Promise<boolean>): Promise<boolean> {
  try {
    return await look()
  } catch (error) {
    out.error(error)
    return false
  }
}

async function checkWorkflows(out: Output, config: DaemonConfig): Promise<boolean> {
  const registry = await openRegistry(config)
  const files = await readWorkflowFolder(config.workflows, { registry, host: {} })
  for (const { file, graph, problems, warnings } of files) {
    if (graph === undefined) for (const problem of problems) out.note(`${file}: ${problem}`)
    else out.text(`${file}: workflow "${graph.workflow.id}", loops: ${graph.loops.map(({ id }) => id).join(', ')}`)
    for (const warning of warnings) out.note(`${file}: warning: ${warning}`)
  }
  if (files.length === 0) out.note(`warning: there are no workflow files (*.json) in ${config.workflows}`)
  return files.every(({ graph }) => graph !== undefined)
}

async function checkStore(out: Output, config: DaemonConfig): Promise<boolean> {
  const where = config.redis === undefined ? `embedded, in ${config.data}` : parseRedisUrl(config.redis).where
  out.text(`Redis: ${where}`)
  const quiet = { write: () => undefined }
  const opened = await openDaemonRedis(config, { clock: systemClock(), log: quiet }).catch(error => {
    // the daemon that runs has it: nothing is wrong
    if (codeOf(error) !== 'JOURNAL_LOCKED') throw error
    out.note(`  warning: cannot look into it while it is used: ${messageOf(error)}`)
  })
  if (opened === undefined) return true
  const { redis, findings } = opened
  const keys = await requireAnyKey(redis, config).then(
    () => undefined,
    error => error as Error,
  )
  await redis.close().catch(error => out.note(`warning: ${messageOf(error)}`))
  for (const { level, message } of findings) {
    if (level === 'info') out.text(`  ${message}`)
    else out.note(`  warning: ${message}`)
  }
  if (keys !== undefined) throw keys
  return true
}
