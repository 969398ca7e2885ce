/** Every failure that was ever found stays found: its plan, shrunk, holds. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { replayPlans } from '../../sim/explore.ts'
import { parsePlan } from '../../sim/plan.ts'
import { loadSubject } from '../../sim/subject.ts'

const folder = join(import.meta.dirname, '../../scenarios/found')
const names = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.json')) : []

describe('scenarios/found', () => {
  it('is not empty', () => expect(names.length).toBeGreaterThan(1))

  it.each(names)('%s holds, and its faults still hit', async name => {
    const plan = parsePlan(readFileSync(join(folder, name), 'utf8'), name)
    const done = await replayPlans([{ subject: await loadSubject(plan, defaultRegistry()), plan }])
    expect(done.found.map(({ failure }) => failure)).toEqual([])
    expect(Object.values(done.faults).reduce((sum, n) => sum + n, 0)).toBeGreaterThan(0)
  })
})
