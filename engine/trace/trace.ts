/**
 * A recorded run as JSON Lines: a header, then a line for every iteration as it ends, and one for every commit as Redis
 * confirms it. What a line holds is enough to run its iteration again without the world (spec chapter 3).
 *
 * Form 1: one run, one text: no stacks, and keys in the order in which they were set, for nodes see that order too. Lines of
 * other kinds may stand between and are passed over.
 */
import { EngineError } from '../errors.ts'
import type { FlowGraph, Workflow } from '../graph/flow-graph.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import type { Response } from '../node/context.ts'
import type { ClaimedEntry } from '../store/entry.ts'
import { pathsRedactor, redactWorkflow, secretsOf, withoutSecrets } from './redact.ts'
import { commitShape, headerShape, iterationShape, misshapen } from './trace-shape.ts'
import type { CallNote, ErrorNote, ReadNotes, StepNote } from './witness.ts'

export const traceFormat = 1

export type TraceHeader = {
  kind: 'header'
  format: typeof traceFormat
  /** The version that recorded it. */
  engine: string
  /** As it was loaded, without its secrets. */
  workflow: JsonObject
  hash: string
  source: 'recorded' | JsonObject
}

/** How an iteration ended; `none`: its producer had no item, before `until` (epoch milliseconds) or ever (null). */
export type OutcomeNote =
  | { as: 'ok' }
  | { as: 'failed'; node: string; error: ErrorNote }
  | { as: 'none'; until: number | null }

/** What an iteration would change; texts are JSON, null deletes. */
export type WriteNotes = {
  state: Record<string, string>
  runtime: Record<string, string | null>
  delays: string[]
  pushes: { at: string; queue: string }[]
  /** What an `http-response` node answered. */
  response?: Response
}

type Where = {
  /** epoch milliseconds */
  time: number
  /** Who held the replica: its node instances lived as long. */
  instance: string
  run: string
  loop: string
  replica: number
  iteration: number
  key: string
}

export type IterationLine = Where & {
  kind: 'iteration'
  /** What the keys of its pushes begin with. */
  prefix: string
  entry: ClaimedEntry | null
  reads: ReadNotes
  clock: Record<string, number[]>
  calls: CallNote[]
  steps: StepNote[]
  outcome: OutcomeNote
  writes: WriteNotes
}

export type CommitLine = Where & { kind: 'commit' }
export type TraceLine = IterationLine | CommitLine | GapLine
/** `wants`: asked when a chapter begins (see `LoopRecorder`); one that is not wanted is left out whole. */
export type TraceSink = ((line: TraceLine) => void) & { readonly wants?: () => boolean }
/** Where what a replay needs of this definition goes; undefined: nothing of it is recorded. */
export type RecordOf = (graph: FlowGraph) => TraceSink | undefined

/** So many iterations of one holder are missing from here on: recording them would have cost too much. */
export type GapLine = { kind: 'gap'; time: number; instance: string; iterations: number }

export type TraceAbout = {
  engine: string
  source: TraceHeader['source'] /** See `pathsRedactor`. */
  redact?: readonly string[]
}

/** Writes the header at once, and then every line it is given; secret fields leave no trace. */
export function openTrace(
  graph: FlowGraph,
  { engine, source, redact = [] }: TraceAbout,
  write: (line: string) => void,
): TraceSink {
  const secrets = secretsOf(graph)
  const put = (line: object): void => write(JSON.stringify(line))
  const workflow = withoutSecrets(redactWorkflow(graph, toSource(graph.workflow)), secrets) as JsonObject
  put({ kind: 'header', format: traceFormat, engine, source, workflow, hash: graph.hash })
  if (secrets.length + redact.length === 0) return put
  const blanked = pathsRedactor(redact)
  return line => {
    if (line.kind === 'gap') return put(line)
    const { kind, time, instance, run, loop, replica, iteration, key, ...said } = line
    const known = said as unknown as JsonObject
    put({
      ...(withoutSecrets(redact.length === 0 ? known : blanked(known), secrets) as JsonObject),
      kind,
      time,
      instance,
      run,
      loop,
      replica,
      iteration,
      key,
    })
  }
}

/** Drops what is undefined: `body?: string` and its like. */
function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json
}

/** The file that would load as this workflow, as the same definition. */
export function toSource({ id, name, type, env, settings: all, fromHost = [], nodes, edges }: Workflow): JsonObject {
  const settings = Object.fromEntries(Object.entries(all).filter(([key]) => !fromHost.some(each => each === key)))
  return plain({
    id,
    name,
    type,
    env,
    settings,
    nodes: nodes.map(({ id, type, form, config }) => ({ id, type, data: { form, config } })),
    edges: edges.map(({ id, source, target, port }) => ({ id, source, target, sourceHandle: port })),
  }) as JsonObject
}

/** Reads the first line. Throws `USAGE` when it is none of ours, or of a newer form. */
export function parseHeader(text: string, name: string): TraceHeader {
  const header = parseLine(text)
  if (header?.kind !== 'header') throw unreadable(name, 'line 1 is no header of a trace')
  if (header.format !== traceFormat) {
    throw unreadable(name, `it has form ${JSON.stringify(header.format)}, this version reads form ${traceFormat}`)
  }
  const wrong = misshapen(header, headerShape)
  if (wrong === undefined) return header as unknown as TraceHeader
  throw unreadable(name, `line 1 is no header of a trace: its "${wrong}" is not as it was recorded`)
}

/** A line as a JSON object; undefined when it is none. */
export function parseLine(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as Json
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

type Place = { name: string; line: number }

/** The line of an iteration, or undefined for one of another kind. Throws `USAGE` when it, or a commit, lacks something. */
export function readIteration(line: JsonObject, place: Place): IterationLine | undefined {
  if (line.kind === 'iteration') return required(line, iterationShape, place) as unknown as IterationLine
  if (line.kind === 'commit') required(line, commitShape, place)
  return undefined
}

function required(line: JsonObject, shape: typeof commitShape, { name, line: number }: Place): JsonObject {
  const wrong = misshapen(line, shape)
  if (wrong === undefined) return line
  throw unreadable(name, `line ${number} is no ${line.kind}: its "${wrong}" is not as it was recorded`)
}

export function unreadable(name: string, what: string): EngineError {
  return new EngineError('USAGE', `Cannot read trace "${name}": ${what}; give a file that run --trace or sim wrote`)
}
