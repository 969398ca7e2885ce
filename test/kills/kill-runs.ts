/**
 * The promise in its hardest form: `run` is killed with SIGKILL at random moments and started again until the workflow
 * completes; then every item must be in the last queue exactly once and in order. Moments are counted in events that the
 * process printed, never in time, so that a slow machine tests the same thing. Every other kill is placed where it is most
 * dangerous, between the sending of a commit and its answer: by a proxy before Redis, or inside the write to the journal.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { hashUnit } from '../../engine/hash.ts'
import { repository } from '../support/cli.ts'
import { CommitProxy } from './commit-proxy.ts'

const bin = join(repository, 'dist/daemon/bin.js')

export type KillPlan = { items: number; kills: number; seed: string; dir: string; redisUrl?: string }
export type KillResult = {
  kills: number
  /** Of these, how many came after a commit was sent (or its journal write begun) and before its answer. */
  inCommit: number
  starts: number
  numbers: number[]
  deadLetters: number
}

/** Counter 1…items over three loops to the queue `last`. */
export function threeLoops(items: number): string {
  const node = (id: string, type: string, form: object = {}) => ({ id, type, data: { form } })
  const edge = (source: string, target: string) => ({ id: `${source}-${target}`, source, target })
  return JSON.stringify({
    id: 'kills',
    settings: { queues: { max_length: 0 } },
    nodes: [
      node('count', 'counter', { min_value: 1, max_value: items, direction: 'increment', step: 1 }),
      node('out1', 'queue-writer'),
      node('in1', 'queue-reader'),
      node('number', 'data-transformer', { output_template: '{"n": "{{ data.counter.current }}"}' }),
      node('out2', 'queue-writer'),
      node('in2', 'queue-reader'),
      node('last', 'queue-writer', { queue_name: 'last' }),
    ],
    edges: [
      edge('count', 'out1'),
      edge('out1', 'in1'),
      edge('in1', 'number'),
      edge('number', 'out2'),
      edge('out2', 'in2'),
      edge('in2', 'last'),
    ],
  })
}

/** Runs and kills until the workflow has completed, then reads what it left. */
export async function runWithKills(file: string, plan: KillPlan): Promise<KillResult> {
  const proxy = plan.redisUrl === undefined ? undefined : await CommitProxy.start(plan.redisUrl)
  try {
    const counts = await killUntilCompleted(file, plan, proxy)
    return { ...counts, ...(await whatIsLeft(plan)) }
  } finally {
    await proxy?.stop()
  }
}

async function killUntilCompleted(file: string, plan: KillPlan, proxy: CommitProxy | undefined) {
  const redis = proxy === undefined ? [] : ['--redis', proxy.url]
  const args = ['run', file, '--json', '--allow-dead-letters', ...redis]
  const counts = { kills: 0, inCommit: 0, starts: 0 }
  for (;;) {
    counts.starts += 1
    const draw = hashUnit(`${plan.seed}|${counts.starts}`)
    // about twelve events per item and loop; the kills are spread over the whole life
    const mean = (plan.items * 26) / Math.max(1, plan.kills)
    const events = counts.kills < plan.kills ? 1 + Math.floor(draw * mean) : Number.POSITIVE_INFINITY
    const moment = { events, place: places[counts.kills % places.length] as Place, proxy }
    const end = await runOnce(args, plan.dir, moment)
    if (end === 'completed') return counts
    counts.kills += 1
    if (end === 'killed in a commit') counts.inCommit += 1
  }
}

async function whatIsLeft({ dir, redisUrl }: KillPlan): Promise<{ numbers: number[]; deadLetters: number }> {
  const where = redisUrl === undefined ? [] : ['--redis', redisUrl]
  const peek = await output(['queue', 'peek', 'kills', 'last', '--json', '--limit', '0', ...where], dir)
  const letters = await output(['dlq', 'list', 'kills', '--json', ...where], dir)
  const numbers = peek.map(line => (JSON.parse(line) as { data: { n: number } }).data.n)
  return { numbers, deadLetters: letters.length }
}

/** The first place where the numbers are not 1, 2, 3 …; undefined when all are there, once, in order. */
export function firstFault(numbers: readonly number[], items: number): string | undefined {
  for (const [i, n] of numbers.entries()) if (n !== i + 1) return `at place ${i + 1} stands ${n}`
  return numbers.length === items ? undefined : `${numbers.length} of ${items} items arrived`
}

/** Where a kill comes once its moment is there: at once, or at the next commit, which then has its effect or has not. */
const places = ['anywhere', 'before its effect', 'anywhere', 'after its effect'] as const
type Place = (typeof places)[number]
type Moment = { events: number; place: Place; proxy: CommitProxy | undefined }
type RunEnd = 'completed' | 'killed' | 'killed in a commit'

/** On the embedded Redis the process dies by itself: nobody outside would be in time. */
const dieInJournal = ['--import', pathToFileURL(join(repository, 'test/kills/die-in-journal.mjs')).href]

function runOnce(args: readonly string[], cwd: string, { events, place, proxy }: Moment): Promise<RunEnd> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, DIE_IN_JOURNAL: place === 'before its effect' ? 'torn' : 'whole' }
    const flags = proxy === undefined ? dieInJournal : []
    const child = spawn(process.execPath, [...flags, bin, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let left = events
    let end: RunEnd = 'completed'
    let stderr = ''
    const kill = (how: RunEnd) => {
      end = how
      child.kill('SIGKILL')
    }
    const killAtCommit = () => {
      if (proxy !== undefined)
        proxy.arm(place === 'before its effect' ? 'lost' : 'applied', () => kill('killed in a commit'))
      else if (child.kill('SIGUSR2')) end = 'killed in a commit'
    }
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const wasDue = left <= 0
      left -= text.split('\n').length - 1
      if (wasDue || left > 0) return
      if (place === 'anywhere') kill('killed')
      else killAtCommit()
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      proxy?.disarm()
      if (signal === 'SIGKILL') resolve(end)
      else if (code === 0) resolve('completed')
      else reject(new Error(`theoneeye ${args.join(' ')} ended with ${code ?? signal}: ${stderr}`))
    })
  })
}

function output(args: readonly string[], cwd: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => {
      if (code === 0) resolve(stdout.split('\n').filter(line => line !== ''))
      else reject(new Error(`theoneeye ${args.join(' ')} ended with ${code}: ${stderr}`))
    })
  })
}
