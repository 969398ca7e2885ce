import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openEmbeddedRedis } from '../../daemon/embedded-redis.ts'
import { systemClock } from '../../daemon/system-ports.ts'
import { tempDir } from '../support/temp-dir.ts'
import { toyScripts } from '../support/toy-scripts.ts'

const writer = fileURLToPath(new URL('../support/journal-writer.ts', import.meta.url))

/** Kills the writer after `count` acknowledged numbers; the last one it said. */
async function killAfter(dir: string, from: number, count: number): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', writer, dir, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = new Promise(resolve => child.once('exit', resolve))
  let last = -1
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    last = Number(line)
    if (last >= from + count) child.kill('SIGKILL')
  }
  await gone
  return last
}

test('killed at any moment, also while compacting: all that was acknowledged is there, once and in order', async () => {
  const dir = tempDir()
  let next = 0
  for (const count of [1, 130, 377, 250]) {
    const acknowledged = await killAfter(dir, next, count)
    expect(acknowledged).toBeGreaterThanOrEqual(next + count)
    const redis = await openEmbeddedRedis({ dir, clock: systemClock(), scripts: toyScripts })
    const found = (await redis.lrange('list', 0, -1)).map(Number)
    await redis.close()
    expect(found).toEqual(Array.from({ length: found.length }, (_, i) => i))
    expect(found.length).toBeGreaterThan(acknowledged)
    next = found.length
  }
})
