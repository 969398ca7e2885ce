/**
 * `theoneeye replay TRACE|DIR`: replays recorded traces and resolves to the exit code of spec 3: 0 identical, 1 diverged,
 * 2 an unreadable trace, 3 stale. daemon/commands/replay.ts is the one that calls it, by a dynamic import.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import { requireWorkflow } from '../engine/graph/load-workflow.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import { parseHeader, unreadable } from '../engine/trace/trace.ts'
import { Moves } from './edit-report.ts'
import { pathThrough } from './item-path.ts'
import { type JunitSuite, writeJunit } from './junit.ts'
import type { RegistryModule } from './registry-module.ts'
import type { Decided, ReplayReport } from './replay.ts'
import { replayAll } from './replay-all.ts'
import type { FileReport, ReplayTask, Told } from './replay-file.ts'
import { traceLines } from './trace-lines.ts'

export type ReplayJob = {
  path: string
  registry: NodeRegistry
  /** Opens the same registry, in other threads; without, this one does all. */
  registryModule?: RegistryModule
  workflow?: { source: string; name: string }
  /** Only iterations that have to do with the item, or the item of the dead letter, of this id are told of. */
  fromItem?: string
  junit?: string
  out: {
    text(line?: string): void
    json(value: unknown): void
    note(line: string): void
    progress(line: string): void
  }
}

/** Replays one trace, or every `.jsonl` and `.jsonl.gz` file of a folder. Rejects with `USAGE` or `WORKFLOW_INVALID`. */
export async function replayCommand(job: ReplayJob): Promise<number> {
  const { out, fromItem, workflow } = job
  const startedMs = performance.now()
  const files = await tracesFor(job)
  const path = fromItem === undefined ? undefined : (await pathThrough(files, fromItem)).known
  const tasks = files.map((file): ReplayTask => ({ file, workflow, path }))
  const all: Replayed[] = []
  await replayAll(tasks, job, ({ file }, report) => {
    all.push({ file, ...report })
    tellFile(all, { out, follows: path !== undefined })
    if (path === undefined) all[all.length - 1] = withoutTold({ file, ...report })
    out.progress(`${totalOf(all).iterations} iterations`)
  })
  out.progress('')
  const total = totalOf(all)
  if (path !== undefined && total.iterations === 0) {
    throw usage(job.path, `no iteration has to do with item "${fromItem}"`, 'give an id as queue peek or dlq show it')
  }
  if (path !== undefined) for (const text of wayInWords(all)) out.text(text)
  if (workflow !== undefined) tellEdit(all, out)
  if (job.junit !== undefined) {
    await writeJunit(job.junit, suiteOf(all, Math.round(performance.now() - startedMs)))
  }
  return tell(total, out)
}

type Replayed = FileReport & { file: string }

/** What JUnit is to show of a trace: the rest was told, and a folder of traces may hold much of it. */
const keptMax = 100

function withoutTold(replayed: Replayed): Replayed {
  const { told, untold } = replayed
  const left = Math.max(0, told.length - keptMax)
  return { ...replayed, told: told.slice(0, keptMax), untold: untold + left }
}

function totalOf(all: readonly Replayed[]): ReplayReport {
  const total: ReplayReport = { iterations: 0, identical: 0, diverged: 0, stale: 0, unreplayable: 0, truncated: false }
  for (const { report } of all)
    for (const key of ['iterations', 'identical', 'diverged', 'stale', 'unreplayable'] as const)
      total[key] += report[key]
  return total
}

/** Of the last file: all that diverges is told to programs, and to people the first of all, unless they follow an item. */
function tellFile(all: readonly Replayed[], { out, follows }: Pick<ReplayJob, 'out'> & { follows: boolean }): void {
  const { file, report, told, untold } = all.at(-1) as Replayed
  for (const each of told) if ('verdict' in each) out.json(lineOf(file, each))
  const isFirst = all.slice(0, -1).every(before => before.told.length === 0)
  const [first] = isFirst && !follows ? told.filter(isBad) : []
  if (first !== undefined) for (const text of inWords(file, first)) out.text(text)
  if (untold > 0) out.note(`warning: of "${file}", ${untold} more went another way; the first ${told.length} are told`)
  if (report.truncated) out.note(`warning: the last line of "${file}" is cut off and was left out`)
}

/** What became of the item, in the order of time: several daemons have worked on it, each with a trace of its own. */
function wayInWords(all: readonly Replayed[]): string[] {
  const way = all.flatMap(({ file, told }) => told.map(each => ({ file, each })))
  return way
    .sort((a, b) => a.each.time - b.each.time)
    .flatMap(({ file, each }) => {
      if (isBad(each)) return inWords(file, each)
      const went = each.queues.map(queue => `"${queue}"`).join(', ')
      return [`${whereOf(file, each)}: identical${went === '' ? '' : `, on to ${went}`}`]
    })
}

/** What the edit changes: each change of the definition once, however many traces there are; and items by where they go. */
function tellEdit(all: readonly Replayed[], out: ReplayJob['out']): void {
  const changes = new Map(all.flatMap(each => each.changes).map(change => [JSON.stringify(change), change]))
  const moves = new Moves()
  for (const move of all.flatMap(each => each.moves)) moves.add(move)
  for (const change of changes.values()) {
    out.json({ type: 'change', change: change.what, name: change.name, field: change.field ?? null })
    out.text(`changed: ${change.what} "${change.name}"${change.field === undefined ? '' : `, ${change.field}`}`)
  }
  for (const { loop, from, to, items, ids } of moves.told()) {
    out.json({ type: 'moved', loop, from, to, items, ids })
    const named = `${ids.join(', ')}${items > ids.length ? ', …' : ''}`
    out.text(
      `${items} ${items === 1 ? 'item' : 'items'} of loop "${loop}" would go to ${to} instead of ${from}: ${named}`,
    )
  }
}

function tell(total: ReplayReport, out: ReplayJob['out']): number {
  const { iterations, identical, diverged, stale, unreplayable } = total
  out.json({ type: 'summary', iterations, identical, diverged, stale })
  if (unreplayable > 0) {
    out.note(
      `warning: ${unreplayable} iterations were left out: others of their loop before them were not recorded, to spare it or because the disk was too slow`,
    )
  }
  out.text(`replayed ${iterations} iterations, ${describeTotal(total)}`)
  if (diverged > 0) return 1
  return stale > 0 ? 3 : 0
}

/** A test case per trace. */
function suiteOf(all: readonly Replayed[], tookMs: number): JunitSuite {
  const cases = all.map(({ file, told, untold }) => {
    const more = { message: `${untold} more went another way`, type: 'diverged', text: '' }
    const failures = told.filter(isBad).map(each => {
      const [message = '', ...lines] = inWords(file, each)
      return { message, type: each.verdict.kind, text: lines.join('\n') }
    })
    return { name: file, failures: untold === 0 ? failures : [...failures, more] }
  })
  return { command: 'replay', what: `${totalOf(all).iterations} iterations`, cases, tookMs }
}

function describeTotal({ iterations, identical, diverged, stale }: ReplayReport): string {
  if (identical === iterations) return 'identical'
  return `${identical} identical, ${diverged} diverged, ${stale} stale`
}

/** Of a folder, an edited workflow is for the traces of that workflow: a daemon keeps those of all in one. */
async function tracesFor({ path, registry, workflow }: ReplayJob): Promise<string[]> {
  const files = await tracesAt(path)
  if (workflow === undefined || files.length === 1) return files
  const { id } = requireWorkflow(workflow.source, { registry, name: workflow.name }).workflow
  const ids = await Promise.all(files.map(workflowIn))
  const own = files.filter((_, i) => ids[i] === id)
  if (own.length > 0) return own
  throw usage(path, `there is no trace of workflow "${id}", only of ${[...new Set(ids)].join(', ')}`)
}

/** Its id, as the header says. */
async function workflowIn(file: string): Promise<string> {
  for await (const line of traceLines(file)) return String(parseHeader(line, file).workflow.id)
  throw unreadable(file, 'it is empty')
}

/** A trace, or those of a folder, by name. Rejects with `USAGE`. */
export async function tracesAt(path: string): Promise<string[]> {
  const files = await filesAt(path).catch(error => {
    const reason = codeOf(error) === 'ENOENT' ? 'there is no such file or folder' : messageOf(error)
    throw usage(path, reason)
  })
  if (files.length > 0) return files
  throw usage(path, 'the folder holds no .jsonl or .jsonl.gz file')
}

async function filesAt(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const names = (await readdir(path)).filter(name => /\.jsonl(\.gz)?$/.test(name)).sort()
  return names.map(name => join(path, name))
}

function usage(path: string, reason: string, advice = 'name a file that run --trace wrote'): EngineError {
  return new EngineError('USAGE', `Cannot replay "${path}": ${reason}; ${advice}`)
}

type ToldBad = Extract<Told, { verdict: unknown }>

function isBad(told: Told): told is ToldBad {
  return 'verdict' in told
}

function lineOf(trace: string, { loop, iteration, verdict }: ToldBad): object {
  const { kind, node_id, field } = verdict
  const where = { trace, loop, iteration, node_id, field }
  if (kind === 'stale') return { type: 'stale', ...where }
  return { type: 'divergence', ...where, expected: verdict.expected, seen: verdict.seen }
}

function whereOf(trace: string, { loop, iteration, time }: Told): string {
  return `${trace}: iteration ${iteration} of loop "${loop}", recorded ${new Date(time).toISOString()}`
}

function inWords(trace: string, told: ToldBad): string[] {
  const { verdict } = told
  const where = whereOf(trace, told)
  const node = verdict.node_id === '' ? 'the iteration' : `node "${verdict.node_id}"`
  if (verdict.kind === 'stale') {
    return [`${where}, is stale: ${node} needs "${verdict.field}", which was not recorded`]
  }
  const { field, expected, seen, before } = verdict
  return [
    `${where}, diverges: ${node}, ${field}`,
    `  expected  ${JSON.stringify(expected)}`,
    `  seen      ${JSON.stringify(seen)}`,
    ...beforeInWords(before),
  ]
}

/** A line for each iteration. */
function beforeInWords(before: readonly Decided[]): string[] {
  const numbers = [...new Set(before.map(({ iteration }) => iteration))]
  return numbers.map((number, i) => {
    const nodes = before
      .filter(({ iteration }) => iteration === number)
      .map(({ at, did, route }) => `${at}${did === 'fail' ? ' failed' : ''}${route === undefined ? '' : ` (${route})`}`)
    return `  ${i === 0 ? 'before' : '      '}    iteration ${number}: ${nodes.join(', ')}`
  })
}
