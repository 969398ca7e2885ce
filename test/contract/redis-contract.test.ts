import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../engine/ports.ts'
import { RedisServer } from '../support/redis-server.ts'
import { lease, move, pushOnce, toyScripts } from '../support/toy-scripts.ts'
import { type Arm, EmbeddedArm, LossyArm, MemoryArm, MockArm, RealArm } from './arms.ts'
import { type Op, type Replies, runSequence } from './redis-contract.ts'
import { contractScripts, Life, stepArbitrary, type Types } from './steps.ts'

/** Operations per property and seed: always the same lives here; `CONTRACT_OPS=100000 CONTRACT_SEED=$RANDOM` for others. */
const opsWanted = Number(process.env.CONTRACT_OPS ?? 3_000)
const seed = Number(process.env.CONTRACT_SEED ?? 1)
const stepsMax = 60
/** Shrinking ends with what it has by then. */
const limits = opsWanted > 10_000 ? {} : { interruptAfterTimeLimit: 40_000 }

let server: RedisServer
beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(() => server.remove())

type LiveOptions = { replies?: Replies; types?: Types; share?: number }

/** Runs random lives on all arms; the situations that were reached, and how often. */
async function live(memory: MemoryArm, others: readonly Arm[], options: LiveOptions = {}) {
  const reached = new Map<string, number>()
  const steps = fc.array(stepArbitrary, { maxLength: stepsMax, size: 'max' })
  const property = fc.asyncProperty(steps, async list => {
    const life = new Life(() => memory.db, options.types)
    for (const situation of await runSequence([memory, ...others], life.ops(list), options.replies)) {
      reached.set(situation, (reached.get(situation) ?? 0) + 1)
    }
  })
  const numRuns = Math.max(10, Math.round((opsWanted * (options.share ?? 1)) / (stepsMax / 2)))
  try {
    await fc.assert(property, { numRuns, ...limits, seed })
  } finally {
    for (const arm of others) await arm.close()
  }
  return reached
}

/** Situations that random lives must come to, or they compare nothing of worth. */
const mustReach = [
  'start-run new',
  'start-run resumed',
  'start-run changed',
  'start-run adopted',
  'start-run running',
  'start-run idle',
  'start-run REDIS_WRONG_TYPE',
  'acquire acquired',
  'acquire held',
  'acquire changed',
  'acquire outdated',
  'acquire yield',
  'redefine redefined',
  'redefine adopted',
  'redefine other',
  'redefine held',
  'redefine orphans',
  'redefine REDIS_WRONG_TYPE',
  'renew 1',
  'release released',
  'release fenced',
  'claim claimed',
  'claim empty',
  'claim fenced',
  'claim diverged',
  'claim REDIS_WRONG_TYPE',
  'commit ok',
  'commit full',
  'commit lost',
  'commit fenced',
  'commit diverged',
  'commit again',
  'commit REDIS_WRONG_TYPE',
  'commit REDIS_OUT_OF_MEMORY',
  'delay delay',
  'complete waiting',
  'complete completed',
  'push pushed',
  'push full',
  'push REDIS_OUT_OF_MEMORY',
  'requeue requeued',
  'requeue unknown',
  'purge-dead-letters purged',
  'purge-queue purged',
  'desire ok',
  'desire differs',
  'attend ok',
  'commit-request ok',
  'commit-request full',
  'dev-cache ok',
  'define ok',
  'define conflict',
  'define missing',
  'spend granted',
  'spend spent',
  'intake p',
  'intake f',
  'intake d',
  'attend REDIS_WRONG_TYPE',
  'take',
]

const call = (script: Script, keys: string[], args: string[]): Op => ({ kind: 'call', script, keys, args })

describe('the harness', () => {
  const toys: Op[] = [
    call(pushOnce, ['list', 'tokens'], ['a', 'x', 'é']),
    call(pushOnce, ['list', 'tokens'], ['a', 'x', 'é']),
    call(move, ['list', 'taken'], ['5']),
    { kind: 'disturb' },
    call(move, ['tokens', 'taken'], ['1']),
    call(lease, ['r', 'n', 's'], ['me']),
    call(lease, ['r', 'n', 'r'], ['you']),
    { kind: 'take', key: 'taken' },
  ]

  test('all arms agree on three small scripts', async () => {
    const arms = [new MemoryArm(), new EmbeddedArm(toyScripts), new RealArm(server)] as const
    await arms[2].start()
    expect(await runSequence(arms, toys)).toHaveLength(toys.length)
    for (const arm of arms) await arm.close()
  })

  test.each([
    ['a reply', { ...move, lua: `${move.lua.replace(/return moved$/, "return { 'other' }")}` }, /differ in the reply/],
    ['a key', { ...pushOnce, lua: pushOnce.lua.replace('RPUSH', 'LPUSH') }, /differ in the keys/],
    [
      'an error',
      { ...lease, lua: lease.lua.replace("'INCRBY'", "'LLEN'").replace(', 1), false', '), false') },
      /differ in the reply/,
    ],
  ])('finds %s that differs', async (_what, wrong, message) => {
    const arms = [new MemoryArm(), new RealArm(server)] as const
    await arms[1].start()
    const ops = toys.map(op => (op.kind === 'call' && op.script.name === wrong.name ? { ...op, script: wrong } : op))
    await expect(runSequence(arms, ops)).rejects.toThrow(message)
    await arms[1].close()
  })
})

describe('every script, over generated lives', () => {
  test('memory = a real server, also at maxmemory', async () => {
    const real = new RealArm(server)
    await real.start()
    const reached = await live(new MemoryArm(), [real])
    expect(mustReach.filter(situation => !reached.has(situation))).toEqual([])
  })

  test('memory = embedded, closed and opened again in between', async () => {
    const reached = await live(new MemoryArm(), [new EmbeddedArm(contractScripts)])
    expect(reached.get('disturb')).toBeGreaterThan(0)
  })

  test('memory = a real server whose replies get lost', async () => {
    const lossy = new LossyArm(server)
    await lossy.start()
    await live(new MemoryArm(), [lossy], { replies: 'resent', share: 0.1 })
    expect(lossy.cuts).toBeGreaterThan(0)
  })

  test('memory = ioredis-mock running our Lua', async () => {
    await live(new MemoryArm(), [new MockArm()], { types: 'kept', share: 0.1 })
  })
})
