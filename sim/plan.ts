/**
 * A plan is data: a workflow, the files it finds, a seed for draws, settings, a flat list of events, and one of calls. It can be cut
 * anywhere and still runs, because an event whose target is gone does nothing; so a stored plan never rots.
 */
import { EngineError } from '../engine/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../engine/json.ts'
import type { PlanCall } from './calls.ts'
import { type FaultKind, isFaultKind } from './faults.ts'

/** `at` is in milliseconds since the beginning; faults that name an operation have 0. */
export type PlanEvent = {
  at: number
  actor: 'daemon' | 'connection' | 'server' | 'outside'
  kind: FaultKind
  args: JsonObject
}

export type PlanSettings = {
  /** Milliseconds, one way. */
  latencyMsMax: number
  /** How often the server makes its writes durable, in milliseconds: what it can lose. */
  fsyncMs: number
  /** How long a restarted daemon or a lost connection takes to come back, in milliseconds. */
  comebackMsMax: number
  /** Chance that a daemon comes back on another machine, where it cannot tell whether the dead one is dead. */
  elsewhere: number
  /** Daemons at once. */
  instances: number
  /** How far a replica of the server lags behind, in milliseconds: what a fail-over to it loses. */
  lagMs: number
  /** As `run` serves the workflow, or as a daemon does. */
  serving: 'run' | 'daemon'
  /** When faults stop, in milliseconds since the beginning; from then on what is there must come to its end. */
  faultsUntilMs: number
}

export type Plan = {
  version: 1
  /** The file the workflow came from, for people. */
  name: string
  seed: string
  workflow: JsonObject
  files: Record<string, string>
  settings: PlanSettings
  events: PlanEvent[]
  /** What people ask of its daemons over HTTP. */
  calls?: PlanCall[]
  /** The user's test that checks it, as a path below where it runs: only there are its check and its handlers. */
  test?: string
}

/** What plans that were stored earlier do not say. */
const laterSettings = { instances: 1, lagMs: 200, serving: 'run', faultsUntilMs: 1_800_000 }

/** Reads a stored plan. Throws `USAGE` saying what is wrong with it. */
export function parsePlan(text: string, name: string): Plan {
  const fail = (what: string): never => {
    throw new EngineError('USAGE', `Cannot read plan "${name}": ${what}; give a plan.json that sim wrote`)
  }
  let plan: Json = null
  try {
    plan = JSON.parse(text) as Json
  } catch {
    fail('it is not JSON')
  }
  if (!isJsonObject(plan)) return fail('it is not an object')
  if (plan.version !== 1) fail(`its version is ${JSON.stringify(plan.version)}, this one knows version 1`)
  if (typeof plan.seed !== 'string' || !isJsonObject(plan.workflow) || !isJsonObject(plan.settings)) {
    fail('seed, workflow or settings are missing')
  }
  if (!Array.isArray(plan.events)) return fail('it has no list of events')
  for (const event of plan.events) {
    if (!isJsonObject(event) || !isJsonObject(event.args)) fail('an event is not { at, actor, kind, args }')
    const { kind } = event as JsonObject
    if (typeof kind !== 'string' || !isFaultKind(kind)) fail(`it has an event of unknown kind ${JSON.stringify(kind)}`)
  }
  for (const call of Array.isArray(plan.calls) ? plan.calls : []) {
    const isCall = isJsonObject(call) && typeof call.at === 'number' && typeof call.n === 'number'
    if (!isCall || !/^(post|ask|develop)$/.test(String(call.kind))) fail('a call is not { at, n, kind, … }')
  }
  if (plan.test !== undefined && typeof plan.test !== 'string') fail('its test is not the path of a file')
  const settings = { ...laterSettings, ...(plan.settings as JsonObject) }
  return { files: {}, name, ...plan, settings } as unknown as Plan
}
