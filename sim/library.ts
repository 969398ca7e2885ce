/**
 * `simulate()` for a user's own tests: many lives of a workflow, and after each a check of theirs over what it left
 * behind. What fails is cut to the fewest faults and items first; then the error says what happened, and which line
 * repeats it.
 */
import { readFile } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import fc from 'fast-check'
import { EngineError, messageOf } from '../engine/errors.ts'
import { hashUnit } from '../engine/hash.ts'
import type { Json, JsonObject } from '../engine/json.ts'
import { defaultRegistry, type NodeRegistry } from '../engine/node/node-registry.ts'
import { arrivalsFile, withArrivals } from './arrivals.ts'
import { keepFailure } from './artifacts.ts'
import { CheckWatch } from './check-watch.ts'
import { seedName } from './explore.ts'
import { allFaultKinds, type FaultKind, isFaultKind } from './faults.ts'
import { generatePlan } from './generate.ts'
import { startFlowEngine } from './instance.ts'
import { type HttpHandler, httpHandlers, saidOutside } from './outside.ts'
import { type Plan, parsePlan } from './plan.ts'
import type { Effects } from './reference.ts'
import { describeFailure } from './report.ts'
import { ddmin } from './shrink.ts'
import { loadSubject, type Subject } from './subject.ts'
import { callingTest, lineOf, planToRepeat, tellRepeated } from './user-test.ts'
import { type Failure, type RunResult, simulate as simulateWorld } from './world.ts'

/** Items by the queue they come into. */
export type Items = Record<string, JsonObject[]>

/** What a life left behind. Files hold every write; with crashes a write may have happened twice. */
export type Left = {
  seed: string
  arrivals: Items
  /** The data of the items that are still in each queue. */
  queues: Items
  deadLetters: { loop: string; node: string; code: string; item: JsonObject }[]
  effects: Pick<Effects, 'files' | 'iterations' | 'state' | 'runtime'>
}

export type SimulateOptions = {
  /** A workflow, or the path of its file. */
  workflow: JsonObject | string
  /** How many lives. Default 100. */
  seeds?: number
  faults?: 'all' | 'none' | readonly FaultKind[]
  /** Items that come from outside: these, or for each life others from a fast-check arbitrary. */
  arrivals?: Items | fc.Arbitrary<Items>
  /** The files that the workflow finds, by path. */
  files?: Record<string, string>
  /** Answers by `METHOD URL`; a URL may end in `*`. What no handler answers gets a 200 and an echo. */
  http?: Record<string, HttpHandler>
  /** Throws, or returns false or a text, when something does not hold that should. */
  check?: (left: Left) => unknown
  registry?: NodeRegistry
  /** Names the plans that are kept; default: the workflow's file or id. */
  name?: string
  /** Where failures are kept. */
  out?: string
  /** Milliseconds of real time that a check may take. */
  checkMsMax?: number
}

export type Simulated = { runs: number; commits: number; iterations: number; crashes: number }

/** A life in which something did not hold; the message is the whole report. */
export class SimulationFailed extends Error {
  readonly failure: Failure
  /** As cut. */
  readonly plan: Plan

  constructor(failure: Failure, plan: Plan, report: string) {
    super(report)
    this.name = 'SimulationFailed'
    this.failure = failure
    this.plan = plan
  }
}

/**
 * Simulates lives of a workflow. Rejects with `SimulationFailed`; with `USAGE` or `WORKFLOW_INVALID` when it cannot.
 * With the environment variable THEONEEYE_PLAN it repeats that plan only.
 */
export async function simulate(wanted: SimulateOptions): Promise<Simulated> {
  const test = isOurs(wanted) ? undefined : callingTest()
  const { options, end } = withWatch(wanted)
  const { seeds = 100 } = options
  const sum: Simulated = { runs: 0, commits: 0, iterations: 0, crashes: 0 }
  const names = setHandlers(options.http ?? {})
  try {
    const faults = kindsOf(options.faults ?? 'all')
    const workflow = await workflowOf(options.workflow)
    const name = options.name ?? nameOf(options.workflow)
    const stored = await storedPlan(name)
    let subject: Subject | undefined
    for (let i = 1; i <= (stored === undefined ? seeds : 1); i++) {
      if (stored !== undefined) subject = await load(stored, options)
      else if (subject === undefined || isArbitrary(options.arrivals)) {
        subject = await load({ name, ...inputsOf(workflow, options, i) }, options)
      }
      const plan = stored ?? generatePlan(subject, seedName(i), faults)
      const { result, failure } = await live(subject, plan, options)
      sum.runs += 1
      for (const key of ['commits', 'iterations', 'crashes'] as const) sum[key] += result.stats[key]
      if (stored !== undefined) await repeated({ result, failure })
      if (failure !== undefined)
        await tell(await cut({ subject, plan: testedBy(test, plan), failure }, options), options)
    }
  } finally {
    for (const each of names) httpHandlers.delete(each)
    end()
  }
  return sum
}

/** The same, and somebody who says so when the check never gives its thread back. */
function withWatch(options: SimulateOptions): { options: SimulateOptions; end: () => void } {
  const { check, checkMsMax = checkMsDefault } = options
  if (check === undefined) return { options, end: () => undefined }
  const watch = new CheckWatch(
    checkMsMax,
    `simulate: "check" has not returned for ${checkMsMax} ms; does it loop for ever?\n`,
  )
  return { options: { ...options, check: left => watch.run(() => check(left)) }, end: () => watch.end() }
}

const checkMsDefault = 5_000

function testedBy(test: string | undefined, plan: Plan): Plan {
  return test === undefined ? plan : { ...plan, test }
}

async function repeated({ result, failure }: Lived): Promise<void> {
  const { reached: _, ...stats } = result.stats
  await tellRepeated({ stats, lines: result.lines, ...(failure === undefined ? {} : { failure }) })
}

type Lived = { result: RunResult; failure: Failure | undefined }
type Failing = { subject: Subject; plan: Plan; failure: Failure }

function load(source: Pick<Plan, 'name' | 'workflow' | 'files'>, { registry }: SimulateOptions): Promise<Subject> {
  const { name, workflow, files } = source
  return loadSubject({ name, workflow, files }, registry ?? defaultRegistry())
}

/** One life, and the check after it. */
async function live({ graph, expected }: Subject, plan: Plan, options: SimulateOptions): Promise<Lived> {
  let effects: Effects | undefined
  const { check } = options
  if (check !== undefined && (await expected?.plain()) === undefined) {
    const what = `Cannot check workflow "${plan.name}": it does not end on its own; leave "check" out, or let its producers end`
    throw new EngineError('USAGE', what)
  }
  const tell = (left: Effects): void => {
    effects = left
  }
  const told =
    expected === undefined
      ? undefined
      : { ...expected, tell, asks: Array.isArray(options.faults) ? ('always' as const) : ('undisturbed' as const) }
  const result = await simulateWorld({ plan, graph, expected: told, startEngine: startFlowEngine, trace: 'all' })
  if (result.failure !== undefined || effects === undefined || check === undefined) {
    return { result, failure: result.failure }
  }
  const seen = await complaint(() => check(leftOf(plan, effects as Effects)), options.checkMsMax ?? checkMsDefault)
  if (seen === undefined) return { result, failure: undefined }
  const at = result.stats.simulatedMs
  return { result, failure: { kind: 'invariant', invariant: 'check', expected: 'your check holds', seen, at } }
}

/** What the check says is wrong. Throws `USAGE` for one that never ends. */
async function complaint(check: () => unknown, msMax: number): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    const what = `Cannot check what a life left behind: "check" did not return within ${msMax} ms; see that it settles`
    timer = setTimeout(() => reject(new EngineError('USAGE', what)), msMax)
  })
  const asked = (async () => check())().then(
    said => {
      if (said === false) return 'it returned false'
      return typeof said === 'string' && said !== '' ? said : undefined
    },
    (error: unknown) => messageOf(error),
  )
  try {
    return await Promise.race([asked, late])
  } finally {
    clearTimeout(timer)
  }
}

function leftOf(plan: Plan, { queues, deadLetters, ...effects }: Effects): Left {
  const data = (items: readonly Json[]) => items.map(item => (item as JsonObject).data as JsonObject)
  return {
    seed: plan.seed,
    arrivals: Object.fromEntries(Object.entries(plan.files).flatMap(([path, text]) => itemsOf(path, text))),
    queues: Object.fromEntries(Object.entries(queues).map(([name, items]) => [name, data(items)])),
    deadLetters: Object.values(deadLetters).flat() as unknown as Left['deadLetters'],
    effects,
  }
}

function itemsOf(path: string, text: string): [string, JsonObject[]][] {
  const [, queue] = /^arrivals-(.*)\.jsonl$/.exec(path) ?? []
  if (queue === undefined) return []
  const lines = text.split('\n').filter(line => line !== '')
  return [[queue, lines.map(line => (JSON.parse(line) as { data: JsonObject }).data)]]
}

/** The fewest faults, and then the fewest lines of each file, with which the same thing fails. */
async function cut(failing: Failing, options: SimulateOptions): Promise<Failing> {
  let best = failing
  const fails = async (plan: Plan): Promise<boolean> => {
    const subject = plan.files === best.plan.files ? best.subject : await load(plan, options)
    const { failure } = await live(subject, plan, options)
    if (failure?.kind !== failing.failure.kind || failure.invariant !== failing.failure.invariant) return false
    best = { subject, plan, failure }
    return true
  }
  const none = { ...failing.plan, events: [] }
  if (!(await fails(none)))
    await ddmin(failing.plan.events, events => fails({ ...best.plan, events: [...events] }), 100)
  for (const path of Object.keys(failing.plan.files).filter(each => !each.startsWith('sim:'))) {
    const lines = (failing.plan.files[path] ?? '').split('\n')
    await ddmin(lines, part => fails({ ...best.plan, files: { ...best.plan.files, [path]: part.join('\n') } }), 100)
  }
  return best
}

async function tell({ subject, plan, failure }: Failing, options: SimulateOptions): Promise<never> {
  const { result } = await live(subject, plan, options)
  const found = { failure, plan, original: plan, lines: result.lines }
  const folder = await keepFailure(found, options.out ?? '.theoneeye/failures')
  const file = `${folder}/plan.json`
  const again = isOurs(options) ? `npx theoneeye sim --plan ${file}` : lineOf(file, plan)
  const lines = describeFailure(found, folder).map(line => (line.startsWith('  again: ') ? `  again: ${again}` : line))
  const arrived = Object.entries(leftOf(plan, nothing).arrivals).map(([queue, items]) => {
    return `  items for "${queue}": ${JSON.stringify(items).slice(0, 1_000)}`
  })
  throw new SimulationFailed(failure, plan, [...lines.slice(0, 3), ...arrived, ...lines.slice(3)].join('\n'))
}

/** Whether the plan says it all, and any simulator can repeat it. */
function isOurs({ check, http, registry }: SimulateOptions): boolean {
  return check === undefined && http === undefined && registry === undefined
}

const nothing: Effects = {
  queues: {},
  deadLetters: {},
  state: {},
  runtime: {},
  iterations: {},
  files: {},
  requests: {},
}

// --- what it was called with

function kindsOf(faults: 'all' | 'none' | readonly FaultKind[]): readonly FaultKind[] {
  if (faults === 'all') return allFaultKinds
  if (faults === 'none') return []
  const unknown = faults.find(kind => !isFaultKind(kind))
  if (unknown === undefined) return faults
  const there = allFaultKinds.join(', ')
  throw new EngineError('USAGE', `Cannot simulate: there is no kind of fault "${unknown}"; there are ${there}`)
}

async function workflowOf(workflow: JsonObject | string): Promise<JsonObject> {
  if (typeof workflow !== 'string') return workflow
  try {
    return JSON.parse(await readFile(workflow, 'utf8')) as JsonObject
  } catch (error) {
    throw new EngineError('USAGE', `Cannot read workflow "${workflow}": ${messageOf(error)}; name a JSON file`)
  }
}

function nameOf(workflow: JsonObject | string): string {
  if (typeof workflow === 'string') return basename(workflow, extname(workflow))
  return typeof workflow.id === 'string' ? workflow.id : 'workflow'
}

function inputsOf(workflow: JsonObject, options: SimulateOptions, life: number): Pick<Plan, 'workflow' | 'files'> {
  const { arrivals = {}, files = {}, http = {} } = options
  const number = Math.floor(hashUnit(`${life}|arrivals`) * 2 ** 31)
  const items = isArbitrary(arrivals) ? (fc.sample(arrivals, { seed: number, numRuns: 1 })[0] as Items) : arrivals
  const flat = Object.entries(items).flatMap(([queue, list]) => list.map(data => ({ at: 0, queue, data })))
  const made = withArrivals(workflow, flat)
  const empty = Object.keys(items).filter(queue => items[queue]?.length === 0)
  for (const queue of empty) made.files[arrivalsFile(queue)] = ''
  const rules = Object.keys(http).map(request => {
    const [method, url] = request.split(' ')
    return { method, url, call: request }
  })
  const said = rules.length === 0 ? {} : { [saidOutside.http]: JSON.stringify(rules) }
  return { workflow: made.workflow, files: { ...files, ...made.files, ...said } }
}

function isArbitrary(arrivals: SimulateOptions['arrivals']): arrivals is fc.Arbitrary<Items> {
  return typeof (arrivals as { generate?: unknown } | undefined)?.generate === 'function'
}

function setHandlers(http: Record<string, HttpHandler>): string[] {
  for (const [request, handler] of Object.entries(http)) httpHandlers.set(request, handler)
  return Object.keys(http)
}

/** The plan that the environment asks to be repeated, if it is one of this name. */
async function storedPlan(name: string): Promise<Plan | undefined> {
  const file = planToRepeat()
  if (file === undefined) return undefined
  const text = await readFile(file, 'utf8').catch(error => {
    throw new EngineError('USAGE', `Cannot read plan "${file}": ${messageOf(error)}; THEONEEYE_PLAN names a plan.json`)
  })
  const plan = parsePlan(text, file)
  return plan.name === name ? plan : undefined
}
