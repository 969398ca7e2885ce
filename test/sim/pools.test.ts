/** Loops in simulated workers: what becomes of a run when they die, stand still, or are of another version. */
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { expectedEffects } from '../../sim/expected.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import type { PlanEvent } from '../../sim/plan.ts'
import { simulate } from '../../sim/world.ts'
import { fault, graphOf, planOf, twoLoops } from './support.ts'

type WorkerPool = 'thread' | 'process'

/** The loop that claims runs in a worker. */
function pooled(pool: WorkerPool): JsonObject {
  return { ...twoLoops(6), settings: { loops: { in: { pool } } } }
}

async function run(pool: WorkerPool, events: readonly PlanEvent[]) {
  const workflow = pooled(pool)
  const graph = graphOf(workflow)
  const expected = await expectedEffects(graph, {})
  const result = await simulate({
    plan: planOf(workflow, events),
    graph,
    expected,
    startEngine: startFlowEngine,
    trace: 'all',
    stepsMax: 40_000,
  })
  const told = result.lines.map(line => JSON.parse(line) as JsonObject)
  const starts = told.filter(line => line.worker === 'starts').length
  const warnings = told.flatMap(({ event }) => {
    const { type, code, message } = (event ?? {}) as { type?: string; code?: string; message?: string }
    return type === 'warning' ? [`${code}: ${message}`] : []
  })
  return { ...result, starts, warnings }
}

describe.each<WorkerPool>(['thread', 'process'])('a loop in a simulated %s', pool => {
  it('runs to its end in one worker', async () => {
    const { failure, stats, starts, warnings } = await run(pool, [])
    expect(failure).toBeUndefined()
    expect([stats.iterations, starts, warnings]).toEqual([12, 1, []])
  })

  const deaths = ['claim in 1', 'commit in 1', 'complete in 1', 'start in 1', 'wait in 1'].flatMap(at =>
    (['worker-before', 'worker-applied', 'worker-replied'] as const).map(kind => [kind, at] as const),
  )
  it.each(deaths)('is served again after %s at %s', async (kind, at) => {
    const { failure, starts, stats } = await run(pool, [fault(kind, at)])
    expect(failure).toBeUndefined()
    // once the run is complete, there is nothing left to serve
    const isOver = at.startsWith('complete') && kind !== 'worker-before'
    expect(starts).toBe(1 + (isOver ? 0 : (stats.faults[kind] ?? 0)))
    expect(stats.crashes).toBe(0)
  })

  it.each(['crash-before', 'crash-applied', 'crash-replied'] as const)('survives %s of its daemon', async kind => {
    const { failure, stats } = await run(pool, [fault(kind, 'commit in 1')])
    expect(failure).toBeUndefined()
    expect(stats.crashes).toBe(1)
  })

  it.each([
    ['loop', 0],
    ['process', 0],
    ['process', 30_000],
  ])('is ended and served again when its %s stands still for %i ms', async (how, ms) => {
    const { failure, starts, warnings } = await run(pool, [fault('worker-hang', 'commit in 1', { how, ms })])
    expect(failure).toBeUndefined()
    expect(starts).toBe(2)
    expect(warnings).toEqual([expect.stringMatching(/^LOOP_CRASHED: .*(SIGTERM|SIGKILL), ended because /)])
  })

  it('is waited for when one worker after another stands still until its daemon ends it', async () => {
    const hangs = [1, 2, 3].map(n => fault('worker-hang', `claim in ${n}`, { how: 'loop', ms: 0 }))
    const { failure, starts, stats } = await run(pool, hangs)
    expect(failure).toBeUndefined()
    expect([starts, stats.faults['worker-hang']]).toEqual([4, 3])
  })

  it('is given back by a daemon that was told to stop, although its worker had to be ended', async () => {
    const hang = fault('worker-hang', 'claim in 1', { how: 'loop', ms: 0 })
    const { failure, stats } = await run(pool, [hang, fault('stop', 'claim in 1')])
    expect(failure).toBeUndefined()
    expect([stats.faults['worker-hang'], stats.faults.stop]).toEqual([1, 1])
  })

  it('goes on when its process stands still for a moment only', async () => {
    const hang = fault('worker-hang', 'commit in 1', { how: 'process', ms: 3_000 })
    const { failure, starts } = await run('process', [hang])
    expect(failure).toBeUndefined()
    expect(starts).toBe(1)
  })

  it('says what it died of', async () => {
    const { failure, warnings } = await run(pool, [fault('worker-oom', 'commit in 1')])
    expect(failure).toBeUndefined()
    expect(warnings).toEqual([expect.stringContaining('out of memory (exit code 134), last seen with 512 MB')])
  })

  it('refuses a worker of another version in words, and tries another', async () => {
    const { failure, starts, warnings } = await run(pool, [fault('worker-version', 'start in 1')])
    expect(failure).toBeUndefined()
    expect(starts).toBe(2)
    expect(warnings).toEqual([expect.stringMatching(/^WORKER_REFUSED: .*it speaks version 0 of the protocol/)])
  })
})
