import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { type ExploreOptions, explore } from '../../sim/explore.ts'
import { allFaultKinds } from '../../sim/faults.ts'
import { loadSubject, type Subject } from '../../sim/subject.ts'
import { Workers, type WorkersOptions } from '../../sim/workers.ts'
import { planOf, twoLoops } from './support.ts'

function subjectOf(workflow: JsonObject, name = 'w'): Promise<Subject> {
  return loadSubject({ name, workflow, files: {} }, defaultRegistry())
}

async function exploreWith(
  subjects: readonly Subject[],
  how: WorkersOptions,
  more: Partial<ExploreOptions> = {},
): Promise<Awaited<ReturnType<typeof explore>>> {
  const crew = new Workers(subjects, how)
  try {
    return await explore(subjects, { seeds: 6, firstSeed: 1, faults: allFaultKinds, crew, ...more })
  } finally {
    await crew.close()
  }
}

describe('workers', () => {
  it('find the same, to the byte, whatever their number', async () => {
    const subjects = [await subjectOf(twoLoops(5)), await subjectOf(twoLoops(2), 'other')]
    const { traceHash, ...rest } = await explore(subjects, { seeds: 6, firstSeed: 1, faults: allFaultKinds })
    expect(traceHash).toMatch(/^[0-9a-f]{64}$/)
    for (const workers of [1, 3]) expect(await exploreWith(subjects, { workers })).toEqual({ traceHash, ...rest })
  })

  it('end with what was found when they are told to', async () => {
    let left = 3
    const done = await exploreWith([await subjectOf(twoLoops(2))], { workers: 2 }, { goesOn: () => left-- > 0 })
    expect([done.runs, done.traceHash]).toEqual([3, null])
  })

  it.each([
    ['hangs', 4_000, { kind: 'stuck', invariant: 'hang', expected: 'a run ends within 4 s of real time' }],
    ['exits', 60_000, { kind: 'crash', invariant: 'crash' }],
  ])('take a run that %s for a failure, and the others go on', async (nodes, hangMs, failure) => {
    const url = pathToFileURL(join(import.meta.dirname, '../support/odd-registry.mjs')).href
    const subjects = [await subjectOf(twoLoops(2))]
    const done = await exploreWith(
      subjects,
      { workers: 1, hangMs, registry: { url, options: { nodes } } },
      { seeds: 2, faults: [] },
    )
    expect(done.found).toMatchObject([
      { failure, plan: { seed: '0x1' }, lines: [] },
      { failure, plan: { seed: '0x2' }, lines: [] },
    ])
  })

  it('tell the whole trace of a failure', async () => {
    const subjects = [await subjectOf(twoLoops(2))]
    const crew = new Workers(subjects, { workers: 1 })
    onTestFinished(() => crew.close())
    const failure = { kind: 'invariant', invariant: 'fifo', expected: 'a', seen: 'b', at: 5 } as const
    const plan = planOf(twoLoops(2))
    const found = await crew.explain(0, { plan, failure, shrinks: 'as it is' })
    expect(found).toMatchObject({ failure, plan, original: plan })
    expect(found.lines.length).toBeGreaterThan(10)
  })
})
