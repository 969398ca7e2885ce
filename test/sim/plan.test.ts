import { describe, expect, it } from 'vitest'
import { arrivalsFile } from '../../sim/arrivals.ts'
import { expectedEffects } from '../../sim/expected.ts'
import { planText } from '../../sim/explore.ts'
import { allFaultKinds } from '../../sim/faults.ts'
import { generatePlan } from '../../sim/generate.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { type Plan, parsePlan } from '../../sim/plan.ts'
import { simulate } from '../../sim/world.ts'
import { fault, graphOf, planOf, twoLoops, workflowOf } from './support.ts'

const workflow = workflowOf(
  [
    ['count', 'counter', { min_value: 1, max_value: 8 }],
    ['call', 'http-request', { url: 'http://any.test' }],
    ['note', 'file-writer', { file_path: 'log' }],
    ['out', 'queue-writer', {}],
    ['in', 'queue-reader', {}],
  ],
  'count>call call>note note>out out>in',
  { loops: { in: { pool: 'process' } } },
)
const graph = graphOf(workflow)
/** Something arrives from outside and goes there, and a loop runs in a worker: everything can go wrong. */
const subject = { name: 'w', workflow, files: { [arrivalsFile('in')]: '' }, graph }

describe('generatePlan', () => {
  it('is a function of the seed', () => {
    const plan = (seed: string) => generatePlan(subject, seed, allFaultKinds)
    expect(plan('0x1')).toEqual(plan('0x1'))
    expect(plan('0x1').events).not.toEqual(plan('0x2').events)
  })

  it('makes only faults that are allowed, and in many seeds all of them', () => {
    const kinds = (allowed: typeof allFaultKinds) => {
      const plans = Array.from({ length: 60 }, (_, i) => generatePlan(subject, `${i}`, allowed))
      return new Set(plans.flatMap(plan => plan.events.map(event => event.kind)))
    }
    expect([...kinds(['oom', 'crash-before'])].sort()).toEqual(['crash-before', 'oom'])
    expect(kinds(allFaultKinds).size).toBe(allFaultKinds.length)
    expect(kinds([]).size).toBe(0)
  })

  it('makes faults of workers only for loops that run in one', () => {
    const here = graphOf(twoLoops(8))
    const plans = Array.from({ length: 60 }, (_, i) => generatePlan({ ...subject, graph: here }, `${i}`, allFaultKinds))
    const kinds = plans.flatMap(plan => plan.events.map(event => event.kind))
    expect(kinds.filter(kind => kind.startsWith('worker'))).toEqual([])
  })
})

describe('parsePlan', () => {
  it('reads what was written', () => {
    const plan = generatePlan(subject, '0x7', allFaultKinds)
    expect(parsePlan(planText(plan), 'p')).toEqual(plan)
  })

  const broken = (change: object) => JSON.stringify({ ...planOf(workflow), ...change })
  it.each([
    ['{', 'it is not JSON'],
    ['[]', 'it is not an object'],
    [broken({ version: 2 }), 'its version is 2, this one knows version 1'],
    [broken({ seed: 5 }), 'seed, workflow or settings are missing'],
    [broken({ events: {} }), 'it has no list of events'],
    [broken({ events: [{ kind: 'oom' }] }), 'an event is not'],
    [broken({ events: [{ kind: 'flood', args: {} }] }), 'it has an event of unknown kind "flood"'],
  ])('refuses %s', (text, why) => {
    expect(() => parsePlan(text, 'p.json')).toThrow(why)
  })
})

describe('a plan', () => {
  const run = async (plan: Plan) => {
    const expected = expectedEffects(graph, {})
    return simulate({ plan, graph, expected, startEngine: startFlowEngine, trace: 'recent' })
  }

  it('gives one trace, byte for byte', async () => {
    const plan = generatePlan(subject, '0x1f', allFaultKinds)
    expect((await run(plan)).hash).toBe((await run(plan)).hash)
  })

  it('can lose an event that never comes to pass, and nothing shifts', async () => {
    const events = [fault('reply-lost', 'commit count 2'), fault('crash-before', 'commit nobody 1')]
    const whole = await run(planOf(workflow, events))
    expect((await run(planOf(workflow, events.slice(0, 1)))).hash).toBe(whole.hash)
    expect((await run(planOf(workflow, []))).hash).not.toBe(whole.hash)
    expect(whole.stats.faults).toEqual({ 'reply-lost': 1 })
  })
})
