/**
 * The promise in its hardest form: `run` is killed with SIGKILL at random moments and started again until the workflow
 * completes; then every item must be in the last queue exactly once and in order. Moments are counted in events that the
 * process printed, never in time, so that a slow machine tests the same thing.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { hashUnit } from '../../engine/hash.ts'
import { repository } from '../support/cli.ts'

const bin = join(repository, 'dist/daemon/bin.js')

export type KillPlan = { items: number; kills: number; seed: string; dir: string; redisUrl?: string }
export type KillResult = { kills: number; starts: number; numbers: number[]; deadLetters: number }

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
  const where = plan.redisUrl === undefined ? [] : ['--redis', plan.redisUrl]
  let kills = 0
  let starts = 0
  for (let completed = false; !completed; ) {
    starts += 1
    // about twelve events per item and loop; the kills are spread over the whole life
    const mean = (plan.items * 26) / Math.max(1, plan.kills)
    const after =
      kills < plan.kills ? 1 + Math.floor(hashUnit(`${plan.seed}|${starts}`) * mean) : Number.POSITIVE_INFINITY
    const end = await runOnce(['run', file, '--json', '--allow-dead-letters', ...where], plan.dir, after)
    if (end === 'killed') kills += 1
    else if (end === 0) completed = true
    else throw new Error(`Run ${starts} ended with exit code ${end}`)
  }
  const peek = await output(['queue', 'peek', 'kills', 'last', '--json', '--limit', '0', ...where], plan.dir)
  const letters = await output(['dlq', 'list', 'kills', '--json', ...where], plan.dir)
  const numbers = peek.map(line => (JSON.parse(line) as { data: { n: number } }).data.n)
  return { kills, starts, numbers, deadLetters: letters.length }
}

/** The first place where the numbers are not 1, 2, 3 …; undefined when all are there, once, in order. */
export function firstFault(numbers: readonly number[], items: number): string | undefined {
  for (const [i, n] of numbers.entries()) if (n !== i + 1) return `at place ${i + 1} stands ${n}`
  return numbers.length === items ? undefined : `${numbers.length} of ${items} items arrived`
}

function runOnce(args: readonly string[], cwd: string, eventsUntilKill: number): Promise<'killed' | number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let events = 0
    let killed = false
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      events += text.split('\n').length - 1
      if (events < eventsUntilKill || killed) return
      killed = child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve('killed')
      else if (code === 0) resolve(0)
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
