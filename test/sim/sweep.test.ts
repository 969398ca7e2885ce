import { describe, expect, it } from 'vitest'
import { startFlowEngine } from '../../sim/instance.ts'
import { sweepCrashes, sweepFaults } from '../../sim/sweep.ts'
import { subjectOf, twoLoops } from './support.ts'

describe('sweepCrashes', () => {
  it('hits every operation once with every fault, and all of it holds', async () => {
    const { operations, hit, whole } = await sweepCrashes([await subjectOf(twoLoops(1))], { seed: '0x1' })
    expect(whole.found).toEqual([])
    expect(operations).toBeGreaterThan(15)
    expect(whole.runs).toBe(operations * sweepFaults.length + 1)
    expect(whole.faults['crash-before']).toBe(operations)
    expect(whole.totals.crashes).toBeGreaterThanOrEqual(2.5 * operations)
    expect(hit).toBe(Object.values(whole.faults).reduce((sum, n) => sum + n, 0))
  })

  it('finds an engine that does not survive its second start', async () => {
    let runs = 0
    const { whole } = await sweepCrashes([await subjectOf(twoLoops(1))], {
      seed: '0x1',
      goesOn: () => runs < 3,
      onRun: ({ run }) => {
        runs = run
      },
      startEngine: options => {
        if (options.ports.host.identity().pid === 1001) return startFlowEngine(options)
        return {
          start: () => Promise.reject(new Error('not again')),
          stop: async () => undefined,
          done: new Promise(() => undefined),
        }
      },
    })
    expect(whole.runs).toBe(3)
    expect(whole.found.map(({ failure }) => failure.kind)).toEqual(['crash', 'crash'])
  })
})
