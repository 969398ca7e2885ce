/**
 * Scenarios: a story in YAML, compiled to plans. A workflow, what arrives, how the outside answers, which faults there
 * may be or are, and what must hold in the end; all of it ends up in plans, so that one that fails can be repeated,
 * stored and shrunk like any other.
 */
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import type { JsonObject } from '../engine/json.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { withArrivals } from './arrivals.ts'
import { cutLoop, requireLoop } from './cut-loop.ts'
import { readEdge } from './edge-text.ts'
import { allFaultKinds, type FaultKind, isFaultKind } from './faults.ts'
import { generatePlan } from './generate.ts'
import { type HttpRule, inputsHash, saidOutside } from './outside.ts'
import type { Plan, PlanEvent } from './plan.ts'
import { callsOf } from './scenario-calls.ts'
import { parseScenario, readTime, type Scenario } from './scenario-schema.ts'
import { loadSubject, type Subject } from './subject.ts'

export type ScenarioSource = {
  /** Names the plans. */
  name: string
  text: string
  file: string
  registry: NodeRegistry
  /** The JSON at a path as the scenario writes it. */
  readWorkflow: (path: string) => Promise<JsonObject>
}

/** A story whose faults are written down is not cut short by the end of faults, in milliseconds. */
const longest = 1_000 * 86_400_000

/** The plans of a scenario, one per seed. Rejects with `USAGE` (line and column) or `WORKFLOW_INVALID`. */
export async function compileScenario(source: ScenarioSource): Promise<{ subject: Subject; plan: Plan }[]> {
  const { name, registry } = source
  const scenario = parseScenario(source.text, source.file)
  const { workflow, files } = await inputsOf(scenario, source)
  const { hash } = requireWorkflow(workflow, { registry, name })
  const must = `${inputsHash(hash, files)}\n${JSON.stringify(scenario.must)}`
  const subject = await loadSubject({ name, workflow, files: { ...files, [saidOutside.must]: must } }, registry)
  const { kinds, events } = faultsOf(scenario)
  return Array.from({ length: scenario.seeds }, (_, i) => {
    const drawn = generatePlan(subject, `0x${(i + 1).toString(16)}`, kinds)
    const calm = scenario.faults === 'all' ? {} : { instances: 1, elsewhere: 0, faultsUntilMs: longest }
    const settings = { ...drawn.settings, ...calm, ...scenario.settings } as Plan['settings']
    const calls = scenario.calls.length === 0 ? {} : { calls: callsOf(scenario.calls, readTime) }
    // only a daemon listens
    const listens = scenario.calls.length === 0 ? {} : { serving: 'daemon' as const }
    const whole = { ...drawn, ...calls, settings: { ...settings, ...listens } }
    return { subject, plan: { ...whole, events: [...events, ...drawn.events] } }
  })
}

async function inputsOf(
  scenario: Scenario,
  source: ScenarioSource,
): Promise<{ workflow: JsonObject; files: Record<string, string> }> {
  const written = scenario.workflow
  const whole = typeof written === 'string' ? await source.readWorkflow(written) : workflowOf(source.name, written)
  const plain = scenario.only === undefined ? whole : loopOf(whole, scenario.only, source)
  const arrivals = scenario.arrivals.flatMap(({ queue, at, items }) =>
    items.map(data => ({ queue, at: readTime(at), data })),
  )
  const { workflow, files } = withArrivals(plain, arrivals)
  const rules = scenario.http.map(({ request, ...answer }) => {
    const [method, url] = request.split(' ')
    return { method, url, ...answer } as HttpRule
  })
  const http = rules.length === 0 ? {} : { [saidOutside.http]: JSON.stringify(rules) }
  return { workflow, files: { ...scenario.files, ...files, ...http } }
}

function loopOf(whole: JsonObject, id: string, { registry, name }: ScenarioSource): JsonObject {
  const graph = requireWorkflow(whole, { registry, name })
  return cutLoop(graph, requireLoop(graph, id))
}

function workflowOf(id: string, written: Exclude<Scenario['workflow'], string>): JsonObject {
  const { type, nodes, edges, settings = {}, env = {} } = written
  return {
    id,
    ...(type === undefined ? {} : { type }),
    settings,
    env,
    nodes: nodes.map(({ id: node, type, form, config = {} }) => ({ id: node, type, data: { form, config } })),
    edges: edges.map((text, i) => ({ id: `e${i}`, ...readEdge(text) })),
  }
}

/** Kinds that are allowed, to be drawn; and faults that hit exactly what they name. */
function faultsOf({ faults }: Scenario): { kinds: readonly FaultKind[]; events: PlanEvent[] } {
  if (faults === 'all') return { kinds: allFaultKinds, events: [] }
  if (faults === 'none') return { kinds: [], events: [] }
  const kinds = faults.filter(each => typeof each === 'string').filter(isFaultKind)
  const exact = faults.filter(each => typeof each !== 'string')
  const events = exact.map(({ kind, ...args }): PlanEvent => {
    const actor = /^(crash|stop|pause|clock)/.test(kind) ? 'daemon' : 'server'
    return { at: 0, actor, kind, args: JSON.parse(JSON.stringify(args)) as JsonObject }
  })
  return { kinds, events }
}
