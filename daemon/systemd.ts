/**
 * What the service manager is told (sd_notify), through the program `systemd-notify`: Node has no datagram sockets of the
 * Unix kind, and a native module would be one more thing that does not build.
 *
 * N1 messages arrive in the order they were given. N2 one that cannot be sent is said once, and never stops the daemon.
 */
import { execFile } from 'node:child_process'
import { codeOf, messageOf } from '../engine/errors.ts'
import type { Environment } from './config-source.ts'

export class SystemdNotifier {
  /** Milliseconds within which a sign of life is expected; undefined: none is. */
  readonly watchdogMs: number | undefined
  readonly #socket: string
  readonly #path: string
  readonly #onTrouble: (message: string) => void
  #last: Promise<void> = Promise.resolve()
  #saidTrouble = false

  private constructor(socket: string, env: Environment, onTrouble: (message: string) => void) {
    this.#socket = socket
    this.#path = env.PATH ?? '/usr/bin:/bin'
    this.#onTrouble = onTrouble
    const isOurs = env.WATCHDOG_PID === undefined || env.WATCHDOG_PID === String(process.pid)
    const usec = Number(env.WATCHDOG_USEC)
    this.watchdogMs = isOurs && usec > 0 ? usec / 1_000 : undefined
  }

  /** Undefined when no service manager listens. */
  static from(env: Environment, onTrouble: (message: string) => void): SystemdNotifier | undefined {
    const socket = env.NOTIFY_SOCKET
    return socket === undefined || socket === '' ? undefined : new SystemdNotifier(socket, env, onTrouble)
  }

  ready(status: string): Promise<void> {
    return this.#send(['READY=1', statusLine(status)])
  }
  status(status: string): Promise<void> {
    return this.#send([statusLine(status)])
  }
  reloading(): Promise<void> {
    return this.#send(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`])
  }
  stopping(status: string): Promise<void> {
    return this.#send(['STOPPING=1', statusLine(status)])
  }
  alive(): Promise<void> {
    return this.#send(['WATCHDOG=1'])
  }

  /** Resolves when all that was given before has been sent, or could not be. */
  sent(): Promise<void> {
    return this.#last
  }

  #send(variables: readonly string[]): Promise<void> {
    this.#last = this.#last.then(() => this.#run(variables))
    return this.#last
  }

  #run(variables: readonly string[]): Promise<void> {
    const env = { NOTIFY_SOCKET: this.#socket, PATH: this.#path }
    return new Promise(resolve => {
      execFile('systemd-notify', variables, { env, timeout: 5_000 }, error => {
        if (error !== null) this.#sayTrouble(error)
        resolve()
      })
    })
  }

  #sayTrouble(error: unknown): void {
    if (this.#saidTrouble) return
    this.#saidTrouble = true
    const why = codeOf(error) === 'ENOENT' ? 'the program systemd-notify is missing; install systemd' : messageOf(error)
    this.#onTrouble(`Cannot tell the service manager how it goes: ${why}`)
  }
}

function statusLine(text: string): string {
  return `STATUS=${text.replaceAll('\n', ' ')}`
}
