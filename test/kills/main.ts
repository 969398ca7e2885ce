/** `npm run kills -- [--items N] [--kills N] [--seed S]`: the full size, on the embedded and on a real Redis. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { RedisServer } from '../support/redis-server.ts'
import { firstFault, runWithKills, threeLoops } from './kill-runs.ts'

const { values } = parseArgs({
  options: {
    items: { type: 'string', default: '20000' },
    kills: { type: 'string', default: '50' },
    seed: { type: 'string', default: 'full' },
  },
})
/** Of fifty: at least so many must come between a commit's sending and its answer. */
const inCommitMin = 15
const [items, kills] = [Number(values.items), Number(values.kills)]

async function once(arm: 'embedded' | 'real'): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'theoneeye-kills-'))
  const server = arm === 'real' ? await RedisServer.start({ appendonly: 'yes' }) : undefined
  try {
    const file = join(dir, 'kills.json')
    writeFileSync(file, threeLoops(items))
    const where = server === undefined ? {} : { redisUrl: server.url }
    const started = performance.now()
    const result = await runWithKills(file, { items, kills, seed: `${values.seed}-${arm}`, dir, ...where })
    const fault = firstFault(result.numbers, items)
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    console.log(
      `${arm}: ${result.kills} kills, ${result.inCommit} of them between a commit's sending and its answer, ${result.starts} starts, ${result.numbers.length} items, ${result.deadLetters} dead letters, ${seconds} s: ${fault ?? 'each once and in order'}`,
    )
    return fault === undefined && result.deadLetters === 0 && result.inCommit >= Math.floor((kills * inCommitMin) / 50)
  } finally {
    await server?.remove()
    rmSync(dir, { recursive: true, force: true })
  }
}

const good = [await once('embedded'), await once('real')]
process.exitCode = good.every(Boolean) ? 0 : 1
