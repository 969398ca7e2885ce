/** `daemon`: the production daemon, its check before anything runs, and its systemd unit. */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { LoadConfigOptions, LoadedConfig } from '../config.ts'
import type { Output } from '../output.ts'
import { systemdUnit } from '../systemd-unit.ts'
import { type AddCommand, withNodes } from './command.ts'

type Options = { config?: string; check?: boolean; redis?: string; nodes?: string; data?: string }

export const addDaemon: AddCommand = (program, register) => {
  const command = program
    .command('daemon')
    .description('the production daemon: runs all workflows of a folder until SIGTERM, which drains')
    .option('--config <file>', 'the configuration (default: theoneeye.yaml, if it is there)')
    .option('--check', 'look at configuration, workflows and Redis, say what is wrong and what could be lost, and exit')
    .option('--redis <url>', 'a Redis server, instead of the configured one')
    .option('--data <dir>', 'where the embedded Redis keeps its journal')
    .addHelpText(
      'after',
      '\nSignals: TERM and INT drain (again to kill), HUP reloads, USR2 switches debug logs on and off.',
    )
  register(withNodes(command), (out, _words, options: Options) => {
    const { config, redis, nodes, data } = options
    const load = () => readConfig({ path: config, env: process.env, given: { redis, nodes, data } })
    return options.check === true ? check(out, load) : serve(load)
  })
  const install = command
    .command('install')
    .description('print a systemd unit for the daemon')
    .requiredOption('--print', 'print it on stdout; nothing is written anywhere')
  register(install, (out, _words, _options) => printUnit(out, command.opts<Options>().config))
}

async function printUnit(out: Output, path: string | undefined): Promise<number> {
  const config = resolve(path ?? '/etc/theoneeye/theoneeye.yaml')
  const loaded = await readConfig({ path: config, env: {} }).catch(() => undefined)
  if (loaded === undefined)
    out.note(`warning: ${config} cannot be read or has problems; see: theoneeye daemon --check --config ${config}`)
  const program = realpathSync(process.argv[1] as string)
  const drainSeconds = loaded?.config.drain_timeout_seconds ?? 30
  out.text(systemdUnit({ node: process.execPath, program, config, drainSeconds }).trimEnd())
  return 0
}

async function readConfig(options: Omit<LoadConfigOptions, 'cwd'>): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config.ts')
  return loadConfig({ ...options, cwd: process.cwd() })
}

/** Loaded only where it is needed: an HTTP server is nothing to wait for before `check` says its word. */
async function serve(load: () => Promise<LoadedConfig>): Promise<number> {
  const { runService } = await import('../service.ts')
  return runService(load, process.env)
}

async function check(out: Output, load: () => Promise<LoadedConfig>): Promise<number> {
  const { checkDaemon } = await import('../daemon-check.ts')
  return checkDaemon(out, load)
}
