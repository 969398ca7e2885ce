/**
 * `npm run torture -- [--minutes N | --faults N] [--rate N] [--seed S] [--only TEXT] [--trace]`: real daemons on a real Redis under
 * load, while everything is killed, cut, slowed and held still at random. Afterwards every item must be there, once, in
 * order; with `--trace` all daemons record, and every iteration must replay identical. The seed draws the faults, of all
 * kinds or of those whose name holds TEXT; moments are the machine's.
 */
import { parseArgs } from 'node:util'
import { hashUnit } from '../../engine/hash.ts'
import { Cluster } from './cluster.ts'
import { type Draw, faults } from './faults.ts'
import { faultOf, Load, workflow } from './load.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    faults: { type: 'string' },
    rate: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    trace: { type: 'boolean', default: false },
  },
})
const leaseSeconds = 2
const leaseMs = leaseSeconds * 1_000
const endMs = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes) * 60_000
const faultsMax = values.faults === undefined ? Number.POSITIVE_INFINITY : Number(values.faults)
/** With nothing moving for so long, something is stuck. */
const standstillMs = 60_000
const pollMs = 50

const kinds = Object.keys(faults).filter(kind => kind.includes(values.only))

/** From the fault's beginning until all loops had moved; `awayMs`: so long of it there was no Redis to move on. */
type Recovery = { kind: string; ms: number; awayMs: number }

async function main(): Promise<number> {
  if (!(endMs > 0) || !(faultsMax > 0) || (values.minutes ?? values.faults) === undefined || kinds.length === 0) {
    console.error('usage: npm run torture -- --minutes N | --faults N [--rate N] [--seed S] [--only TEXT] [--trace]')
    console.error(`TEXT is part of one of: ${Object.keys(faults).join(', ')}`)
    return 2
  }
  const cluster = await Cluster.start(workflow, { daemons: 3, leaseSeconds, traces: values.trace })
  const load = await Load.open(cluster.redis.url, Number(values.rate))
  try {
    load.start()
    await untilAllMoved(load)
    const recoveries = await torture(cluster, load)
    await load.stop()
    await untilDrained(load)
    const ends = await cluster.stop()
    const replayed = values.trace ? cluster.replay() : { said: '', wrong: [] }
    const wrong = [...ends, ...(await wrongWith(load)), ...replayed.wrong]
    report(recoveries, load.sent, wrong)
    if (values.trace) console.log(replayed.said)
    if (wrong.length > 0) for (const { number, said } of cluster.daemons) tell(number, said)
    return wrong.length === 0 ? 0 : 1
  } catch (error) {
    for (const { number, said } of cluster.daemons) tell(number, said)
    throw error
  } finally {
    await load.close()
    await cluster.remove()
  }
}

/** One fault after another, each when all loops have moved since the one before. */
async function torture(cluster: Cluster, load: Load): Promise<Recovery[]> {
  const startedMs = performance.now()
  const recoveries: Recovery[] = []
  let draws = 0
  const draw: Draw = from => from[Math.floor(hashUnit(`${values.seed}|${draws++}`) * from.length)] as never
  while (recoveries.length < faultsMax && performance.now() - startedMs < endMs) {
    const kind = draw(kinds)
    const [beganMs, awayBeforeMs] = [performance.now(), cluster.awayMs]
    const doing = faults[kind]?.(cluster, draw, leaseMs)
    await untilAllMoved(load)
    const ms = performance.now() - beganMs
    await doing
    recoveries.push({ kind, ms, awayMs: cluster.awayMs - awayBeforeMs })
    if (recoveries.length % 20 === 0) console.log(`${recoveries.length} faults, ${load.sent} items`)
  }
  return recoveries
}

/** Every loop has committed something since now. */
async function untilAllMoved(load: Load): Promise<void> {
  const before = await progressOf(load)
  const sinceMs = performance.now()
  for (;;) {
    const now = await load.progress()
    if (now?.every((n, i) => n > (before[i] as number))) return
    if (performance.now() - sinceMs > standstillMs) {
      throw new Error(`Nothing moves: iterations were ${before.join(', ')}, now ${now?.join(', ') ?? 'Redis is away'}`)
    }
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

async function progressOf(load: Load): Promise<number[]> {
  for (;;) {
    const progress = await load.progress()
    if (progress !== undefined) return progress
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

async function untilDrained(load: Load): Promise<void> {
  let [last, sinceMs] = [-1, performance.now()]
  for (;;) {
    const lengths = [await load.lengthOf('done'), await load.lengthOf('many')]
    if (lengths.every(length => length >= load.sent)) return
    const sum = lengths.reduce((a, b) => a + b, 0)
    if (sum !== last) [last, sinceMs] = [sum, performance.now()]
    // what is missing then is counted as lost
    else if (performance.now() - sinceMs > standstillMs) return
    await new Promise(resolve => setTimeout(resolve, pollMs))
  }
}

async function wrongWith(load: Load): Promise<string[]> {
  const done = faultOf(await load.numbersIn('done'), load.sent, 'in order')
  const many = faultOf(await load.numbersIn('many'), load.sent, 'in any order')
  const letters = await load.deadLetters()
  return [
    ...(done === undefined ? [] : [`the chain of single replicas: ${done}`]),
    ...(many === undefined ? [] : [`the loop of two replicas: ${many}`]),
    ...(letters === 0 ? [] : [`${letters} dead letters`]),
  ]
}

function report(recoveries: readonly Recovery[], items: number, wrong: readonly string[]): void {
  const head = ['fault'.padEnd(28), ...['times', 'p50 ms', 'p99 ms', 'p99 ms from when Redis was there'].map(cell)]
  console.log(`\n${head.join('')}`)
  for (const kind of [...kinds, 'all']) {
    const of = recoveries.filter(each => kind === 'all' || each.kind === kind)
    if (of.length === 0) continue
    const all = of.map(({ ms }) => ms)
    const figures = [of.length, quantile(all, 0.5), quantile(all, 0.99), quantile(of.map(withRedis), 0.99)]
    console.log([kind.padEnd(28), ...figures.map(figure => cell(String(figure)))].join(''))
  }
  console.log(`\n${items} items, ${recoveries.length} faults, lease ${leaseMs} ms`)
  console.log(wrong.length === 0 ? 'nothing lost, nothing doubled, order kept' : `WRONG: ${wrong.join('; ')}`)
}

function withRedis({ ms, awayMs }: Recovery): number {
  return Math.max(0, ms - awayMs)
}

function cell(text: string): string {
  return text.padStart(Math.max(9, text.length + 2))
}

function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
}

function tell(number: number, said: readonly string[]): void {
  console.error(`\nlast words of daemon ${number}:\n${said.join('\n')}`)
}

process.exitCode = await main()
