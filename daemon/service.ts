/**
 * The daemon as a process: what `running-daemon.ts` does, driven by signals, told to the service manager. Signals are
 * caught before anything starts, so that one that comes early is not lost.
 */
import { basename, dirname } from 'node:path'
import type { Clock } from '../engine/ports.ts'
import type { Environment, LoadedConfig } from './config.ts'
import { watchFolder } from './folder-watch.ts'
import { launchDaemon, type RunningDaemon } from './running-daemon.ts'
import { type LeveledLog, pinoLog, systemClock } from './system-ports.ts'
import { SystemdNotifier } from './systemd.ts'

const statusEveryMs = 10_000

/** Runs until it was told to end; resolves to the exit code. Rejects when it cannot begin. */
export async function runService(load: () => Promise<LoadedConfig>, env: Environment): Promise<number> {
  const loaded = await load()
  const log = pinoLog({ level: loaded.config.log.level })
  for (const warning of loaded.warnings) log.write('warn', warning, {})
  const service = new Service(load, log, env)
  const signals = service.catchSignals()
  try {
    return await service.run(loaded)
  } finally {
    for (const [signal, handler] of signals) process.off(signal, handler)
  }
}

/** The daemon and what surrounds it in a process of its own. */
class Service {
  readonly #load: () => Promise<LoadedConfig>
  readonly #log: LeveledLog
  readonly #clock: Clock = systemClock()
  readonly #notifier: SystemdNotifier | undefined
  readonly #ending = new AbortController()
  #daemon: RunningDaemon | undefined
  #level: LeveledLog['level']

  constructor(load: () => Promise<LoadedConfig>, log: LeveledLog, env: Environment) {
    this.#load = load
    this.#log = log
    this.#level = log.level
    this.#notifier = SystemdNotifier.from(env, message => log.write('warn', message, {}))
  }

  async run({ config, path }: LoadedConfig): Promise<number> {
    const daemon = await launchDaemon(config, { log: this.#log })
    this.#daemon = daemon
    void this.#notifier?.ready(daemon.summary())
    if (this.#ending.signal.aborted) void this.#stop()
    if (path !== undefined) this.#watchConfig(path)
    void this.#tellSigns(daemon)
    const end = await daemon.done
    this.#ending.abort()
    await this.#notifier?.sent()
    return end === 'stopped' ? 0 : 1
  }

  catchSignals(): [NodeJS.Signals, () => void][] {
    const handlers: [NodeJS.Signals, () => void][] = [
      ['SIGTERM', () => this.#end('SIGTERM')],
      ['SIGINT', () => this.#end('SIGINT')],
      ['SIGHUP', () => void this.#reload()],
      ['SIGUSR2', () => this.#toggleDebug()],
    ]
    for (const [signal, handler] of handlers) process.on(signal, handler)
    return handlers
  }

  #end(signal: string): void {
    const isSecond = this.#ending.signal.aborted
    this.#ending.abort()
    this.#log.write('info', isSecond ? `${signal} again: killing` : `${signal}: draining`, {})
    if (isSecond) void this.#daemon?.kill()
    else void this.#stop()
  }

  async #stop(): Promise<void> {
    if (this.#daemon === undefined) return
    void this.#notifier?.stopping('draining')
    await this.#daemon.stop()
  }

  async #reload(): Promise<void> {
    if (this.#daemon === undefined) return
    void this.#notifier?.reloading()
    this.#log.write('info', 'reloading', {})
    try {
      await this.#daemon.reload((await this.#load()).config)
    } catch (error) {
      this.#log.write('error', `the old configuration goes on: ${(error as Error).message}`, {})
    }
    this.#level = this.#log.level
    void this.#notifier?.ready(this.#daemon.summary())
  }

  #toggleDebug(): void {
    if (this.#log.level === 'debug') this.#log.level = this.#level
    else {
      this.#level = this.#log.level
      this.#log.level = 'debug'
    }
    this.#log.write('info', `log level is now ${this.#log.level}`, {})
  }

  #watchConfig(path: string): void {
    watchFolder({
      dir: dirname(path),
      wants: name => name === basename(path),
      clock: this.#clock,
      signal: this.#ending.signal,
      onChange: () => void this.#reload(),
      onTrouble: message => this.#log.write('warn', message, {}),
    })
  }

  /** The watchdog hears of it only while Redis answers and loops make progress: else it shall restart us. */
  async #tellSigns(daemon: RunningDaemon): Promise<void> {
    const notifier = this.#notifier
    if (notifier === undefined) return
    const everyMs = Math.min(statusEveryMs, (notifier.watchdogMs ?? statusEveryMs * 2) / 2)
    let said = daemon.summary()
    while (!this.#ending.signal.aborted) {
      const { ready, reasons } = daemon.readiness()
      if (daemon.isAlive() && notifier.watchdogMs !== undefined) await notifier.alive()
      const status = ready ? daemon.summary() : `not ready: ${reasons.join('; ')}`
      if (status !== said) await notifier.status(status)
      said = status
      await this.#clock.sleep(everyMs, this.#ending.signal).catch(() => undefined)
    }
  }
}
