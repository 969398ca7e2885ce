/** `npm run replays -- [--workflows N] [--seed S]`: N generated workflows, from seed S on, recorded under faults and replayed. */
import { parseArgs } from 'node:util'
import { seedName } from '../../sim/explore.ts'
import { recordAndReplay } from './record-replay.ts'

const { values } = parseArgs({
  options: { workflows: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } },
})
const [workflows, first] = [Number(values.workflows), Number(values.seed)]
const started = performance.now()
const sum = { iterations: 0, faults: 0, wrong: 0 }
for (let i = 0; i < workflows; i++) {
  const { seed, iterations, faults, wrong } = await recordAndReplay(seedName(first + i))
  sum.iterations += iterations
  sum.faults += faults
  if (wrong.length === 0) continue
  sum.wrong += 1
  console.log(`${seed}: ${wrong.slice(0, 3).join('; ')}`)
}
const seconds = Math.round((performance.now() - started) / 1_000)
const did = `${sum.iterations} iterations under ${sum.faults} faults, ${seconds} s`
console.log(`${workflows} workflows recorded and replayed: ${workflows - sum.wrong} identical; ${did}`)
process.exitCode = sum.wrong === 0 ? 0 : 1
