/** Commits behind the runner: in order, each once, one group at a time, and nothing after a failure. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../../../engine/limits.ts'
import { Committer, type Finished } from '../../../engine/run/committer.ts'
import { Prefetch } from '../../../engine/run/prefetch.ts'
import { RuntimeCache } from '../../../engine/run/runtime-cache.ts'
import type { CommitAnswer, IterationCommit } from '../../../engine/store/replica-store.ts'

const answer = (applied: number, full?: string): CommitAnswer => {
  return { applied, full, requeued: 0, dropped: 0, runtimeVersion: '0', entries: [] }
}

/** A commit that is told apart by its key. */
function finished(key: string, told: string[]): Finished {
  const commit: IterationCommit = {
    claimKey: key,
    pushes: [],
    state: new Map(),
    runtime: new Map(),
    delays: [],
    outcome: 'ok',
  }
  return { commit, committed: () => void told.push(key) }
}

const keysOf = (group: readonly IterationCommit[]) => group.map(each => each.claimKey as string)

describe('Committer', () => {
  test('whatever room there is, everything is committed once and in order, one group at a time', async () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(3)), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(steps, async plan => {
        const told: string[] = []
        const applied: string[] = []
        let sending = 0
        let turn = 0
        const committer = new Committer({
          nowMs: () => 0,
          send: async group => {
            sending += 1
            expect(sending).toBe(1)
            await Promise.resolve()
            sending -= 1
            // sometimes there is no room for all of it
            const room = plan[turn++ % plan.length]?.[1] === 0 ? Math.ceil(group.length / 2) : group.length
            applied.push(...keysOf(group).slice(0, room))
            return answer(room, room < group.length ? 'q' : undefined)
          },
          noteAnswer: async () => undefined,
          waitForRoom: async () => true,
        })
        const all: string[] = []
        for (const [count] of plan) {
          for (let i = 0; i < count; i++) {
            all.push(`k${all.length}`)
            committer.add(finished(all.at(-1) as string, told))
          }
          if (count === 4) expect(await committer.settled()).toBe(true)
        }
        await committer.settled()
        expect(applied).toEqual(all)
        expect(told).toEqual(all)
      }),
    )
  })

  test('what failed once fails every later call, and nothing more is told', async () => {
    const told: string[] = []
    const committer = new Committer({
      nowMs: () => 0,
      send: () => Promise.reject(new Error('fenced')),
      noteAnswer: async () => undefined,
      waitForRoom: async () => true,
    })
    committer.add(finished('a', told))
    await expect(committer.settled()).rejects.toThrow('fenced')
    expect(() => committer.add(finished('b', told))).toThrow('fenced')
    expect(told).toEqual([])
  })

  test('is late when a commit takes long, so that a loop that only computes gives others a turn', async () => {
    let nowMs = 1_000
    let answered: (answer: CommitAnswer) => void = () => undefined
    const committer = new Committer({
      nowMs: () => nowMs,
      send: () =>
        new Promise(resolve => {
          answered = resolve
        }),
      noteAnswer: async () => undefined,
      waitForRoom: async () => true,
    })
    expect(committer.isLate).toBe(false)
    committer.add(finished('a', []))
    nowMs += limits.backlogMs
    expect(committer.isLate).toBe(false)
    nowMs += 1
    expect(committer.isLate).toBe(true)
    answered(answer(1))
    await committer.settled()
    nowMs += 60_000
    expect(committer.isLate).toBe(false)
  })

  test('gives up when the loop is aborted while a target is full, and says so', async () => {
    const told: string[] = []
    const committer = new Committer({
      nowMs: () => 0,
      send: async () => answer(0, 'q'),
      noteAnswer: async () => undefined,
      waitForRoom: async () => false,
    })
    committer.add(finished('a', told))
    expect(await committer.settled()).toBe(false)
    expect(told).toEqual([])
  })
})

describe('Prefetch', () => {
  test('grows twofold at most, to about 100 ms of work, and shrinks when work gets slow', () => {
    const prefetch = new Prefetch()
    const targets = Array.from({ length: 8 }, () => {
      prefetch.note(0.1)
      return prefetch.target
    })
    expect(targets).toEqual([2, 4, 8, 16, 32, 64, limits.prefetchMax, limits.prefetchMax])
    for (let i = 0; i < 20; i++) prefetch.note(50)
    expect(prefetch.target).toBe(2)
    for (let i = 0; i < 20; i++) prefetch.note(5000)
    expect(prefetch.target).toBe(1)
  })
})

describe('RuntimeCache', () => {
  test('shows own writes before and after their commit, and what others wrote after a refresh', async () => {
    let redis = { version: '1', variables: new Map([['a', '1']]) }
    const cache = new RuntimeCache(async () => redis)
    await cache.refresh('')
    const writes = new Map([
      ['b', '2'],
      ['a', undefined],
    ])
    const before = cache.variables
    cache.finished(writes)
    expect([...cache.variables]).toEqual([['b', '2']])
    expect([...before]).toEqual([['a', '1']])
    // somebody else's write arrives while ours is on its way
    redis = {
      version: '2',
      variables: new Map([
        ['a', '1'],
        ['c', '3'],
      ]),
    }
    await cache.refresh('2')
    expect(Object.fromEntries(cache.variables)).toEqual({ b: '2', c: '3' })
    cache.committed(writes)
    redis = {
      version: '3',
      variables: new Map([
        ['b', '2'],
        ['c', '3'],
      ]),
    }
    await cache.refresh('3')
    expect(Object.fromEntries(cache.variables)).toEqual({ b: '2', c: '3' })
  })
})
