import { describe, expect, it } from 'vitest'
import type { Expected } from '../../sim/expected.ts'
import type { FaultKind } from '../../sim/faults.ts'
import { spoil } from '../../sim/garbage.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { misbehaviourOf } from '../../sim/misbehave.ts'
import type { Effects } from '../../sim/reference.ts'
import { simulate } from '../../sim/world.ts'
import { fault, graphOf, planOf, subjectOf, twoLoops } from './support.ts'

const workflow = twoLoops(8)

async function run(kinds: readonly FaultKind[], odds: number) {
  const { graph, expected } = await subjectOf(workflow)
  const plan = planOf(
    workflow,
    kinds.map(kind => fault(kind, 'execute - 1', { odds })),
  )
  let letters: Effects['deadLetters'] = {}
  const told: Expected = {
    ...(expected as Expected),
    asks: 'always',
    tell: effects => {
      letters = effects.deadLetters
    },
  }
  const result = await simulate({ plan, graph, expected: told, startEngine: startFlowEngine, trace: 'all' })
  return { ...result, letters }
}

describe('nodes that misbehave', () => {
  it('are none when no plan asks for them', () => {
    expect(misbehaviourOf(planOf(workflow), graphOf(workflow))).toBeUndefined()
  })

  it('change nothing in what a workflow is called', () => {
    const plan = planOf(workflow, [fault('node-slow', 'execute - 1', { odds: 1 })])
    const graph = misbehaviourOf(plan, graphOf(workflow))?.graphFor({ noted() {}, kill() {}, spoil })
    expect([graph?.hash, graph?.workflow.id]).toEqual([graphOf(workflow).hash, 'w'])
  })

  it.each([
    ['node-throws', 'NODE_FAILED'],
    ['node-hangs', 'NODE_TIMEOUT'],
  ] as const)('%s: those items are dead letters, the others are not', async (kind, code) => {
    const { failure, stats, letters } = await run([kind], 0.4)
    expect(failure).toBeUndefined()
    const codes = Object.values(letters).flat() as { code: string }[]
    expect(new Set(codes.map(letter => letter.code))).toEqual(new Set([code]))
    expect(stats.faults[kind]).toBe(codes.length)
    expect(codes.length).toBeLessThan(16)
  })

  it('node-garbage: those items are dead letters of the node that made it, or of the queue that is too small', async () => {
    const { failure, stats, letters } = await run(['node-garbage'], 0.4)
    expect(failure).toBeUndefined()
    const codes = Object.values(letters).flat() as { code: string }[]
    expect(stats.faults['node-garbage']).toBe(codes.length)
    expect(codes.length).toBeGreaterThan(2)
    for (const { code } of codes) expect(['OUTPUT_NOT_JSON', 'PAYLOAD_TOO_LARGE']).toContain(code)
  })

  it('node-slow: it only takes longer', async () => {
    const { failure, stats, letters } = await run(['node-slow'], 0.5)
    expect(failure).toBeUndefined()
    expect(letters).toEqual({})
    expect(stats.simulatedMs).toBeGreaterThan(24_000)
  })

  it('node-kills: an item is given up as poison after three deaths, and the run ends', async () => {
    const { failure, stats, lines } = await run(['node-kills'], 0.4)
    expect(failure).toBeUndefined()
    expect(stats.crashes).toBe(stats.faults['node-kills'])
    expect(lines.filter(line => line.includes('"POISON"')).length).toBeGreaterThan(0)
  })
})
