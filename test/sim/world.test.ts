import { Script } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { expectedEffects } from '../../sim/expected.ts'
import { type Engine, type StartEngine, startFlowEngine } from '../../sim/instance.ts'
import type { PlanEvent, PlanSettings } from '../../sim/plan.ts'
import { simulate } from '../../sim/world.ts'
import { fault, graphOf, planOf, twoLoops } from './support.ts'

const workflow = twoLoops(5)
const graph = graphOf(workflow)

async function run(
  events: readonly PlanEvent[],
  startEngine: StartEngine = startFlowEngine,
  settings: Partial<PlanSettings> = {},
) {
  const expected = expectedEffects(graph, {})
  const plan = planOf(workflow, events)
  return simulate({
    plan: { ...plan, settings: { ...plan.settings, ...settings } },
    graph,
    expected,
    startEngine,
    trace: 'all',
    stepsMax: 20_000,
  })
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
    'pause',
    'failover',
    'clock-jump',
    'clock-drift',
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
      const { failure } = await run([fault(kind, target, { ms: 12_000, percent: 5 })])
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

describe('several daemons', () => {
  const three = { instances: 3, comebackMsMax: 5 }
  const starts = (lines: readonly string[]) =>
    lines
      .map(line => JSON.parse(line) as { daemon?: unknown; number?: number })
      .filter(({ daemon }) => daemon === 'starts')
      .map(({ number }) => number)

  it('all begin, share the work, and end', async () => {
    const { failure, lines, stats } = await run([], startFlowEngine, three)
    expect(failure).toBeUndefined()
    expect(starts(lines).sort()).toEqual([1, 2, 3])
    expect(stats.iterations).toBe(10)
  })

  it('die and come back one by one', async () => {
    const { failure, lines, stats } = await run([fault('crash-applied', 'commit in 1')], startFlowEngine, three)
    expect(failure).toBeUndefined()
    expect(stats.crashes).toBe(1)
    expect(starts(lines)).toHaveLength(4)
  })

  it.each(['commit in 1', 'commit count 2', 'claim in 2', 'complete in 1', 'renew - 1'])(
    'one sleeps beyond its lease at %s, another takes over, and only one of them counts',
    async target => {
      for (const ms of [11_000, 30_000]) {
        const { failure, lines, stats } = await run([fault('pause', target, { ms })], startFlowEngine, three)
        expect(failure).toBeUndefined()
        if (stats.faults.pause === 1) expect(lines.some(line => line.includes('wakes up'))).toBe(true)
      }
    },
  )

  it('tells the one that slept that it was replaced', async () => {
    const { stats } = await run([fault('pause', 'commit in 1', { ms: 30_000 })], startFlowEngine, three)
    expect([...stats.reached]).toContain('a daemon woke up from a pause to find its commit refused')
  })

  it('lets only a core of them go on when faults are over', async () => {
    const lost = new Set<number>()
    for (let i = 1; i < 8; i++) {
      const settings = { ...three, faultsUntilMs: 1 }
      const expected = expectedEffects(graph, {})
      const plan = { ...planOf(workflow), seed: `0x${i}` }
      const result = await simulate({
        plan: { ...plan, settings: { ...plan.settings, ...settings } },
        graph,
        expected,
        startEngine: startFlowEngine,
        trace: 'all',
      })
      expect(result.failure).toBeUndefined()
      const healed = result.lines.map(line => JSON.parse(line) as { lost?: number[] }).find(line => line.lost)
      lost.add(healed?.lost?.length ?? -1)
    }
    expect([...lost].sort()).toEqual([0, 1, 2])
  })

  it('never begin a run that is complete', async () => {
    const { failure, lines } = await run([], startFlowEngine, { instances: 2, comebackMsMax: 100_000 })
    expect(failure).toBeUndefined()
    expect(lines.filter(line => line.includes('"new\\nrun-'))).toHaveLength(1)
  })
})
