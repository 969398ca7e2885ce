/** `run` with loops in threads and processes of this very host: the same results, and what becomes of workers that end badly. */
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { cli, repository, temporaryFolder } from '../support/cli.ts'
import { RedisServer } from '../support/redis-server.ts'

const slow = 120_000
const pools = ['thread', 'process'] as const
type WorkerPool = (typeof pools)[number]

/** A node class in plain JavaScript, with what it does to its worker. */
function nodesIn(cwd: string, type: string, body: string): string {
  const dir = join(cwd, 'nodes')
  mkdirSync(dir, { recursive: true })
  const engine = join(repository, 'dist/engine/index.js')
  writeFileSync(
    join(dir, 'odd.mjs'),
    `import { BlockingNode, defineForm } from ${JSON.stringify(engine)}
export class Odd extends BlockingNode {
  static identifier = ${JSON.stringify(type)}
  static form = defineForm({})
  async execute(input) { ${body}
    return input }
}
`,
  )
  return dir
}

/**
 * `count` items go over a queue to the odd node in a loop of its own, which runs in the pool. `given`: settings of that
 * loop, and how often an item may take its worker down (once).
 */
function workflowIn(cwd: string, pool: WorkerPool, items: number, given: JsonObject = {}): string {
  const { max_deliveries = 1, ...loop } = given
  const file = join(cwd, 'odd.json')
  const nodes = [
    { id: 'count', type: 'counter', data: { form: { min_value: 1, max_value: items } } },
    { id: 'out', type: 'queue-writer', data: { form: {} } },
    { id: 'in', type: 'queue-reader', data: { form: {} } },
    { id: 'odd', type: 'odd', data: { form: {}, config: { timeout_seconds: 1 } } },
    { id: 'done', type: 'queue-writer', data: { form: { queue_name: 'done' } } },
    { id: 'other', type: 'counter', data: { form: { min_value: 1, max_value: 5 } } },
    { id: 'note', type: 'queue-writer', data: { form: { queue_name: 'noted' } } },
  ]
  const edges = ['count>out', 'out>in', 'in>odd', 'odd>done', 'other>note'].map((text, i) => {
    const [source, target] = text.split('>')
    return { id: `e${i}`, source, target }
  })
  const settings = { max_deliveries, loops: { in: { pool, ...loop } } }
  writeFileSync(file, JSON.stringify({ id: 'odd', settings, nodes, edges }))
  return file
}

async function peek(cwd: string, workflow: string, queue: string): Promise<JsonObject[]> {
  const { lines } = await cli(['queue', 'peek', workflow, queue, '--json'], { cwd })
  return lines
}

/** What a run leaves behind and what it says it did, without what is another's each time: moments, runs, durations. */
async function resultsOf(file: string, pool: string, redis: readonly string[]): Promise<JsonObject> {
  const cwd = temporaryFolder()
  const { code, lines, stderr } = await cli(['run', file, '--json', '--pool', pool, ...redis], { cwd })
  expect(code, stderr).toBe(0)
  const { loops = {}, status = '' } = lines.at(-1) ?? {}
  const counts: Record<string, number> = {}
  for (const { type } of lines) counts[String(type)] = (counts[String(type)] ?? 0) + 1
  const queue = await cli(['queue', 'peek', 'three-loops', 'done', '--limit', '100', '--json', ...redis], { cwd })
  return { loops, status, counts, done: queue.lines.map(({ data = null }) => data) }
}

describe('run --pool', () => {
  it.each(['embedded', 'real'])(
    'gives the same results in all pools, on the %s Redis',
    async kind => {
      const file = join(repository, 'fixtures/workflows/three-loops.json')
      const results: JsonObject[] = []
      for (const pool of ['async', ...pools]) {
        const server = kind === 'real' ? await RedisServer.start() : undefined
        try {
          results.push(await resultsOf(file, pool, server === undefined ? [] : ['--redis', server.url]))
        } finally {
          await server?.remove()
        }
      }
      expect(results[0]).toMatchObject({ status: 'completed', counts: { loop_completed: 3 } })
      expect(results[0]?.done).toHaveLength(30)
      for (const other of results.slice(1)) expect(other).toEqual(results[0])
    },
    slow,
  )
})

describe.each(pools)('a loop in a %s', pool => {
  const bad: [string, string, JsonObject, RegExp][] = [
    ['ends its worker', 'process.exit(7)', {}, /exit code 7/],
    [
      'throws where nobody catches',
      "setTimeout(() => { throw new Error('nobody') }); await new Promise(() => {})",
      {},
      /nobody/,
    ],
    ['forgets to catch', "Promise.reject(new Error('left alone')); await new Promise(() => {})", {}, /left alone/],
    [
      'takes all memory',
      'const all = []; for (;;) all.push(new Array(1e5).fill(input))',
      { memory_mb: 64 },
      /out of memory/,
    ],
    ['never ends', 'for (;;) {}', {}, /a node blocks it|signal (SIGTERM|terminate)/],
    // a thread may not, and is told so
    ...(pool === 'process'
      ? [['aborts', 'process.abort()', {}, /SIGABRT/] as [string, string, JsonObject, RegExp]]
      : []),
  ]
  it.each(bad)(
    'whose node %s: a dead letter says why, and the other loop never notices',
    async (_what, body, loop, why) => {
      const cwd = temporaryFolder()
      const nodes = nodesIn(cwd, 'odd', body)
      const file = workflowIn(cwd, pool, 1, loop)
      const { code, lines, stderr } = await cli(['run', file, '--json', '--nodes', nodes], { cwd })
      expect(code, stderr).toBe(1)
      expect(lines.at(-1)).toMatchObject({ type: 'summary', status: 'completed' })
      const letters = lines.filter(({ type }) => type === 'dead_letter')
      expect(letters).toHaveLength(1)
      expect(letters[0]).toMatchObject({ loop: 'in', error: { code: 'POISON', message: expect.stringMatching(why) } })
      // a process may end before its first sign of life, and then nobody knows its size
      const known = pool === 'thread' ? { rssBytes: null } : {}
      const crash = lines.find(({ code }) => code === 'LOOP_CRASHED')
      expect(crash).toMatchObject({ loop: 'in', cause: expect.objectContaining(known) })
      expect(await peek(cwd, 'odd', 'noted')).toHaveLength(5)
    },
    slow,
  )

  it(
    'prints what its nodes print beside the results, never among them',
    async () => {
      const cwd = temporaryFolder()
      const nodes = nodesIn(cwd, 'odd', "console.log('from the node'); process.stdout.write('{}')")
      const { code, lines, stdout, stderr } = await cli(['run', workflowIn(cwd, pool, 3), '--json', '--nodes', nodes], {
        cwd,
      })
      expect(code, stderr).toBe(0)
      expect(lines.at(-1)).toMatchObject({ type: 'summary', status: 'completed' })
      expect(stdout).not.toContain('from the node')
      expect(stderr).toContain('from the node')
    },
    slow,
  )
})

/** Children of a process, from /proc. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => statOf(pid)?.parent === parent)
}

function statOf(pid: number): { state: string; parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? undefined : { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

describe('processes', () => {
  /** A run whose nodes take their time, with the pids of its workers once they are at work. */
  async function running(
    body: string,
  ): Promise<{ pid: number; workers: number[]; exit: Promise<number | null>; cwd: string }> {
    const cwd = temporaryFolder()
    const nodes = nodesIn(cwd, 'odd', body)
    // the one item that a killed worker held alone is no poison yet
    const file = workflowIn(cwd, 'process', 40, { max_deliveries: 3 })
    const bin = join(repository, 'dist/daemon/bin.js')
    const child = spawn(process.execPath, [bin, 'run', file, '--json', '--nodes', nodes], {
      cwd,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const exit = new Promise<number | null>(resolve => child.once('close', resolve))
    const begun = new Promise<void>(resolve => {
      child.stdout.on('data', text => String(text).includes('"node_id":"odd"') && resolve())
    })
    await Promise.race([begun, exit])
    const pid = child.pid as number
    return { pid, workers: childrenOf(pid), exit, cwd }
  }

  it(
    'are gone soon after their daemon was killed, even when a node never ends',
    async () => {
      const { pid, workers } = await running('await new Promise(done => setTimeout(done, 100)); for (;;) {}')
      expect(workers).toHaveLength(1)
      process.kill(pid, 'SIGKILL')
      await vi.waitFor(() => expect(workers.map(statOf)).toEqual([undefined]), { timeout: 20_000, interval: 50 })
    },
    slow,
  )

  it(
    'that are killed cost nothing but time',
    async () => {
      const { workers, exit, cwd } = await running('await new Promise(done => setTimeout(done, 20))')
      for (const worker of workers) process.kill(worker, 'SIGKILL')
      expect(await exit).toBe(0)
      expect(await peek(cwd, 'odd', 'done')).toHaveLength(40)
    },
    slow,
  )

  it(
    'that stand still are replaced, and cost nothing but time',
    async () => {
      const { workers, exit, cwd } = await running('await new Promise(done => setTimeout(done, 20))')
      for (const worker of workers) process.kill(worker, 'SIGSTOP')
      expect(await exit).toBe(0)
      expect(workers.map(statOf)).toEqual([undefined])
      expect(await peek(cwd, 'odd', 'done')).toHaveLength(40)
    },
    slow,
  )

  it(
    'drain when the run is told to stop, and leave nothing claimed',
    async () => {
      const { pid, workers, exit, cwd } = await running('await new Promise(done => setTimeout(done, 20))')
      process.kill(pid, 'SIGINT')
      expect(await exit).toBe(0)
      expect(workers.map(statOf)).toEqual([undefined])
      const { lines } = await cli(['queue', 'list', 'odd', '--json'], { cwd })
      expect(lines.filter(queue => queue.claimed !== 0)).toEqual([])
    },
    slow,
  )
})
