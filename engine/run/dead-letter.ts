/** The record of an item that could not be processed (1.6): everything needed to understand it, and to requeue it. */
import { EngineError, toErrorRecord } from '../errors.ts'
import type { FlowNode } from '../graph/flow-graph.ts'
import type { NodeOutput } from '../node/node.ts'
import type { ClaimedEntry } from '../store/entry.ts'
import type { DeadLetter } from '../trace/events.ts'
import type { Iteration } from './iteration.ts'
import type { LoopScope } from './loop-scope.ts'

export type FailedItem = {
  iteration: Iteration
  entry: ClaimedEntry | undefined
  /** Undefined for the implicit reader of a background loop. */
  node: FlowNode | undefined
  error: unknown
  item: NodeOutput
}

export function deadLetterOf(scope: LoopScope, failed: FailedItem): { letter: DeadLetter; record: string } {
  const { iteration, entry, node, item } = failed
  const letter: DeadLetter = {
    id: `dl-${iteration.key}`,
    time: scope.ports.clock.now(),
    workflow: scope.graph.workflow.id,
    run: scope.run.id,
    loop: scope.loop.id,
    iteration: iteration.number,
    node: node?.id ?? scope.loop.id,
    node_type: node?.class.identifier ?? scope.loop.producerType,
    error: toErrorRecord(failed.error),
    item: { id: item.id, data: item.data, metadata: item.metadata },
    deliveries: (entry?.charges ?? 0) + 1,
    trace_id: iteration.key,
    queue: entry?.queue ?? null,
  }
  return { letter, record: JSON.stringify(letter) }
}

/** Why an item is not tried again that was claimed alone whenever its worker died. */
export function poisonOf({ item, entry }: Pick<FailedItem, 'item' | 'entry'>, lastDeath: string): EngineError {
  const deaths = `the worker died ${entry?.charges} times while it was processing it alone`
  const last = lastDeath === '' ? '' : `; the last time with ${lastDeath}`
  return new EngineError('POISON', `Cannot process item "${item.id}": ${deaths}${last}`)
}
