import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { PlanCall } from '../../sim/calls.ts'
import { canaries } from '../../sim/canaries.ts'
import { planText } from '../../sim/explore.ts'
import { allFaultKinds } from '../../sim/faults.ts'
import { generatePlan } from '../../sim/generate.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { parsePlan } from '../../sim/plan.ts'
import { describeFailure } from '../../sim/report.ts'
import { shrinkPlan } from '../../sim/shrink.ts'
import { loadSubject } from '../../sim/subject.ts'
import { sweepCrashes } from '../../sim/sweep.ts'
import { simulate } from '../../sim/world.ts'
import { fault, graphOf, planOf, twoLoops } from './support.ts'

const seeds = Array.from({ length: 40 }, (_, i) => `0x${i.toString(16)}`)

function plansOf(workflow: JsonObject, faults = allFaultKinds) {
  const subject = { name: 'w', workflow, files: {}, graph: graphOf(workflow) }
  return seeds.map(seed => generatePlan(subject, seed, faults))
}

function kindsOf(workflow: JsonObject, faults = allFaultKinds): string[] {
  return [...new Set(plansOf(workflow, faults).flatMap(({ calls = [] }) => calls.map(({ kind }) => kind)))].sort()
}

/** A life in which exactly this is asked, and these faults happen. */
async function live(workflow: JsonObject, calls: readonly PlanCall[], faults: Parameters<typeof planOf>[1] = []) {
  const graph = graphOf(workflow)
  const plan = planOf(workflow, faults)
  const asked = { ...plan, settings: { ...plan.settings, serving: 'daemon' as const }, calls: [...calls] }
  return await simulate({ plan: asked, graph, expected: undefined, startEngine: startFlowEngine, trace: 'all' })
}

const post = (n: number, at: number): PlanCall => ({ at, n, kind: 'post', webhook: 'orders' })
const ask = (n: number, at: number, timeoutMs = 300_000): PlanCall => ({ at, n, kind: 'ask', timeoutMs })

/** What each call was told, by number. */
function heard(lines: readonly string[]): Record<string, JsonObject> {
  const told = lines.map(line => JSON.parse(line) as JsonObject).filter(({ call }) => call !== undefined)
  return Object.fromEntries(told.map(({ call, ms: _, ...said }) => [String(call), said]))
}

describe('calls', () => {
  it('are drawn only for workflows that take them, and for production only where all may happen', () => {
    expect(kindsOf(canaries.hook)).toEqual(['develop', 'post'])
    expect(kindsOf(canaries.asked)).toEqual(['ask', 'develop'])
    expect(kindsOf(twoLoops(3))).toEqual(['develop'])
    expect(kindsOf(twoLoops(3), ['crash-before'])).toEqual([])
    expect(kindsOf(canaries.asked, [])).toEqual(['ask'])
  })

  it('are part of a plan, which is read as it was written', () => {
    for (const plan of plansOf(canaries.asked)) expect(parsePlan(planText(plan), 'p')).toEqual(plan)
    const odd = { ...planOf(twoLoops(1)), calls: [{ kind: 'post' }] }
    expect(() => parsePlan(JSON.stringify(odd), 'p')).toThrow('a call is not { at, n, kind, … }')
  })

  it('are cut to those that are needed', async () => {
    const calls = Array.from({ length: 40 }, (_, i) => ask(i + 1, i))
    const needed = (plan: { calls?: PlanCall[] }) =>
      plan.calls?.some(({ n }) => n === 7) && plan.calls.some(({ n }) => n === 31)
    const small = await shrinkPlan({ ...planOf(canaries.asked), calls }, async plan => needed(plan) === true)
    expect(small.calls?.map(({ n }) => n)).toEqual([7, 31])
    const failure = { kind: 'invariant', invariant: 'answers', expected: '', seen: '', at: 0 } as const
    const told = describeFailure({ failure, plan: small, original: small, lines: [] }, 'out')
    expect(told.join('\n')).toMatch(/with 2 calls: ask \(7\) at .*, ask \(31\) at/)
  })

  it('of a webhook are queued and worked off, and the life ends when nothing is left', async () => {
    const { failure, lines, stats } = await live(canaries.hook, [post(1, 5), post(2, 6), post(3, 30_000)])
    expect(failure).toBeUndefined()
    const accepted = { kind: 'post', status: 'accepted' }
    expect(heard(lines)).toEqual({ 1: accepted, 2: accepted, 3: accepted })
    expect(stats.iterations).toBe(6)
  })

  it('that come while a daemon stops find another one, or the next', async () => {
    const { failure, lines } = await live(canaries.hook, [post(1, 5), post(2, 400)], [fault('stop', 'claim hook 2')])
    expect(failure).toBeUndefined()
    expect(Object.keys(heard(lines))).toEqual(['1', '2'])
  })

  it('of an api workflow run side by side, each by its own data and in its own time', async () => {
    const { failure, lines } = await live(canaries.asked, [ask(1, 5), ask(7, 5), ask(14, 5, 1_000), ask(3, 6)])
    expect(failure).toBeUndefined()
    expect(heard(lines)).toMatchObject({
      1: { kind: 'ask', output: { n: 1 } },
      7: { kind: 'ask', output: { n: 7 } },
      14: { kind: 'ask', code: 'API_TIMEOUT' },
      3: { kind: 'ask', code: expect.stringMatching(/^(NODE|TEMPLATE)_FAILED$/) },
    })
  })

  it('that find nobody, or lose their daemon, end all the same', async () => {
    const { failure, lines } = await live(canaries.asked, [ask(1, 5)], [fault('crash-applied', 'commit-request - 1')])
    expect(failure).toBeUndefined()
    expect(heard(lines)).toEqual({})
  })

  it.each(['hook', 'asked'] as const)(
    'are swept: every operation of "%s" is hit once by every fault',
    async name => {
      const subject = await loadSubject({ name, workflow: canaries[name], files: {} }, defaultRegistry())
      const { whole } = await sweepCrashes([subject], { seed: '0x3' })
      expect(whole.found).toEqual([])
      expect(whole.runs).toBeGreaterThan(100)
    },
    120_000,
  )
})
