/**
 * `npm run bench`: two hops (queue → loop → queue → loop) over a real Redis, beside the same with BullMQ at concurrency
 * 1, alternating in one run, because figures of different runs can't be compared here. The ratio is what counts.
 * Watch for regressions pinned to one core: `taskset -c 0 npm run bench`.
 */
import { parseArgs } from 'node:util'
import { RedisServer } from '../support/redis-server.ts'
import { bullmqTwoHops } from './bullmq.ts'
import { ourTwoHops } from './two-loops.ts'

const { values } = parseArgs({
  options: { items: { type: 'string', default: '5000' }, rounds: { type: 'string', default: '5' } },
})
const items = Number(values.items)
const rounds = Number(values.rounds)

/** Items per second. */
type Arm = { name: string; run(url: string, items: number): Promise<number>; rates: number[] }

const ours: Arm = { name: 'theoneeye, two loops', run: ourTwoHops, rates: [] }
const theirs: Arm = { name: 'BullMQ, two queues, concurrency 1', run: bullmqTwoHops, rates: [] }

const server = await RedisServer.start()
try {
  for (const arm of [ours, theirs]) await arm.run(server.url, Math.min(items, 500))
  for (let round = 1; round <= rounds; round++) {
    for (const arm of [ours, theirs]) {
      const rate = await arm.run(server.url, items)
      arm.rates.push(rate)
      console.log(`round ${round}  ${arm.name.padEnd(34)} ${Math.round(rate)} items/s`)
    }
  }
} finally {
  await server.remove()
}

console.log(`\n${items} items, median of ${rounds} rounds`)
for (const arm of [ours, theirs]) {
  const sorted = arm.rates.toSorted((a, b) => a - b)
  const spread = `${Math.round(sorted[0] ?? 0)} … ${Math.round(sorted.at(-1) ?? 0)}`
  console.log(`${arm.name.padEnd(34)} ${Math.round(median(arm.rates))} items/s  (${spread})`)
}
console.log(`ratio ${(median(ours.rates) / median(theirs.rates)).toFixed(2)}`)

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
