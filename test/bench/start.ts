/**
 * The daemon as a process, as it is built (`dist`): how long it takes from its start until the loops of ten workflows run,
 * beside what Node.js takes to do nothing, for the machine decides about much of it; and what it costs while nothing happens.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonObject } from '../../engine/json.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type Arm, type Bench, megabytesOf, readyLine, type Sample } from './measure.ts'

const program = join(process.cwd(), 'dist/daemon/bin.js')
/** Ticks of a process's time in `/proc`, per second. */
const ticks = 100

export const starting: Bench = {
  title: 'start of a daemon with 10 workflows, until their loops run',
  size: { full: 1, quick: 1 },
  open: () =>
    open(redis => [
      { name: 'embedded Redis', run: () => started(10, []) },
      { name: 'real Redis', run: () => started(10, redis) },
      { name: 'node -e 0', run: nothing },
    ]),
}

export const idling: Bench = {
  title: 'an idle daemon, over as many seconds',
  size: { full: 30, quick: 3 },
  open: () =>
    open(redis => [
      { name: '1,000 loops, embedded Redis', run: seconds => idled(500, [], seconds) },
      { name: '1,000 loops, real Redis', run: seconds => idled(500, redis, seconds) },
      { name: '20 loops, embedded Redis', run: seconds => idled(10, [], seconds) },
    ]),
}

async function open(armsOf: (redis: readonly string[]) => Arm[]): Promise<{ arms: Arm[]; close(): Promise<void> }> {
  const server = await RedisServer.start({ appendonly: 'yes' })
  return { arms: armsOf(['--redis', server.url]), close: () => server.remove() }
}

async function started(workflows: number, redis: readonly string[]): Promise<Sample> {
  return await withDaemon(workflows, redis, async ms => ({ 'ms until ready': ms }))
}

async function idled(workflows: number, redis: readonly string[], seconds: number): Promise<Sample> {
  return await withDaemon(workflows, redis, async (_, pid) => {
    // what starting leaves behind is not what idling costs
    await sleep(5_000)
    const before = cpuTicks(pid)
    await sleep(1_000 * seconds)
    const used = (cpuTicks(pid) - before) / ticks / seconds
    return { MB: megabytesOf(pid), '% of a core': 100 * used }
  })
}

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

/** `use` is told how many milliseconds it took until its loops ran, and its process. */
async function withDaemon<T>(
  workflows: number,
  redis: readonly string[],
  use: (readyMs: number, pid: number) => Promise<T>,
): Promise<T> {
  const cwd = folder(workflows)
  const env = { PATH: process.env.PATH ?? '', HOME: cwd, THEONEEYE_LISTEN: '127.0.0.1:0' }
  const beganMs = performance.now()
  const child = spawn(process.execPath, [program, 'daemon', ...redis], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  try {
    await readyLine(child)
    return await use(performance.now() - beganMs, child.pid as number)
  } finally {
    child.kill('SIGTERM')
    await closed
    rmSync(cwd, { recursive: true })
  }
}

async function nothing(): Promise<Sample> {
  const beganMs = performance.now()
  await once(spawn(process.execPath, ['-e', '0']), 'exit')
  return { 'ms until ready': performance.now() - beganMs }
}

function folder(workflows: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'theoneeye-bench-'))
  for (const name of ['workflows', 'files']) mkdirSync(join(dir, name))
  // a name of its own: what stands in Redis already is the same for nobody
  const run = dir.slice(-6)
  for (let i = 0; i < workflows; i++)
    writeFileSync(join(dir, `workflows/w${i}.json`), JSON.stringify(workflow(`w${i}-${run}`)))
  return dir
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
