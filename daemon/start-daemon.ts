/** The daemon as a library (`theoneeye/daemon`): the same as the command, without its process. */
import type { WorkflowStatus } from '../engine/flow-daemon.ts'
import type { EventSink } from '../engine/trace/events.ts'
import { type ConfigInput, completeConfig } from './config.ts'
import type { Readiness } from './routes-health.ts'
import { type DaemonEnd, launchDaemon } from './running-daemon.ts'
import { type LeveledLog, pinoLog } from './system-ports.ts'

export type StartDaemonOptions = {
  /** What relative paths are relative to; default: the working directory. */
  cwd?: string
  /** Default: JSON lines on stdout. */
  log?: LeveledLog
  /** Every event of every workflow (the shapes of `run --json`). Must not throw. */
  onEvent?: EventSink
}

/** A daemon whose loops run. Methods never reject. */
export interface Daemon {
  /** Where health and metrics are: `http://127.0.0.1:7878`. */
  readonly url: string
  /** Settles when it has stopped or was killed. */
  readonly done: Promise<DaemonEnd>
  /** What each workflow and loop is doing here. */
  status(): WorkflowStatus[]
  /** What `/health/ready` says. */
  readiness(): Readiness
  /** Reads the workflow files again; what has changed is drained and replaced, the rest goes on. */
  reload(): Promise<void>
  /** Drains (at most the workflows' `drain_timeout_seconds`), then closes everything. */
  stop(): Promise<void>
  /** Closes everything at once; what was under way is recovered at the next start. */
  kill(): Promise<void>
}

/**
 * Starts a daemon in this process; resolves when its loops run. It catches no signals: call `stop` from yours.
 * Errors: CONFIG_INVALID, USAGE (a folder or address that can't be used), WORKFLOW_INVALID (not one file can be loaded),
 * REDIS_UNAVAILABLE, REDIS_AUTH, REDIS_UNSUITABLE, SCHEMA_TOO_NEW, JOURNAL_LOCKED and other JOURNAL_… .
 *
 * @example
 * const daemon = await startDaemon({ workflows: './workflows', listen: '127.0.0.1:0', log: { level: 'warn' } })
 * process.once('SIGTERM', () => void daemon.stop())
 * console.log(`health at ${daemon.url}/health/ready`)
 * await daemon.done
 */
export async function startDaemon(config: ConfigInput = {}, options: StartDaemonOptions = {}): Promise<Daemon> {
  const complete = await completeConfig(config, options.cwd ?? process.cwd())
  const log = options.log ?? pinoLog({ level: complete.log.level })
  return launchDaemon(complete, { log, onEvent: options.onEvent })
}
