/** Runs the built command line as a user does: a process of its own, no terminal, a folder of its own. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'

export const repository = join(import.meta.dirname, '../..')
const bin = join(repository, 'dist/daemon/bin.js')

export type CliResult = {
  /** The exit code; null when a signal ended it. */
  code: number | null
  stdout: string
  stderr: string
  /** Each line of stdout, parsed; only for `--json`. */
  lines: JsonObject[]
}

export type CliOptions = { cwd: string; env?: Record<string, string>; onOutput?: (text: string, pid: number) => void }

/** A process that takes longer is killed, so that nothing hangs. */
const timeoutMs = 110_000

export function cli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  if (!existsSync(bin)) throw new Error(`Cannot run the command line: ${bin} is missing; run npm run build`)
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env.PATH ?? '', HOME: options.cwd, ...options.env }
    const child = spawn(process.execPath, [bin, ...args], { cwd: options.cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      options.onOutput?.(text, child.pid as number)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => {
      clearTimeout(timer)
      const isJson = args.includes('--json')
      const lines = isJson ? stdout.split('\n').filter(Boolean).map(parse) : []
      resolve({ code, stdout, stderr, lines })
    })
  })
}

function parse(line: string): JsonObject {
  return JSON.parse(line) as JsonObject
}

/** A new folder, removed when the test has ended. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'theoneeye-cli-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
