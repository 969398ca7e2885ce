/** A process to be killed: pushes 0, 1, 2 … into the embedded Redis of a folder and prints each number once acknowledged. */
import { writeSync } from 'node:fs'
import { openEmbeddedRedis } from '../../daemon/embedded-redis.ts'
import { systemClock } from '../../daemon/system-ports.ts'
import { pushOnce, toyScripts } from './toy-scripts.ts'

const [dir = '', from = '0'] = process.argv.slice(2)
const redis = await openEmbeddedRedis({ dir, clock: systemClock(), scripts: toyScripts, compactBytes: 20_000 })
for (let i = Number(from); ; i++) {
  await redis.call(pushOnce, ['list', `tokens-${i}`], ['t', String(i)])
  writeSync(1, `${i}\n`)
}
