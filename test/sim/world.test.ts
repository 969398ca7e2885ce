import { Script } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { expectedEffects } from '../../sim/expected.ts'
import { type Engine, type StartEngine, startFlowEngine } from '../../sim/instance.ts'
import type { PlanEvent } from '../../sim/plan.ts'
import { simulate } from '../../sim/world.ts'
import { fault, graphOf, planOf, twoLoops } from './support.ts'

const workflow = twoLoops(5)
const graph = graphOf(workflow)

async function run(events: readonly PlanEvent[], startEngine: StartEngine = startFlowEngine) {
  const expected = await expectedEffects(graph, {})
  return simulate({ plan: planOf(workflow, events), graph, expected, startEngine, trace: 'all', stepsMax: 20_000 })
}

/** An engine that does something with its ports and then never ends. */
function toy(start: (ports: Parameters<StartEngine>[0]['ports']) => Promise<unknown>): StartEngine {
  return ({ ports }): Engine => ({
    start: () => start(ports),
    stop: async () => undefined,
    done: new Promise(() => undefined),
  })
}

describe('simulate', () => {
  it('lets the engine complete, and says what it did', async () => {
    const { failure, stats } = await run([])
    expect(failure).toBeUndefined()
    expect([stats.iterations, stats.crashes]).toEqual([10, 0])
    expect(stats.commits).toBeGreaterThan(2)
  })

  const points = [
    'crash-before',
    'crash-applied',
    'crash-replied',
    'reply-lost',
    'lost-before',
    'refused',
    'refused-applied',
    'restart',
    'restart-loses',
    'stop',
  ] as const
  const targets = [
    'start-run - 1',
    'acquire count 1',
    'claim in 2',
    'commit count 3',
    'commit in 1',
    'complete in 1',
    'complete count 1',
    'wait in 1',
    'hgetall - 1',
  ]
  it.each(points)('holds with %s at every kind of operation', async kind => {
    for (const target of targets) {
      const { failure } = await run([fault(kind, target)])
      expect(failure, target).toBeUndefined()
    }
  })

  it('applies each fault where its plan says', async () => {
    const { stats, lines } = await run([
      fault('crash-applied', 'commit in 2'),
      fault('oom', 'commit count 2', { ms: 50 }),
    ])
    expect(stats.faults).toEqual({ 'crash-applied': 1, oom: 1 })
    expect(stats.crashes).toBe(1)
    expect(lines.filter(line => line.includes('"daemon":"starts"'))).toHaveLength(2)
  })

  it('never runs on in a daemon that died', async () => {
    const lives: string[] = []
    let life = 0
    const { failure } = await run(
      [fault('crash-applied', 'hget - 2')],
      toy(async ({ redis, clock }) => {
        const me = ++life
        for (let i = 0; i < 4; i++) {
          await redis.hget('k', 'f')
          lives.push(`${me}.${i}`)
        }
        await clock.sleep(1)
      }),
    )
    expect(lives).toEqual(['1.0', '2.0', '2.1', '2.2', '2.3'])
    expect(failure?.kind).toBe('stuck')
  })

  it('tells a dead daemon from one that may live elsewhere', async () => {
    const seen: boolean[] = []
    let before: { boot: string; pid: number; start: string } | undefined
    await run(
      [fault('crash-before', 'hget - 1')],
      toy(async ({ redis, host }) => {
        const me = host.identity()
        if (before !== undefined) {
          seen.push(
            host.isGone(before),
            host.isGone(me),
            host.isGone({ ...before, boot: 'other' }),
            host.isGone({ ...before, pid: 1 }),
          )
        }
        before ??= me
        await redis.hget('k', 'f')
      }),
    )
    expect(seen).toEqual([true, false, false, false])
  })

  it('calls it stuck when nobody gets on, however busy', async () => {
    const { failure } = await run(
      [],
      toy(async ({ clock }) => {
        for (;;) await clock.sleep(1_000)
      }),
    )
    expect(failure).toMatchObject({ kind: 'stuck', invariant: 'stuck' })
  })

  it('waits for whoever sleeps on purpose', async () => {
    const { failure } = await run(
      [],
      toy(async ({ clock }) => {
        await clock.sleep(86_400_000)
        throw new Error('awake')
      }),
    )
    expect(failure).toMatchObject({ kind: 'crash', at: 86_400_000 })
  })

  it('calls it inconclusive when its steps are used up', async () => {
    const { failure } = await run(
      [],
      toy(async ({ clock }) => {
        for (;;) await clock.sleep(1)
      }),
    )
    expect(failure?.kind).toBe('inconclusive')
  })

  it('finds an engine that reaches past its ports', async () => {
    const filename = new URL('../../engine/run/some.ts', import.meta.url).href
    const look = new Script('() => Date.now()', { filename }).runInThisContext() as () => number
    const { failure } = await run(
      [],
      toy(async () => look()),
    )
    expect(failure).toMatchObject({ kind: 'escape', seen: 'Date.now was used in engine/run/some.ts:1:12' })
  })

  it('finds an engine that throws where nobody catches', async () => {
    const { failure } = await run(
      [],
      toy(async () => {
        void Promise.reject(new TypeError('lost'))
      }),
    )
    expect(failure).toMatchObject({ kind: 'crash' })
    expect(failure?.seen).toContain('TypeError: lost')
  })

  it('finds an engine that calls it completed when it is not', async () => {
    const { failure } = await run([], () => ({
      start: async () => undefined,
      stop: async () => undefined,
      done: Promise.resolve({ status: 'completed' }),
    }))
    expect(failure).toMatchObject({ kind: 'invariant', invariant: 'completion' })
  })
})
