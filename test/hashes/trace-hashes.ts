/**
 * The traces of some lives, as hashes: the same on every machine and under every version of Node. They change with the
 * engine and with the simulator, and then they are written anew; what they must not change with is anything else.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { canonicalJson, type JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { readTargets } from '../../sim/cli-targets.ts'
import { allFaultKinds } from '../../sim/faults.ts'
import { generatedSubjects } from '../../sim/generate-workflow.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { type Outcome, runPlan, runSeed } from '../../sim/seed-run.ts'
import type { Subject } from '../../sim/subject.ts'

const root = join(import.meta.dirname, '../..')
const file = join(import.meta.dirname, 'trace-hashes.json')

/** What to do about a difference that was meant. */
export const writeThem = 'npm run hashes -- --write'

const generated = ['0x1', '0x2', '0x3', '0x4']
const fixtures = ['fixtures/workflows/three-loops.json', 'fixtures/orders/orders.json']
const scenario = 'scenarios/a-day-of-everything.yaml'
/** Of the fixtures. */
const seed = '0x5eed'

export type TraceHashes = Record<string, string>

/** Simulates all of them; by what they are of. */
export async function traceHashes(): Promise<TraceHashes> {
  const registry = defaultRegistry()
  const hashes: TraceHashes = {}
  const note = (name: string, { hash, failure }: Outcome): void => {
    hashes[name] = failure === undefined ? hash : `${failure.invariant}: ${failure.seen}`
  }
  const live = (subject: Subject, of: string): Promise<Outcome> =>
    runSeed(subject, { seed: of, faults: allFaultKinds, again: 'once' }, startFlowEngine)
  const perSeed = await generatedSubjects(registry)
  for (const each of generated) note(`generated ${each}`, await live(perSeed, each))
  const { subjects, plans } = await readTargets(
    [...fixtures, scenario].map(path => join(root, path)),
    { registry },
  )
  for (const subject of subjects) note(`${subject.name} ${seed}`, await live(subject, seed))
  for (const { subject, plan } of plans.slice(0, 3)) {
    note(`${plan.name} ${plan.seed}`, await runPlan(subject, plan, { again: 'once', startEngine: startFlowEngine }))
  }
  return hashes
}

export function storedHashes(): TraceHashes {
  return JSON.parse(readFileSync(file, 'utf8')) as TraceHashes
}

export function storeHashes(hashes: TraceHashes): void {
  writeFileSync(file, `${JSON.stringify(JSON.parse(canonicalJson(hashes as JsonObject)), null, 2)}\n`)
}

/** What is not as it was stored. */
export function differing(hashes: TraceHashes): string[] {
  const stored = storedHashes()
  return [...new Set([...Object.keys(stored), ...Object.keys(hashes)])].filter(name => stored[name] !== hashes[name])
}
