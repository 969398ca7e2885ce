/**
 * How long a daemon takes from its start as a process until its loops run, with ten workflows of two loops; beside it what
 * Node.js takes to do nothing, for the machine decides about much of it. It is the program as it is built (`dist`).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { JsonObject } from '../../engine/json.ts'
import { RedisServer } from '../support/redis-server.ts'
import type { Arm, Bench, Sample } from './measure.ts'

const workflows = 10
const program = join(process.cwd(), 'dist/daemon/bin.js')

export const starting: Bench = {
  title: `start of a daemon with ${workflows} workflows, until its loops run`,
  size: { full: 1, quick: 1 },
  async open() {
    const server = await RedisServer.start({ appendonly: 'yes' })
    const dirs: string[] = []
    const folder = (): string => {
      const dir = mkdtempSync(join(tmpdir(), 'theoneeye-bench-'))
      dirs.push(dir)
      mkdirSync(join(dir, 'workflows'))
      mkdirSync(join(dir, 'files'))
      for (let i = 0; i < workflows; i++)
        writeFileSync(join(dir, `workflows/w${i}.json`), JSON.stringify(workflow(`w${i}`)))
      return dir
    }
    const arms: Arm[] = [
      { name: 'embedded Redis', run: () => started(folder(), []) },
      { name: 'real Redis', run: () => started(folder(), ['--redis', server.url]) },
      { name: 'node -e 0', run: nothing },
    ]
    const close = async (): Promise<void> => {
      for (const dir of dirs) rmSync(dir, { recursive: true })
      await server.remove()
    }
    return { arms, close }
  },
}

async function started(cwd: string, args: readonly string[]): Promise<Sample> {
  const env = { PATH: process.env.PATH ?? '', HOME: cwd, THEONEEYE_LISTEN: '127.0.0.1:0' }
  const beganMs = performance.now()
  const child = spawn(process.execPath, [program, 'daemon', ...args], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let readyMs: number | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    if (!/"msg":"ready: /.test(line)) continue
    readyMs = performance.now() - beganMs
    child.kill('SIGTERM')
  }
  if (readyMs === undefined) throw new Error('The daemon ended before it was ready')
  return { 'ms until ready': readyMs }
}

async function nothing(): Promise<Sample> {
  const beganMs = performance.now()
  await once(spawn(process.execPath, ['-e', '0']), 'exit')
  return { 'ms until ready': performance.now() - beganMs }
}

function workflow(id: string): JsonObject {
  return {
    id,
    nodes: [
      { id: 'in', type: 'webhook-producer', data: { form: { webhook_id: id, public: true } } },
      { id: 'set', type: 'data-transformer', data: { form: { output_template: '{"x": 1}' } } },
      { id: 'out', type: 'queue-writer', data: { form: {} } },
      { id: 'take', type: 'queue-reader', data: { form: {} } },
      { id: 'done', type: 'queue-writer', data: { form: { queue_name: `${id}-done` } } },
    ],
    edges: [
      { id: 'e1', source: 'in', target: 'set' },
      { id: 'e2', source: 'set', target: 'out' },
      { id: 'e3', source: 'out', target: 'take' },
      { id: 'e4', source: 'take', target: 'done' },
    ],
  }
}
