/**
 * What `npm run bench [-- NAME…] [--quick] [--rounds N] [--pin off|only|both]` runs: speed as it is today,
 * nothing asserted.
 * Without a name: all but `keyspace`, which is a program of its own and says so itself.
 * Each bench is measured twice: as the machine schedules it, and with this process and its servers on one core
 * (`taskset -c 0`), where waking another core does not drown everything else: steadier, so regressions show there.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { latency } from './latency.ts'
import { alternate, type Bench, report } from './measure.ts'
import { plan } from './plan.ts'
import { computing, isolation } from './pools.ts'
import { queues } from './queues.ts'
import { explored, simulated, week, year } from './sim.ts'
import { idling, starting } from './start.ts'
import { recording, replaying } from './traces.ts'
import { webhooks } from './webhooks.ts'

const benches: Record<string, readonly Bench[]> = {
  queues: [queues],
  latency: [latency(1), latency(2)],
  plan: [plan],
  sim: [simulated, explored, week, year],
  pools: [isolation, computing],
  traces: [recording, replaying],
  start: [starting],
  idle: [idling],
  webhooks: [webhooks],
}
/** For one bench, all its rounds. */
const minutesMax = 10
const usage = `npm run bench [-- ${[...Object.keys(benches), 'keyspace'].join('|')}] [--quick] [--rounds N] [--pin off|only|both]`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    pin: { type: 'string', default: 'both' },
  },
})
const names = positionals.length > 0 ? positionals : Object.keys(benches)
const rounds = Number(values.rounds)
const modes = { off: ['unpinned'], only: ['pinned'], both: ['unpinned', 'pinned'] }[values.pin]

if (positionals.join() === 'keyspace') runKeyspace()
else if (names.some(name => !(name in benches)) || modes === undefined || !(rounds >= 1)) {
  console.error(`Cannot run that bench; usage: ${usage}`)
  process.exitCode = 2
} else for (const mode of modes) await runAll(mode)

async function runAll(mode: string): Promise<void> {
  if (mode === 'pinned' && !pinToFirstCore()) return
  const cores = availableParallelism()
  for (const bench of names.flatMap(name => benches[name] ?? [])) {
    console.log(`\n${bench.title}\n${mode}, ${cores === 1 ? '1 core' : `${cores} cores`}, ${describe(bench)}\n`)
    console.log(report(await measure(bench)))
  }
}

function runKeyspace(): void {
  const file = join(import.meta.dirname, 'keyspace.js')
  process.exitCode = spawnSync(process.execPath, [file], { stdio: 'inherit' }).status ?? 1
}

/** Servers are started after this and inherit it. */
function pinToFirstCore(): boolean {
  try {
    execFileSync('taskset', ['-acp', '0', String(process.pid)], { stdio: 'ignore' })
    return true
  } catch {
    console.log('\nnot measured on one core: taskset -c 0 does not work here')
    return false
  }
}

function sizeOf(bench: Bench): number {
  return values.quick ? bench.size.quick : bench.size.full
}

function describe(bench: Bench): string {
  return `medians of ${rounds} alternating rounds of ${sizeOf(bench)}`
}

async function measure(bench: Bench) {
  const open = await bench.open()
  const stop = (): void => {
    process.exitCode = 1
    void open.close().finally(() => process.exit())
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)
  const tooLate = setTimeout(() => {
    console.error(`Cannot finish "${bench.title}": it took longer than ${minutesMax} minutes; something hangs`)
    stop()
  }, minutesMax * 60_000)
  try {
    return await alternate(open.arms, { rounds, size: sizeOf(bench), warmUp: bench.size.quick })
  } finally {
    clearTimeout(tooLate)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
    await open.close()
  }
}
