/** Replays one file of traces, in this thread or in a worker: everything comes and goes as data. */
import type { NodeRegistry } from '../engine/node/node-registry.ts'
import type { IterationLine } from '../engine/trace/trace.ts'
import { type Change, type Move, Moves } from './edit-report.ts'
import { ItemPath, type KnownPath } from './item-path.ts'
import { type ReplayReport, replayTrace, type Verdict } from './replay.ts'
import { traceLines } from './trace-lines.ts'

export type ReplayTask = {
  file: string
  /** The text of a workflow file, to replay against. */
  workflow: { source: string; name: string } | undefined
  /** Only what belongs to this item is told of. */
  path: KnownPath | undefined
}

export type Bad = Exclude<Verdict, { kind: 'identical' }>
export type Place = Pick<IterationLine, 'time' | 'loop' | 'iteration'>
/** An iteration that is not identical, or was only to be followed: `queues` are those it pushed to. */
export type Told = Place & ({ verdict: Bad } | { queues: string[] })

export type FileReport = {
  report: ReplayReport
  told: Told[]
  /** How many more were not identical. */
  untold: number
  changes: Change[]
  moves: Move[]
}

/** Where everything goes another way, one has seen enough; in UTF-16 units of JSON, whatever the values are. */
const toldMax = 10_000
const toldUnitsMax = 16 * 1024 * 1024

/** Rejects as `replayTrace` does. */
export async function replayFile(task: ReplayTask, registry: NodeRegistry): Promise<FileReport> {
  const { file, workflow, path } = task
  const [told, moves]: [Told[], Moves] = [[], new Moves()]
  let [untold, units, changes]: [number, number, Change[]] = [0, 0, []]
  const tell = ({ time, loop, iteration }: IterationLine, what: { verdict: Bad } | { queues: string[] }): void => {
    if (told.length === toldMax || units > toldUnitsMax) {
      untold += 1
      return
    }
    units += JSON.stringify(what).length
    told.push({ time, loop, iteration, ...what })
  }
  const known = path && new ItemPath(path)
  const report = await replayTrace(traceLines(file), file, {
    registry,
    workflow,
    onChanges: found => {
      changes = found
    },
    onVerdict: (line, verdict) => {
      tell(line, { verdict })
      if (verdict.kind === 'diverged') moves.note(line, verdict.end)
    },
    ...(known && {
      follows: (line: IterationLine) => known.has(line),
      onIdentical: (line: IterationLine) => tell(line, { queues: line.writes.pushes.map(({ queue }) => queue) }),
    }),
  })
  return { report, told, untold, changes, moves: moves.told() }
}
