/** The events of a run (spec 4.2): what `run --json` prints, state trackers fold, traces record. */
import type { ErrorRecord } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { NodeOutput } from '../node/node.ts'
import type { ExitCause } from '../run/pool-protocol.ts'

type Base = { /** epoch milliseconds */ time: number; workflow_id: string; run: string }
type InLoop = Base & { /** the producer's node id */ loop: string }
type InIteration = InLoop & { /** from 1 per run and loop */ iteration: number }
type AtNode = InIteration & { node_id: string; node_type: string }

/** Why an item could not be processed, and the item (spec 1.6). `queue` is where it came from, for requeueing. */
export type DeadLetter = {
  id: string
  /** epoch milliseconds */
  time: number
  workflow: string
  run: string
  loop: string
  iteration: number
  node: string
  node_type: string
  error: ErrorRecord
  item: { id: string; data: JsonObject; metadata: JsonObject }
  deliveries: number
  trace_id: string
  queue: string | null
}

export type EngineEvent =
  | (Base & { type: 'workflow_started'; resumed: boolean })
  | (InLoop & { type: 'loop_started' })
  | (InIteration & { type: 'iteration_started' })
  | (AtNode & { type: 'node_started' })
  | (AtNode & { type: 'node_completed'; route?: string /** seconds */; duration: number })
  | (AtNode & { type: 'node_skipped' })
  | (AtNode & { type: 'node_failed'; error: ErrorRecord; duration: number })
  | (InIteration & { type: 'iteration_completed'; duration: number })
  | (InIteration & { type: 'iteration_failed'; error: ErrorRecord; duration: number })
  | (InLoop & { type: 'dead_letter' } & Omit<DeadLetter, 'time' | 'run' | 'loop'>)
  | (InLoop & { type: 'loop_completed' })
  | (Base & { type: 'workflow_completed' })
  | (Base & { type: 'workflow_failed'; error: ErrorRecord })
  | (Base & {
      type: 'warning'
      code: string
      message: string
      loop?: string
      /** How the worker of a crashed loop ended, where it had one. */
      cause?: ExitCause
    })

/**
 * `output`: what the node of a `node_completed` put out, frozen; not of loops in workers, whose items stay there. Whoever
 * keeps it keeps all of the item.
 */
export type EventSink = (event: EngineEvent, output?: NodeOutput) => void
