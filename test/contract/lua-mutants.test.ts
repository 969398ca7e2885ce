/**
 * Is the contract suite worth its trust? Small bugs are planted in the Lua text of an operation; random lives on a real
 * server must tell it from the TypeScript beside it.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../engine/ports.ts'
import { allScripts } from '../../engine/store/scripts/index.ts'
import { RedisServer } from '../support/redis-server.ts'
import { MemoryArm, RealArm } from './arms.ts'
import { type MakeOp, runSequence } from './redis-contract.ts'
import { Life, stepArbitrary } from './steps.ts'

const livesMax = 200
const msMax = 60_000

/** The operation, what its Lua says, and what it shall say instead. */
const mutants: readonly [name: string, script: string, find: string, replace: string][] = [
  ['a claim takes the newest item', 'claim', '0, wish.most - 1)', '-wish.most, -1)'],
  ['a claim cuts its queue at the wrong end', 'claim', 'taken, -1)', '0, -1 - taken)'],
  ['a suspect is not claimed alone', 'claim', 'done = suspect or #claims', 'done = #claims'],
  [
    'a suspect is claimed behind others',
    'claim',
    'if suspect and (#claims > 0 or held) then done = true return false end',
    '',
  ],
  [
    'a repeated claim claims again',
    'claim',
    'before and lastClaims(tonumber(before)) or take(r, wish)',
    'take(r, wish)',
  ],
  ['a queue is full one item too early', 'commit', '+ more[queue] > limit', '+ more[queue] >= limit'],
  ['a group forgets what its earlier iterations push', 'commit', 'length[queue] = length[queue] + n', ''],
  ['what has no room is committed too', 'commit', 'for i = 1, applied do', 'for i = 1, #iterations do'],
  ['a commit releases the wrong claim', 'commit', 'c, totals.claimed, -1)', 'c, 0, -1 - totals.claimed)'],
  [
    'of two writes the first stays',
    'commit',
    'written[kind][name] = value',
    'written[kind][name] = written[kind][name] or value',
  ],
  ['variables of two iterations are one version', 'commit', 'versions + version', 'version'],
  ['seq is not checked', 'commit', 'now[3] ~= seq', 'false'],
  ['the holder is not checked', 'commit', 'now[2] ~= holder', 'false'],
  ['readers are not woken', 'commit', 'ringReaders(queue)\n  end\nend', 'end\nend'],
  ['dropped dead letters stay', 'commit', "redis.call('HDEL', P .. 'dl', oldest)", ''],
  ['recovery reverses order', 'acquire', 'for i = #claims, 1, -1 do', 'for i = 1, #claims do'],
  ['a death is not charged', 'acquire', "if mark == 'charge' then flags = text(tonumber(flags) + 1) end", ''],
  ['a lease that has not run out is free', 'acquire', '~= gone and left > 0', '~= gone and left > 9e15'],
  [
    'what died after the end of its loop holds it for ever',
    'acquire',
    "if current == '' or current ~= gone then return end",
    'if true then return end',
  ],
  ['a drain charges what it gives back', 'release', "returnClaims(name, 'none')", "returnClaims(name, 'charge')"],
  [
    'a loop ends although claims are left',
    'complete',
    "'LLEN', P .. 'c:' .. name) > 0",
    "'LLEN', P .. 'c:' .. name) > 99",
  ],
  [
    'what comes after the end of a loop is claimed',
    'claim',
    "ended == redis.call('HGET', P .. 'meta', 'run')",
    'false',
  ],
  ['a delay begins again', 'delay', "'HSETNX'", "'HSET'"],
  ['a requeued letter stays a letter', 'requeue', "redis.call('HDEL', P .. 'dl', id)", ''],
  ['a wish replaces any other', 'desire', "instead ~= '*' and before ~= instead", 'false'],
  ['a wish for a run starts another beside it', 'desire', "if status == 'running' then wish = '' end", ''],
  ['a daemon starts what somebody stopped', 'start-run', "wish == 'stop' or wish == 'kill'", 'false'],
  ['a daemon begins what is complete', 'start-run', "status == 'completed' and not token", 'false'],
  ['a begun run forgets which wish it was', 'start-run', 'runToken = token or runToken', ''],
  [
    'a daemon that leaves stays on the list',
    'attend',
    "if about ~= '' then redis.call('HSET', daemons",
    "if true then redis.call('HSET', daemons",
  ],
  ['an old definition of a loop is leased', 'acquire', "redis.call('HGET', P .. 'loops', loop) ~= hash", 'false'],
  ['a loop that shall yield is leased', 'acquire', 'yieldMs > 0', 'yieldMs > 9e15'],
  ['whoever waits for a lease is not woken', 'release', 'ring(loop)\nringWaiting(name)', 'ring(loop)'],
  ['a redefinition takes no notice of who holds what', 'redefine', '#held > 0', '#held > 99'],
  ['a redefinition leaves items without a reader', 'redefine', '#orphans > 0', '#orphans > 99'],
  ['a redefinition replaces what it does not know', 'redefine', 'current ~= expected', 'false'],
  ['a redefinition leaves claims where nobody looks', 'redefine', 'returnClaims(name, mark)\n    redis', 'redis'],
  ['a loop with more to do stays ended', 'redefine', 'if running then for', 'if false then for'],
  ['a limit is passed by one', 'spend', 'limit - tonumber(used)', 'limit + 1 - tonumber(used)'],
  ['a request sent again counts twice', 'spend', 'last ~= token', 'true'],
  ['a repeated push pushes again', 'push', 'if before then return before end', ''],
]

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.remove())

function planted([, name, find, replace]: (typeof mutants)[number]): Script {
  const script = allScripts.find(each => each.name === name) as Script
  const parts = script.lua.split(find)
  expect(parts, `"${find}" is there once in the Lua of ${name}`).toHaveLength(2)
  return { ...script, lua: parts.join(replace) }
}

/** How many lives it takes until the arms differ; undefined when they never do. */
async function livesToDetect(wrong: Script | undefined, most = livesMax): Promise<number | undefined> {
  const [memory, real] = [new MemoryArm(), new RealArm(server)]
  await real.start()
  const swap =
    (make: MakeOp): MakeOp =>
    () => {
      const op = make()
      return op?.kind === 'call' && op.script.name === wrong?.name ? { ...op, script: wrong } : op
    }
  const lives = fc.sample(fc.array(stepArbitrary, { minLength: 60, maxLength: 60 }), { numRuns: most, seed: 1 })
  try {
    for (const [i, steps] of lives.entries()) {
      const ops = new Life(() => memory.db, 'kept').ops(steps).map(swap)
      const differs = await runSequence([memory, real], ops).then(
        () => false,
        error => /differ in the/.test((error as Error).message),
      )
      if (differs) return i + 1
    }
    return undefined
  } finally {
    await real.close()
  }
}

describe('bugs planted in the Lua', () => {
  test.each(mutants.map(mutant => [mutant[0], mutant] as const))(
    '%s: found',
    async (_name, mutant) => {
      expect(await livesToDetect(planted(mutant))).toBeLessThanOrEqual(livesMax)
    },
    msMax,
  )

  const clean = 10
  test(
    'nothing is found in the Lua as it is',
    async () => {
      expect(await livesToDetect(undefined, clean)).toBeUndefined()
    },
    msMax,
  )
})
