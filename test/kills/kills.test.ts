/** A bounded form of what `npm run kills` does with 20,000 items and 50 kills; half of them while a commit is on its way. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../support/cli.ts'
import { RedisServer } from '../support/redis-server.ts'
import { firstFault, runWithKills, threeLoops } from './kill-runs.ts'

const plan = { items: 600, kills: 8, seed: 'ci' }

function workflowIn(dir: string): string {
  const file = join(dir, 'kills.json')
  writeFileSync(file, threeLoops(plan.items))
  return file
}

test('every item arrives once and in order through kill -9, on the embedded Redis', async () => {
  const dir = temporaryFolder()
  const result = await runWithKills(workflowIn(dir), { ...plan, dir })
  expect(firstFault(result.numbers, plan.items)).toBeUndefined()
  expect(result).toMatchObject({ kills: plan.kills, inCommit: plan.kills / 2, deadLetters: 0 })
}, 180_000)

test('every item arrives once and in order through kill -9, on a real Redis with AOF', async () => {
  const server = await RedisServer.start({ appendonly: 'yes' })
  onTestFinished(() => server.remove())
  const dir = temporaryFolder()
  const result = await runWithKills(workflowIn(dir), { ...plan, dir, redisUrl: server.url })
  expect(firstFault(result.numbers, plan.items)).toBeUndefined()
  expect(result).toMatchObject({ kills: plan.kills, inCommit: plan.kills / 2, deadLetters: 0 })
}, 180_000)
