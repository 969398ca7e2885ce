/** What the simulator recorded, under faults or without, replays identically; a changed workflow is told by node and field. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { allFaultKinds } from '../../sim/faults.ts'
import { generatePlan } from '../../sim/generate.ts'
import { generateSubject } from '../../sim/generate-workflow.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import type { Plan } from '../../sim/plan.ts'
import { recording } from '../../sim/recording.ts'
import { replayTrace, type Verdict } from '../../sim/replay.ts'
import { loadSubject, type Subject } from '../../sim/subject.ts'
import { simulate } from '../../sim/world.ts'

const registry = defaultRegistry()
/** A node that misbehaves on purpose is another node than the one that is replayed. */
const faults = allFaultKinds.filter(kind => !kind.startsWith('node-'))

async function record(subject: Subject, plan: Plan): Promise<string[]> {
  const { startEngine, lines } = recording(plan, startFlowEngine)
  const { failure } = await simulate({ plan, ...subject, startEngine, trace: 'recent' })
  expect(failure).toBeUndefined()
  return lines
}

async function replay(lines: Iterable<string>, workflow?: JsonObject) {
  const verdicts: Verdict[] = []
  const report = await replayTrace(lines, 'trace', {
    registry,
    ...(workflow === undefined ? {} : { workflow: { source: workflow, name: 'new' } }),
    onVerdict: (_, verdict) => verdicts.push(verdict),
  })
  return { ...report, verdicts }
}

function subjectOf(workflow: JsonObject, files: Record<string, string> = {}): Promise<Subject> {
  return loadSubject({ name: 'w', workflow, files }, registry)
}

const fixtures = [
  'background',
  'conditional-fork',
  'counter-log',
  'delay',
  'diamond-in-diamond',
  'failing',
  'failing-branch',
  'file-writer',
  'for-each',
  'fork-join',
  'http',
  'loop-cycle',
  'string-iterator',
  'switch',
  'three-loops',
  'two-readers',
  'two-writers',
]

describe('a recorded run', () => {
  it.each(fixtures)('of %s replays identically, faults and all', async name => {
    const path = join(import.meta.dirname, '../../fixtures/workflows', `${name}.json`)
    const subject = await subjectOf(JSON.parse(readFileSync(path, 'utf8')) as JsonObject)
    const lines = await record(subject, generatePlan(subject, '0x1', faults))
    const { iterations, identical, verdicts } = await replay(lines)
    expect(verdicts).toEqual([])
    expect(iterations).toBeGreaterThan(0)
    expect(identical).toBe(iterations)
  })

  it('is the same run as one that is not recorded', async () => {
    const subject = await generateSubject('0x7', registry)
    const plan = generatePlan(subject, '0x7', faults)
    const run = (startEngine = startFlowEngine) => simulate({ plan, ...subject, startEngine, trace: 'recent' })
    const { startEngine, lines } = recording(plan, startFlowEngine)
    expect((await run(startEngine)).hash).toBe((await run()).hash)
    expect(lines.length).toBeGreaterThan(10)
  })

  it('of a generated workflow replays identically', async () => {
    for (const seed of ['0x1', '0x2']) {
      const subject = await generateSubject(seed, registry)
      const lines = await record(subject, generatePlan(subject, seed, faults))
      const { identical, iterations, verdicts } = await replay(lines)
      expect({ seed, verdicts, identical }).toEqual({ seed, verdicts: [], identical: iterations })
    }
  })
})
