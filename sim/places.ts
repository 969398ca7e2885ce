/** Reads the names and values that the store gives its keys: where an item is, and which one it is. */
import type { FlowGraph, FlowLoop } from '../engine/graph/flow-graph.ts'
import type { Keyspace } from '../engine/memory-redis/keyspace.ts'
import { keysOf, replicaName, requeueQueue } from '../engine/store/keys.ts'
import type { Move } from './watch.ts'

export type Place = { kind: 'queue' | 'claims' | 'dead-letters'; name: string }

/** The place that a key is, e.g. `oe:{w}:q:orders`. */
export function placeOf(key: string): Place {
  const rest = key.slice(key.indexOf('}:') + 2)
  if (rest === 'dl') return { kind: 'dead-letters', name: '' }
  return { kind: rest.startsWith('q:') ? 'queue' : 'claims', name: rest.slice(2) }
}

/** The key of the item that moved: it names the item for ever. */
export function itemKeyOf({ value }: Move, place: Place): string {
  if (place.kind === 'dead-letters') return value.slice('dl-'.length)
  const entry = place.kind === 'claims' ? value.slice(value.indexOf('\n') + 1) : value
  const start = entry.indexOf('|') + 1
  return entry.slice(start, entry.indexOf('|', start))
}

/** The queue that a claim came from. */
export function sourceOf(claim: string): string {
  return claim.slice(0, claim.indexOf('\n'))
}

/** Whether anything lies in the queues that a loop takes from. */
export function hasItems({ id, sources }: FlowLoop, db: Keyspace, keys: ReturnType<typeof keysOf>): boolean {
  return [...sources, requeueQueue(id)].some(queue => db.llen(keys.queue(queue)) > 0)
}

/**
 * Whether nothing waits in any queue that somebody reads, and nothing is claimed. What was requeued for a loop that has
 * ended waits for the next run.
 */
export function isQuiet({ loops, workflow }: FlowGraph, db: Keyspace, hasRequeued: boolean): boolean {
  const keys = keysOf(workflow.id)
  const run = db.hget(keys.meta, 'run')
  return loops.every(loop => {
    const replicas = Array.from({ length: loop.replicas }, (_, n) => replicaName(loop.id, n))
    const rests = hasRequeued && db.hget(keys.ended, loop.id) === run
    return (rests || !hasItems(loop, db, keys)) && replicas.every(name => db.llen(keys.claims(name)) === 0)
  })
}
