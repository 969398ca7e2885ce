/**
 * When everything has come to rest, queues, dead letters, node states, runtime variables and the counts of iterations
 * are what the reference interpreter leaves behind; the outside saw the same effects, each at least once.
 */
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import type { Json, JsonObject } from '../../engine/json.ts'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import { decodeEntry } from '../../engine/store/entry.ts'
import { keysOf, replicaName } from '../../engine/store/keys.ts'
import type { DeadLetter } from '../../engine/trace/events.ts'
import { compareEffects } from '../expected.ts'
import { byPath, type Requests } from '../outside.ts'
import type { Effects } from '../reference.ts'
import { describe, type EndState, type Invariant, type InvariantContext, type MakeInvariant } from './invariant.ts'

class ExactlyOnce implements Invariant {
  readonly name = 'exactly-once'
  readonly #context: InvariantContext

  constructor(context: InvariantContext) {
    this.#context = context
  }

  async end({ db, files, expected, hasLost, hasRequeued }: EndState): Promise<void> {
    const { graph, report } = this.#context
    // what is tried again counts anew, and may come out otherwise
    if (expected === undefined || hasRequeued) return
    const seen = effectsOf(graph, db)
    // An item that took its daemon down three times is given up as poison; the reference knows nothing of crashes.
    if (seen === 'poisoned') return
    const difference = await compareEffects(expected, {
      ...seen,
      files: byPath(files.writes),
      requests: hasLost ? onlyAsked(files.requests()) : files.requests(),
    })
    if (difference !== undefined) report(...describe(difference))
  }
}

/** What was lost is done again, and items made anew have other keys: how often something was asked for is open then. */
function onlyAsked(requests: Requests): Requests {
  return Object.fromEntries(
    Object.entries(requests).map(([what, { most }]) => [what, { sure: most, most: 0, keys: [] }]),
  )
}

/** What the server holds, in the form of the reference. */
export function effectsOf(graph: FlowGraph, db: Keyspace): Effects | 'poisoned' {
  const keys = keysOf(graph.workflow.id)
  const queues: Record<string, Json[]> = {}
  for (const { name } of graph.queues) {
    queues[name] = db.lrange(keys.queue(name), 0, -1).map(entry => ({ ...decodeEntry(entry).item }))
  }
  const iterations: Record<string, number> = {}
  for (const { id, replicas } of graph.loops) {
    const counts = Array.from({ length: replicas }, (_, n) => db.hget(keys.replica(replicaName(id, n)), 'iterations'))
    const sum = counts.reduce((total, n) => total + Number(n ?? 0), 0)
    if (sum > 0) iterations[id] = sum
  }
  const letters = db.lrange(keys.deadLetterOrder, 0, -1).map(id => db.hget(keys.deadLetters, id) as string)
  const records = letters.map(text => JSON.parse(text) as DeadLetter)
  if (records.some(({ error }) => error.code === 'POISON')) return 'poisoned'
  const deadLetters: Record<string, Json[]> = {}
  for (const { loop, node, error, item } of records) {
    deadLetters[loop] = [...(deadLetters[loop] ?? []), { loop, node, code: error.code, item }]
  }
  return {
    queues,
    deadLetters,
    iterations,
    state: hash(db, keys.state),
    runtime: hash(db, keys.runtime),
    files: {},
    requests: {},
  }
}

function hash(db: Keyspace, key: string): JsonObject {
  return Object.fromEntries(Object.entries(db.hgetall(key)).map(([field, text]) => [field, JSON.parse(text) as Json]))
}

export const exactlyOnce: MakeInvariant = context => new ExactlyOnce(context)
