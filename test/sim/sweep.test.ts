import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { type StartEngine, startFlowEngine } from '../../sim/instance.ts'
import { sweepCrashes, sweepFaults } from '../../sim/sweep.ts'
import { subjectOf, twoLoops } from './support.ts'

/** A port that tells of every call but `close`, which says nothing to anybody. */
function noting<Port extends object>(port: Port, note: (call: string) => void): Port {
  return new Proxy(port, {
    get: (target, name) => {
      const method = Reflect.get(target, name)
      if (typeof method !== 'function' || name === 'close') return method
      return (...args: unknown[]) => {
        note(String(name))
        return method.apply(target, args)
      }
    },
  })
}

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

  it.each(['http', 'file-writer', 'three-loops', 'delay'])(
    'knows every call of %s to a port that can fail',
    async name => {
      const file = join(import.meta.dirname, `../../fixtures/workflows/${name}.json`)
      const calls: string[] = []
      const subject = await subjectOf(JSON.parse(readFileSync(file, 'utf8')) as JsonObject)
      const startEngine: StartEngine = options => {
        const { redis, http, files } = options.ports
        const note = (call: string): void => void calls.push(call)
        const ports = {
          ...options.ports,
          redis: noting(redis, note),
          http: noting(http, note),
          files: noting(files, note),
        }
        return startFlowEngine({ ...options, ports })
      }
      const { operations } = await sweepCrashes([subject], { seed: '0x1', startEngine, goesOn: () => false })
      expect(calls.length).toBeGreaterThan(10)
      expect(operations).toBe(calls.length)
    },
  )

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
