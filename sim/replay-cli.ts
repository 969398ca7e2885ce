/**
 * `theoneeye replay TRACE|DIR`: replays recorded traces and resolves to the exit code of spec 3: 0 identical, 1 diverged,
 * 2 an unreadable trace, 3 stale. daemon/commands/replay.ts is the one that calls it, by a dynamic import.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, EngineError, messageOf } from '../engine/errors.ts'
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { IterationLine } from '../engine/trace/trace.ts'
import { ItemPath } from './item-path.ts'
import { type JunitSuite, writeJunit } from './junit.ts'
import { type ReplayOptions, type ReplayReport, replayTrace, type Verdict } from './replay.ts'
import { traceLines } from './trace-lines.ts'

export type ReplayJob = {
  path: string
  registry: NodeRegistry
  workflow?: { source: string; name: string }
  /** Only iterations that have to do with the item of this id are told of. */
  fromItem?: string
  junit?: string
  out: {
    text(line?: string): void
    json(value: unknown): void
    note(line: string): void
    progress(line: string): void
  }
}

type Bad = Exclude<Verdict, { kind: 'identical' }>
type Told = { file: string; line: IterationLine; verdict: Bad }

/** Replays one trace, or every `.jsonl` and `.jsonl.gz` file of a folder. Rejects with `USAGE` or `WORKFLOW_INVALID`. */
export async function replayCommand(job: ReplayJob): Promise<number> {
  const { out, fromItem } = job
  const startedMs = performance.now()
  const total: ReplayReport = { iterations: 0, identical: 0, diverged: 0, stale: 0, unreplayable: 0, truncated: false }
  const bad: Told[] = []
  const files = await tracesAt(job.path)
  const path = fromItem === undefined ? undefined : new ItemPath(fromItem)
  for (const file of files) {
    const report = await replayTrace(traceLines(file), file, { ...job, ...listening(job, { file, bad, path }) })
    for (const key of ['iterations', 'identical', 'diverged', 'stale', 'unreplayable'] as const)
      total[key] += report[key]
    if (report.truncated) out.note(`warning: the last line of "${file}" is cut off and was left out`)
    out.progress(`${total.iterations} iterations`)
  }
  out.progress('')
  if (path !== undefined && total.iterations === 0) {
    throw usage(job.path, `no iteration has to do with item "${fromItem}"`, 'give an id as queue peek or dlq show it')
  }
  if (job.junit !== undefined) {
    await writeJunit(job.junit, suiteOf(files, { bad, total, tookMs: Math.round(performance.now() - startedMs) }))
  }
  return tell(total, out)
}

/** All that diverges is told to programs, and to people the first, or all that has to do with the item they ask for. */
function listening(
  { out }: ReplayJob,
  { file, bad, path }: { file: string; bad: Told[]; path: ItemPath | undefined },
): Pick<ReplayOptions, 'onVerdict' | 'onIdentical' | 'follows'> {
  const onVerdict = (line: IterationLine, verdict: Bad): void => {
    out.json(lineOf(file, line, verdict))
    if (bad.length === 0 || path !== undefined) for (const text of inWords(file, line, verdict)) out.text(text)
    bad.push({ file, line, verdict })
  }
  if (path === undefined) return { onVerdict }
  const onIdentical = (line: IterationLine): void => {
    const went = line.writes.pushes.map(({ queue }) => `"${queue}"`).join(', ')
    out.text(`${whereOf(file, line)}: identical${went === '' ? '' : `, on to ${went}`}`)
  }
  return { onVerdict, onIdentical, follows: line => path.has(line) }
}

function tell(total: ReplayReport, out: ReplayJob['out']): number {
  const { iterations, identical, diverged, stale, unreplayable } = total
  out.json({ type: 'summary', iterations, identical, diverged, stale })
  if (unreplayable > 0) {
    out.note(
      `warning: ${unreplayable} iterations were left out: others before them were not recorded (the disk was too slow)`,
    )
  }
  out.text(`replayed ${iterations} iterations, ${describeTotal(total)}`)
  if (diverged > 0) return 1
  return stale > 0 ? 3 : 0
}

/** A test case per trace. */
function suiteOf(
  files: readonly string[],
  { bad, total, tookMs }: { bad: Told[]; total: ReplayReport; tookMs: number },
): JunitSuite {
  const cases = files.map(name => {
    const failures = bad
      .filter(({ file }) => file === name)
      .map(({ line, verdict }) => {
        const [message = '', ...more] = inWords(name, line, verdict)
        return { message, type: verdict.kind, text: more.join('\n') }
      })
    return { name, failures }
  })
  return { command: 'replay', what: `${total.iterations} iterations`, cases, tookMs }
}

function describeTotal({ iterations, identical, diverged, stale }: ReplayReport): string {
  if (identical === iterations) return 'identical'
  return `${identical} identical, ${diverged} diverged, ${stale} stale`
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

function lineOf(trace: string, { loop, iteration }: IterationLine, verdict: Bad): object {
  const { kind, node_id, field } = verdict
  const where = { trace, loop, iteration, node_id, field }
  if (kind === 'stale') return { type: 'stale', ...where }
  return { type: 'divergence', ...where, expected: verdict.expected, seen: verdict.seen }
}

function whereOf(trace: string, { loop, iteration, time }: IterationLine): string {
  return `${trace}: iteration ${iteration} of loop "${loop}", recorded ${new Date(time).toISOString()}`
}

function inWords(trace: string, line: IterationLine, verdict: Bad): string[] {
  const where = whereOf(trace, line)
  const node = verdict.node_id === '' ? 'the iteration' : `node "${verdict.node_id}"`
  if (verdict.kind === 'stale') {
    return [`${where}, is stale: ${node} needs "${verdict.field}", which was not recorded`]
  }
  const { field, expected, seen, before } = verdict
  return [
    `${where}, diverges: ${node}, ${field}`,
    `  expected  ${JSON.stringify(expected)}`,
    `  seen      ${JSON.stringify(seen)}`,
    ...(before.length === 0 ? [] : [`  before    ${before.join(', ')}`]),
  ]
}
