/** `theoneeye daemon` (or `dev --json`) as a process of its own: tests wait for its lines and its exit, never for time. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { repository } from './cli.ts'
import { tempDir } from './temp-dir.ts'

export type LogLine = JsonObject & { level: number; msg: string }
export type DaemonProcessOptions = {
  cwd: string
  command?: 'daemon' | 'dev'
  args?: readonly string[]
  env?: Record<string, string>
}

const timeoutMs = 100_000

export class DaemonProcess {
  readonly lines: LogLine[] = []
  stderr = ''
  /** The exit code; null when a signal ended it. */
  readonly exit: Promise<number | null>
  readonly #child: ChildProcess
  #wake: () => void = () => undefined

  constructor({ cwd, command = 'daemon', args = [], env = {} }: DaemonProcessOptions) {
    const bin = join(repository, 'dist/daemon/bin.js')
    const child = spawn(process.execPath, [bin, command, ...args], {
      cwd,
      env: { PATH: process.env.PATH ?? '', HOME: cwd, THEONEEYE_LISTEN: '127.0.0.1:0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    createInterface({ input: child.stdout }).on('line', line => {
      this.lines.push(JSON.parse(line) as LogLine)
      this.#wake()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    this.exit = new Promise(resolve => {
      child.on('close', code => {
        clearTimeout(timer)
        resolve(code)
        this.#wake()
      })
    })
    onTestFinished(async () => {
      child.kill('SIGKILL')
      await this.exit
    })
  }

  /** Starts one and waits until its loops run. */
  static async ready(options: DaemonProcessOptions): Promise<DaemonProcess> {
    const daemon = new DaemonProcess(options)
    await daemon.logs(/^ready: /)
    return daemon
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get url(): string {
    const ready = this.lines.find(({ msg }) => msg.startsWith('ready: '))
    return /http:\S+/.exec(ready?.msg ?? '')?.[0] as string
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** The first log line whose message fits; fails when the process ends without one. */
  logs(says: RegExp): Promise<LogLine> {
    return this.logsOf({ msg: says })
  }

  /** The first log line that has these values, or texts that fit; fails when the process ends without one. */
  async logsOf(wanted: Record<string, RegExp | string | number>): Promise<LogLine> {
    const fits = (line: LogLine): boolean =>
      Object.entries(wanted).every(([key, value]) =>
        value instanceof RegExp ? value.test(String(line[key])) : line[key] === value,
      )
    const missing = JSON.stringify(wanted, (_, value) => (value instanceof RegExp ? String(value) : value))
    await this.when(() => this.lines.some(fits), missing)
    return this.lines.find(fits) as LogLine
  }

  /** Looks at each new line; fails when the process ends before it `holds`. */
  async when(holds: () => boolean, what = 'what was waited for'): Promise<void> {
    while (!holds()) {
      const ended = this.#child.exitCode ?? this.#child.signalCode
      if (ended !== null) throw new Error(`The daemon ended (${ended}) without ${what}: ${this.stderr}${this.#said()}`)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  async get(path: string): Promise<{ status: number; body: string }> {
    const answer = await fetch(this.url + path)
    return { status: answer.status, body: await answer.text() }
  }

  #said(): string {
    return this.lines.map(({ msg, message }) => `\n${msg ?? message}`).join('')
  }
}

/** A folder for a daemon: `workflows/NAME.json` for each, and whatever else is given by its path. */
export function daemonFolder(
  workflows: Record<string, JsonObject | string>,
  files: Record<string, string> = {},
): string {
  const cwd = tempDir()
  for (const folder of ['workflows', 'files']) mkdirSync(join(cwd, folder))
  for (const [name, workflow] of Object.entries(workflows)) saveWorkflow(cwd, name, workflow)
  for (const [path, text] of Object.entries(files)) writeFileSync(join(cwd, path), text)
  return cwd
}

export function saveWorkflow(cwd: string, name: string, workflow: JsonObject | string): void {
  const text = typeof workflow === 'string' ? workflow : JSON.stringify(workflow)
  writeFileSync(join(cwd, 'workflows', `${name}.json`), text)
}
