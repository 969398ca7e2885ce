/** The fixtures under all faults; the whole thousand seeds of each runs outside of the tests. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { type ExploreOptions, explore, situationSeedsMin } from '../../sim/explore.ts'
import { allFaultKinds, type FaultKind } from '../../sim/faults.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { situations } from '../../sim/situations.ts'
import { loadSubject, type Subject } from '../../sim/subject.ts'
import { twoLoops } from './support.ts'

const folder = join(import.meta.dirname, '../../fixtures/workflows')
const fixtures = readdirSync(folder).filter(name => name.endsWith('.json'))

function subjectOf(workflow: JsonObject, name = 'w'): Promise<Subject> {
  return loadSubject({ name, workflow, files: {} }, defaultRegistry())
}

describe('explore', () => {
  it.each(fixtures)('finds nothing wrong with %s', async name => {
    const workflow = JSON.parse(readFileSync(join(folder, name), 'utf8')) as JsonObject
    if (workflow.type === 'api') return
    const done = await explore([await subjectOf(workflow, name)], {
      seeds: 20,
      firstSeed: 0x100,
      faults: allFaultKinds,
    })
    expect(done.found.map(({ plan, failure }) => ({ seed: plan.seed, ...failure }))).toEqual([])
    expect(done.totals.commits).toBeGreaterThan(12)
  })

  it('gives the same hash again, and another one for other seeds', async () => {
    const hashOf = async (firstSeed: number) =>
      (await explore([await subjectOf(twoLoops(5))], { seeds: 10, firstSeed, faults: allFaultKinds })).traceHash
    const hash = await hashOf(1)
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(await hashOf(1)).toBe(hash)
    expect(await hashOf(2)).not.toBe(hash)
  })

  it('names the situations that a long exploration of drawn workflows never reached, and asks nothing of others', async () => {
    const subject: Subject = { ...(await subjectOf(twoLoops(1))), perSeed: true }
    const [missed = '', ...others] = situations
    const stats = {
      simulatedMs: 1,
      iterations: 1,
      commits: 1,
      crashes: 0,
      steps: 1,
      faults: {},
      reached: new Set(others),
    }
    const crew = { size: 1, run: async () => ({ failure: undefined, stats, hash: 'h' }), explain: async () => fail() }
    const fail = (): never => expect.fail('nothing failed')
    const neverReached = async (of: Subject, seeds: number, faults: readonly FaultKind[]) =>
      (await explore([of], { seeds, firstSeed: 1, faults, crew })).neverReached
    expect(await neverReached(subject, situationSeedsMin, allFaultKinds)).toEqual([missed])
    expect(await neverReached(subject, situationSeedsMin - 1, allFaultKinds)).toEqual([])
    expect(await neverReached(subject, situationSeedsMin, ['stop'])).toEqual([])
    expect(await neverReached(await subjectOf(twoLoops(1)), situationSeedsMin, allFaultKinds)).toEqual([])
  })

  it('has no hash when time decides how far it gets', async () => {
    let left = 3
    const done = await explore([await subjectOf(twoLoops(3))], {
      seeds: 9,
      firstSeed: 1,
      faults: [],
      goesOn: () => left-- > 0,
    })
    expect([done.runs, done.traceHash]).toEqual([3, null])
  })

  /** An engine that does not survive a second life: its daemon says that all is completed. */
  async function mortal(options: Partial<ExploreOptions> = {}) {
    let lives = 0
    const done = await explore([await subjectOf(twoLoops(5))], {
      seeds: 30,
      firstSeed: 1,
      faults: ['crash-before', 'reply-lost', 'latency'],
      stopAtFailure: true,
      ...options,
      startEngine: options => {
        lives = options.ports.host.identity().pid === 1001 ? 1 : lives + 1
        if (lives < 2) return startFlowEngine(options)
        return {
          start: async () => undefined,
          stop: async () => undefined,
          done: Promise.resolve({ status: 'completed' }),
        }
      },
    })
    return done.found[0]
  }

  it('shrinks what fails to what is needed', async () => {
    const found = await mortal()
    expect(found?.failure.invariant).toMatch(/completion|exactly-once/)
    expect(found?.plan.events.map(event => event.kind)).toEqual(['crash-before'])
    expect(found?.original.events.length).toBeGreaterThan(1)
    expect(found?.lines.at(-1)).toContain('failure')
  })

  it('tells what fails as small as it got when there is no more time', async () => {
    let tries = 4
    const found = await mortal({ shrinks: () => tries-- > 0 })
    expect(found?.failure.invariant).toMatch(/completion|exactly-once/)
    const [left, all] = [found?.plan.events.length ?? 0, found?.original.events.length ?? 0]
    expect([left > 1, left < all]).toEqual([true, true])
    expect(found?.lines.at(-1)).toContain('failure')
  })
})
