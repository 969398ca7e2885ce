/** Another definition for a run that goes on (see scripts/redefine.ts): what it takes to ask for it once. */
import { assert } from '../errors.ts'
import type { FlowGraph } from '../graph/flow-graph.ts'
import type { Host, Redis } from '../ports.ts'
import { keysOf } from './keys.ts'
import { declarationOf, droppedState, goneHolders } from './run-store.ts'
import { listArg } from './scripts/prelude.ts'
import { redefine } from './scripts/redefine.ts'

export type RedefineAnswer =
  /** `adopted`: it was the current one already. `none`: nothing ran yet. */
  | { kind: 'redefined' | 'adopted' | 'none' }
  /** Another definition than expected is the current one. */
  | { kind: 'other'; hash: string }
  /** Queues that hold items and would have no reader any more. */
  | { kind: 'orphans'; queues: string[] }
  /** Replicas of loops that change or go, which somebody holds; their holders were asked to yield. */
  | { kind: 'held'; replicas: string[] }
  | { kind: 'too-new'; schema: string }

export async function redefineRun(
  redis: Redis,
  graph: FlowGraph,
  options: { expected: string; yieldMs: number; now: number; host: Host },
): Promise<RedefineAnswer> {
  const { workflow } = graph
  const keys = keysOf(workflow.id)
  const nodes = await redis.hget(keys.meta, 'nodes')
  const dropped = await droppedState(redis, graph, nodes ?? undefined)
  const gone = await goneHolders(redis, workflow.id, options.host)
  const again = beginningAgain(graph, await redis.hgetall(keys.loops))
  const answer = (await redis.call(
    redefine,
    [keys.prefix],
    [
      options.expected,
      String(options.yieldMs),
      String(options.now),
      ...listArg(dropped),
      ...listArg(gone),
      ...listArg(again),
      ...declarationOf(graph),
    ],
  )) as string
  const [word, ...rest] = answer.split('\n')
  if (word === 'orphans') return { kind: word, queues: rest }
  if (word === 'held') return { kind: word, replicas: rest }
  if (word === 'other') return { kind: word, hash: rest[0] as string }
  if (word === 'too-new') return { kind: word, schema: rest[0] as string }
  assert(word === 'redefined' || word === 'adopted' || word === 'none', () => `redefine answers a word, not "${word}"`)
  return { kind: word }
}

/** Loops that have more to do, should they have ended: those that are defined otherwise, and whatever they feed. */
function beginningAgain(graph: FlowGraph, before: Record<string, string>): string[] {
  const again = new Set(graph.loops.filter(loop => before[loop.id] !== loop.hash).map(loop => loop.id))
  const loops = new Map(graph.loops.map(loop => [loop.id, loop]))
  // a set grows while it is walked through
  for (const id of again) for (const fed of loops.get(id)?.downstream ?? []) again.add(fed)
  return [...again]
}
