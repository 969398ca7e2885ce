/**
 * The command line: words in, exit code out. 0 it worked; 1 what it ran failed; 2 it could not begin (bad usage, bad
 * input, nothing where it was pointed at). Each command lives in `commands/`; here is only what they have in common.
 */
import { Command, CommanderError } from 'commander'
import { codeOf, EngineError, type ErrorCode } from '../engine/errors.ts'
import { addCheck } from './commands/check.ts'
import type { Register } from './commands/command.ts'
import { addDaemon } from './commands/daemon.ts'
import { addDev } from './commands/dev.ts'
import { addDeadLetters } from './commands/dlq.ts'
import { addKeys } from './commands/keys.ts'
import { addNodes } from './commands/nodes.ts'
import { addPs } from './commands/ps.ts'
import { addQueue } from './commands/queue.ts'
import { addReplay } from './commands/replay.ts'
import { addReport } from './commands/report.ts'
import { addRun } from './commands/run.ts'
import { addSim } from './commands/sim.ts'
import { addTrace } from './commands/trace.ts'
import { addWishes } from './commands/wishes.ts'
import { Output } from './output.ts'
import { version } from './version.ts'

export const exitCodes = { ok: 0, failed: 1, usage: 2 } as const

/** Codes of failures that come after the work began; every other EngineError means that nothing ran. */
const failedAtWork: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['QUEUE_FULL', 'FENCED', 'DIVERGED', 'REDIS_FAILED'])

/** Runs one command line (without program and script name) and resolves to its exit code; never rejects. */
export async function runCli(argv: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.ok
  const register: Register = (command, work) => {
    command.option('--debug', 'show stack traces of errors')
    command.action(async (...words: unknown[]) => {
      const options = command.opts()
      const positional = words.slice(0, -2)
      const format = options.json === true ? 'json' : 'text'
      const out = new Output({ format, debug: options.debug === true ? 'stacks' : 'plain' })
      exitCode = await perform(out, () => work(out, positional, options))
    })
  }
  const program = buildProgram(register)
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  }
  return exitCode
}

async function perform(out: Output, work: () => Promise<number>): Promise<number> {
  const code = await attempt(out, work)
  await out.close()
  return out.failed && code === exitCodes.ok ? exitCodes.failed : code
}

async function attempt(out: Output, work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof CommanderError) throw error
    out.error(error)
    return exitCodeOf(error)
  }
}

function exitCodeOf(error: unknown): number {
  if (!(error instanceof EngineError)) return exitCodes.failed
  return failedAtWork.has(codeOf(error) as ErrorCode) ? exitCodes.failed : exitCodes.usage
}

function buildProgram(register: Register): Command {
  const program = new Command('theoneeye')
    .description('A workflow engine: one iteration is one transaction, in production and in simulation.')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help to see what it takes)')
    .addHelpText('after', '\nTry: theoneeye check FILE, theoneeye run FILE, theoneeye sim FILE --seeds 200')
  const commands = [
    addCheck,
    addRun,
    addSim,
    addReplay,
    addReport,
    addTrace,
    addDaemon,
    addDev,
    addPs,
    addWishes,
    addNodes,
    addDeadLetters,
    addQueue,
    addKeys,
  ]
  for (const add of commands) add(program, register)
  return program
}
