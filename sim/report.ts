/** A failure as its user reads it: what should hold, what was seen, what led there, and the line that repeats it. */
import type { JsonObject } from '../engine/json.ts'
import type { PlanCall } from './calls.ts'
import type { Found } from './explore.ts'
import { type FaultKind, faultKinds } from './faults.ts'
import { type InvariantName, inWords } from './invariants/invariant.ts'
import type { Plan } from './plan.ts'
import { meaningOf } from './report-answers.ts'
import type { FailureKind } from './world.ts'

export const exitCodes: Record<FailureKind, number> = {
  invariant: 1,
  stuck: 3,
  escape: 4,
  nondeterminism: 4,
  crash: 5,
  inconclusive: 6,
}

const storyLines = 10

export function describeFailure({ failure, plan, lines }: Found, folder: string): string[] {
  const words = inWords[failure.invariant as InvariantName] ?? failure.expected
  return [
    `${plan.name}: seed ${plan.seed}: ${failure.invariant} does not hold at ${failure.at / 1000} s: ${words}`,
    `  expected  ${failure.expected}`,
    `  seen      ${failure.seen}`,
    `  with ${plan.events.length} faults:${plan.events.length === 0 ? ' none are needed' : ''}`,
    ...plan.events.slice(0, 12).map(event => `    ${describeEvent(event)}`),
    ...(plan.calls === undefined ? [] : [`  with ${plan.calls.length} calls: ${describeCalls(plan.calls)}`]),
    '  the end of it:',
    ...story(lines).map(line => `    ${line}`),
    `  again: npx theoneeye sim --plan ${folder}/plan.json`,
    `  more:  ${folder}`,
  ]
}

export function describeEvent({ kind, args }: Plan['events'][number]): string {
  return `${kind} at ${args.op} ${args.loop === '' ? '' : `of "${args.loop}" `}no. ${args.n}: ${faultKinds[kind]}`
}

function describeCalls(calls: readonly PlanCall[]): string {
  const inWords = calls.slice(0, 12).map(call => {
    const what = call.kind === 'develop' ? `develop "${call.node}"` : call.kind
    return `${what} (${call.n}) at ${call.at / 1000} s`
  })
  return `${inWords.join(', ')}${calls.length > 12 ? ', …' : ''}`
}

/** The last lines of the trace that mattered. */
export function story(lines: readonly string[]): string[] {
  return sentences(lines).slice(-storyLines)
}

/** All lines of the trace that matter to people. */
export function sentences(lines: readonly string[]): string[] {
  return lines.map(line => sentence(JSON.parse(line) as JsonObject)).filter(line => line !== undefined)
}

function sentence(line: JsonObject): string | undefined {
  const at = `${(Number(line.ms) / 1000).toFixed(3)} s  `
  const where = line.loop === '' || line.loop === undefined ? '' : ` of "${line.loop}"`
  if (typeof line.fault === 'string')
    return `${at}fault: ${faultKinds[line.fault as FaultKind]} (${line.op}${where} no. ${line.n})`
  if (typeof line.daemon === 'string') return `${at}daemon ${line.number} ${daemonInWords(line)}`
  if (typeof line.call === 'number') return `${at}call ${line.call} is answered: ${callInWords(line)}`
  if (line.healed === true)
    return `${at}faults end${String(line.lost) === '' ? '' : `; gone for good: daemon ${line.lost}`}`
  if (typeof line.op === 'string' && line.op !== 'renew' && line.op !== 'wait') {
    const answer = String(line.answer).replaceAll('\n', ' ').trim().slice(0, 80)
    return `${at}${line.op}${where} no. ${line.n}: ${answer}${meaningOf(line.op, answer)}`
  }
  const event = line.event as JsonObject | undefined
  if (event?.type === 'warning') return `${at}warning ${event.code}: ${String(event.message).slice(0, 160)}`
  if (typeof event?.type !== 'string' || event.type.startsWith('node_')) return undefined
  const iteration = event.iteration === undefined ? '' : ` ${event.iteration}`
  return `${at}${event.type.replaceAll('_', ' ')}${iteration}${event.loop === undefined ? '' : ` of "${event.loop}"`}`
}

function callInWords({ kind, status, code, output }: JsonObject): string {
  const said = status ?? code ?? (output === undefined ? '' : JSON.stringify(output).slice(0, 100))
  return `${kind} ${said}`
}

function daemonInWords({ daemon, life, boot, code = null }: JsonObject): string {
  if (daemon === 'starts') return `starts on ${boot}, life ${life}`
  return daemon === 'wakes up' ? daemon : `ends: ${daemon}${code === null ? '' : ` (${code})`}`
}

/** What was drawn for a run: which kinds of faults there are and how many or how likely, and the speeds of the world. */
export function describePlan(plan: Plan): string {
  const counts = new Map<string, number>()
  const odds: string[] = []
  for (const { kind, args } of plan.events) {
    if (typeof args.odds === 'number') odds.push(`${kind} for ${args.odds * 100} % of items`)
    else counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  const faults = [...[...counts].map(([kind, n]) => `${kind} ${n}`), ...odds].join(', ') || 'none'
  const { latencyMsMax, fsyncMs, comebackMsMax, instances, elsewhere, lagMs, faultsUntilMs } = plan.settings
  const settings = [
    `${instances} daemon${instances === 1 ? '' : 's'}`,
    `latency up to ${latencyMsMax} ms`,
    `comeback up to ${comebackMsMax} ms`,
    `fsync every ${fsyncMs} ms`,
    `replica ${lagMs} ms behind`,
    `another machine ${elsewhere * 100} %`,
    `faults until ${faultsUntilMs / 1_000} s`,
  ]
  return `seed ${plan.seed}: ${settings.join(', ')}; faults planned: ${faults}`
}
