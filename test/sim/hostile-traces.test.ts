/** Traces that were tampered with: whoever reads one says what is wrong, or replays what is there; nobody crashes. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { EngineError } from '../../engine/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import type { IterationLine } from '../../engine/trace/trace.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { itemIdOf } from '../../sim/item-path.ts'
import { recording } from '../../sim/recording.ts'
import { replayFile } from '../../sim/replay-file.ts'
import { findIteration, scenarioOf } from '../../sim/to-scenario.ts'
import { traceLines } from '../../sim/trace-lines.ts'
import { summarize } from '../../sim/trace-report.ts'
import { tracePage } from '../../sim/trace-report-page.ts'
import { simulate } from '../../sim/world.ts'
import { tempDir } from '../support/temp-dir.ts'
import { planOf, subjectOf, twoLoops } from './support.ts'

const registry = defaultRegistry()
let lines: string[] = []
let item = ''

beforeAll(async () => {
  const [plan, subject] = [planOf(twoLoops(4)), await subjectOf(twoLoops(4))]
  const recorder = recording(plan, startFlowEngine)
  await simulate({ plan, ...subject, startEngine: recorder.startEngine, trace: 'recent' })
  lines = recorder.lines
  item = itemIdOf(JSON.parse(lines.find(line => line.includes('"kind":"iteration"')) as string) as IterationLine)
})

/** One value somewhere in a line is another, or gone. */
function tampered(value: Json, at: readonly number[], by: Json | undefined): Json | undefined {
  const [first = 0, ...rest] = at
  const keys = isJsonObject(value) || Array.isArray(value) ? Object.keys(value) : []
  if (keys.length === 0 || at.length === 0) return by
  const key = keys[first % keys.length] as string
  const inner = tampered((value as JsonObject)[key] as Json, rest, by)
  if (Array.isArray(value))
    return value.map((each, i) => (String(i) === key ? inner : each)).filter(each => each !== undefined)
  const { [key]: _, ...others } = value as JsonObject
  return inner === undefined ? others : { ...others, [key]: inner }
}

const strange = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom<Json>(null, '', '__proto__', -1, 1e308, [], {}, [[]], { a: null }, 'x'.repeat(1_000)),
  fc.jsonValue() as fc.Arbitrary<Json>,
)
const edit = fc.oneof(
  fc.record({ line: fc.nat(), at: fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }), by: strange }),
  fc.record({ line: fc.nat(), cut: fc.nat(2_000) }),
  fc.record({ line: fc.nat(), twice: fc.constant(true) }),
)

function parsed(line: string): Json {
  try {
    return JSON.parse(line) as Json
  } catch {
    // it was cut before
    return line
  }
}

function edited(edits: readonly (typeof edit extends fc.Arbitrary<infer E> ? E : never)[]): string[] {
  const result = [...lines]
  for (const each of edits) {
    const i = each.line % result.length
    const line = result[i] as string
    if ('cut' in each) result[i] = line.slice(0, each.cut)
    else if ('twice' in each) result.splice(i, 0, line)
    else {
      result[i] = JSON.stringify(tampered(parsed(line), each.at, each.by)) ?? ''
    }
  }
  return result
}

async function onlyInWords(work: () => Promise<unknown>): Promise<void> {
  await work().catch(error => {
    if (!(error instanceof EngineError)) throw error
    expect(error.code).toMatch(/^(USAGE|WORKFLOW_INVALID|LOOP_UNKNOWN)$/)
  })
}

describe('a trace that was tampered with', () => {
  it('is refused in words, or replayed, shown and made a scenario of as it is', async () => {
    const file = join(tempDir(), 't.jsonl')
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async edits => {
        writeFileSync(file, `${edited(edits).join('\n')}\n`)
        await onlyInWords(() => replayFile({ file, workflow: undefined, path: undefined }, registry))
        await onlyInWords(async () => tracePage(await summarize(traceLines(file), file), file))
        await onlyInWords(async () => {
          const found = await findIteration([file], { item })
          if (found !== undefined) scenarioOf(found, { registry })
        })
      }),
      { numRuns: 300 },
    )
  }, 120_000)
})

describe('a trace in which everything goes another way', () => {
  it('is told of in part, with how much more there is', async () => {
    const file = join(tempDir(), 't.jsonl')
    const [header = ''] = lines
    const first = lines.find(line => line.includes('"kind":"iteration"')) as string
    const elsewhere = JSON.stringify({ ...(JSON.parse(first) as JsonObject), loop: 'gone' })
    writeFileSync(file, [header, ...Array.from({ length: 10_050 }, () => elsewhere), ''].join('\n'))
    const { told, untold, report } = await replayFile({ file, workflow: undefined, path: undefined }, registry)
    expect([told.length, untold, report.diverged]).toEqual([10_000, 50, 10_050])
  })
})
