/**
 * The daemon of `theoneeye dev`, and what it says to whoever looks at the terminal. Workflow files are taken over by the
 * daemon itself; node classes cannot be replaced in a process that runs them, so when one has changed the daemon drains and
 * another takes its place, on the same port and the same data. Classes that can't be loaded are told, and the old ones go on.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EngineError, messageOf } from '../engine/errors.ts'
import type { JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { LogLevel } from '../engine/ports.ts'
import { completeConfig, type DaemonConfig } from './config.ts'
import { watchFolder } from './folder-watch.ts'
import { isLoopback, parseListen } from './listen.ts'
import type { Output } from './output.ts'
import { launchDaemon, type RunningDaemon } from './running-daemon.ts'
import { openRegistry } from './session.ts'
import { type LeveledLog, systemClock } from './system-ports.ts'

export type DevPlace = { dir: string; listen: string; files: string; data: string; nodes?: string }

export class DevDaemon {
  readonly #out: Output
  readonly #place: DevPlace
  readonly #log: LeveledLog
  readonly #ending = new AbortController()
  #daemon: RunningDaemon | undefined
  #registry: NodeRegistry | undefined
  #editions = 0

  constructor(out: Output, place: DevPlace) {
    this.#out = out
    this.#place = place
    this.#log = devLog(out)
  }

  /** Until `end`; resolves to the exit code. Rejects when it cannot begin. */
  async run(): Promise<number> {
    const config = await this.#configure()
    this.#registry = await openRegistry(config)
    await this.#launch(config)
    this.#welcome(config)
    if (config.nodes !== undefined) this.#watchNodes(config, config.nodes)
    for (;;) {
      const daemon = this.#daemon as RunningDaemon
      const end = await daemon.done
      if (this.#ending.signal.aborted || end === 'killed') return end === 'stopped' ? 0 : 1
      await this.#launch({ ...config, listen: listenOf(daemon.url) })
    }
  }

  /** Drains; the second time it waits for nothing. */
  end(): void {
    if (this.#ending.signal.aborted) void this.#daemon?.kill()
    else void this.#daemon?.stop()
    this.#ending.abort()
  }

  async #launch(config: DaemonConfig): Promise<void> {
    this.#daemon = await launchDaemon(config, {
      log: this.#log,
      purpose: 'development',
      registry: this.#registry as NodeRegistry,
    })
    if (this.#ending.signal.aborted) void this.#daemon.stop()
  }

  async #configure(): Promise<DaemonConfig> {
    const { dir, listen, files, data, nodes } = this.#place
    if (!existsSync(dir)) throw new EngineError('USAGE', `Cannot serve "${dir}": it does not exist; name a folder`)
    const { host } = parseListen(listen)
    if (!isLoopback(host)) {
      throw new EngineError('USAGE', `Cannot listen at ${listen}: dev is for this machine only; use 127.0.0.1`)
    }
    const inside = (name: string): string | undefined => [join(dir, name)].find(existsSync)
    const chosen = nodes ?? inside('nodes')
    const workflows = inside('workflows') ?? dir
    const input = { workflows, files, data, listen, ...(chosen === undefined ? {} : { nodes: resolve(chosen) }) }
    return await completeConfig(input, process.cwd())
  }

  #watchNodes(config: DaemonConfig, dir: string): void {
    watchFolder({
      dir,
      wants: name => /\.[mc]?[jt]s$/.test(name) && !name.startsWith('.'),
      clock: systemClock(),
      signal: this.#ending.signal,
      onChange: () => void this.#takeOverNodes(config),
      onTrouble: message => this.#log.write('warn', message, {}),
    })
  }

  async #takeOverNodes(config: DaemonConfig): Promise<void> {
    try {
      this.#registry = await openRegistry(config, `${++this.#editions}`)
    } catch (error) {
      this.#log.write('error', `the nodes before this change go on: ${messageOf(error)}`, {})
      return
    }
    this.#log.write('info', 'nodes have changed: the daemon starts anew with them', {})
    await this.#daemon?.stop()
  }

  #welcome({ workflows, nodes }: DaemonConfig): void {
    const { url } = this.#daemon as RunningDaemon
    this.#out.json({ type: 'ready', url, workflows, nodes: nodes ?? null })
    this.#out.text(`\nworkflows  ${workflows}`)
    if (nodes !== undefined) this.#out.text(`nodes      ${nodes}`)
    this.#out.text(`HTTP       ${url}/api   (health ${url}/health/ready)`)
    this.#out.text('Workflows run when somebody starts them. Run one node of one:')
    const call = `{"workflow_id": "ID", "node_id": "NODE", "input_data": {}}`
    this.#out.text(`  curl -s ${url}/api/dev/execute -H 'content-type: application/json' -d '${call}'`)
    this.#out.text('Ctrl-C ends.\n')
  }
}

/** The same port again, also where any was asked for. */
function listenOf(url: string): string {
  return new URL(url).host
}

/** Lines for people, or for programs with `--json`. */
function devLog(out: Output): LeveledLog {
  const places = ['workflow', 'loop', 'node'] as const
  return {
    level: 'info',
    write(level: LogLevel, message: string, fields: JsonObject) {
      if (level === 'debug') return
      out.json({ type: 'log', level, message, ...fields })
      const where = places.flatMap(place => (fields[place] === undefined ? [] : [`${place} "${fields[place]}"`]))
      const told = where.length === 0 ? message : `${message} (${where.join(', ')})`
      out.text(level === 'info' ? told : `${level}: ${told}`)
    },
  }
}
