/**
 * How fast the simulator lives: iterations of loops a second, with all invariants on, by one thread and by two; and how
 * long an hourly workflow takes to live a week with the default lease, and a year with one of an hour.
 */
import { requireWorkflow } from '../../engine/graph/load-workflow.ts'
import type { JsonObject } from '../../engine/json.ts'
import { defaultRegistry } from '../../engine/node/node-registry.ts'
import { type Crew, crewHere } from '../../sim/crew.ts'
import { explore } from '../../sim/explore.ts'
import { allFaultKinds, type FaultKind } from '../../sim/faults.ts'
import { generatedSubjects } from '../../sim/generate-workflow.ts'
import { startFlowEngine } from '../../sim/instance.ts'
import { loadSubject, type Subject } from '../../sim/subject.ts'
import { Workers } from '../../sim/workers.ts'
import { simulate } from '../../sim/world.ts'
import type { Arm, Bench } from './measure.ts'

/** One workflow, no faults: what a step of the world costs. */
export const simulated: Bench = {
  title: 'a producer, a queue and three plain nodes, simulated with all invariants; how many lives',
  size: { full: 30, quick: 3 },
  open: async () => {
    const subject = await loadSubject({ name: 'bench', workflow: chain(300), files: {} }, defaultRegistry())
    return { arms: [exploring('one thread', subject, { faults: [] })], close: async () => undefined }
  },
}

/** What `theoneeye sim --seeds N --faults all` does. */
export const explored: Bench = {
  title: 'generated workflows with all faults; how many seeds',
  size: { full: 100, quick: 10 },
  open: async () => {
    const subject = await generatedSubjects(defaultRegistry())
    const workers = new Workers([subject], { workers: 2 })
    const arms = [
      exploring('two workers', subject, { faults: allFaultKinds, crew: workers }),
      exploring('one thread', subject, { faults: allFaultKinds }),
    ]
    return { arms, close: () => workers.close() }
  },
}

export const week: Bench = hourly('a week of an hourly workflow, default leases; how many weeks', 7 * 24, {})
export const year: Bench = hourly('a year of an hourly workflow, leases of an hour; how many years', 365 * 24, {
  lease_seconds: 3_600,
})

function hourly(title: string, hours: number, settings: JsonObject): Bench {
  const workflow: JsonObject = {
    id: 'hourly',
    settings,
    nodes: [
      node('tick', 'timer', { interval: 1, unit: 'hours', limit: hours }),
      node('say', 'log', { message: '{{ data.timer.iteration }}' }),
    ],
    edges: [edge('tick', 'say')],
  }
  return {
    title,
    size: { full: 1, quick: 1 },
    open: async () => ({
      arms: [{ name: 'alone', run: size => living(workflow, size) }],
      close: async () => undefined,
    }),
  }
}

async function living(workflow: JsonObject, times: number) {
  const graph = requireWorkflow(workflow, { registry: defaultRegistry(), name: 'hourly' })
  const settings = {
    latencyMsMax: 1,
    fsyncMs: 1_000,
    comebackMsMax: 20,
    elsewhere: 0,
    instances: 1,
    serving: 'run' as const,
    lagMs: 200,
  }
  const startedMs = performance.now()
  for (let i = 0; i < times; i++) {
    const plan = {
      version: 1,
      name: 'hourly',
      seed: `0x${i}`,
      workflow,
      files: {},
      settings: { ...settings, faultsUntilMs: Number.MAX_SAFE_INTEGER },
      events: [],
    } as const
    const how = { plan: { ...plan, events: [] }, graph, expected: undefined, startEngine: startFlowEngine }
    const unbounded = { stepsMax: Number.MAX_SAFE_INTEGER, standstillMs: 2 * 3_600_000 }
    const { failure } = await simulate({ ...how, trace: 'recent', ...unbounded })
    if (failure !== undefined) throw new Error(`${failure.invariant}: ${failure.seen}`)
  }
  return { seconds: (performance.now() - startedMs) / 1_000 / times }
}

/** Lives the same seeds in each round. Rejects when something fails: then it is not speed that matters. */
function exploring(name: string, subject: Subject, how: { faults: readonly FaultKind[]; crew?: Crew }): Arm {
  const { faults, crew = crewHere([subject]) } = how
  return {
    name,
    run: async size => {
      const startedMs = performance.now()
      const { found, totals } = await explore([subject], { seeds: size, firstSeed: 1, faults, crew })
      const seconds = (performance.now() - startedMs) / 1_000
      if (found.length > 0) throw new Error(`${found.length} of ${size} lives failed`)
      return { 'iterations/s': totals.iterations / seconds, 'lives/s': size / seconds }
    },
  }
}

function chain(items: number): JsonObject {
  const plain = (id: string) => node(id, 'log', { message: 'item {{ data.counter.current }}' })
  return {
    id: 'chain',
    nodes: [
      node('count', 'counter', { min_value: 1, max_value: items }),
      node('out', 'queue-writer', {}),
      node('in', 'queue-reader', {}),
      ...['a', 'b', 'c'].map(plain),
    ],
    edges: [edge('count', 'out'), edge('out', 'in'), edge('in', 'a'), edge('a', 'b'), edge('b', 'c')],
  }
}

function node(id: string, type: string, form: JsonObject): JsonObject {
  return { id, type, data: { form } }
}

function edge(source: string, target: string): JsonObject {
  return { id: `${source}-${target}`, source, target }
}
