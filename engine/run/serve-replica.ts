/**
 * What serving one replica takes, wherever that happens: its store, its runner, and a Redis whose answers are seen as
 * progress. Both the supervisor's own process and a worker come here.
 */
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { replicaName, requeueQueue } from '../store/keys.ts'
import { type CompletionTest, ReplicaStore } from '../store/replica-store.ts'
import { FlowRunner, type RunnerOptions, type ServeResult } from './flow-runner.ts'
import { watchedRedis } from './pulse.ts'

export type ReplicaOptions = Omit<RunnerOptions, 'completion'> & {
  lease: { holder: string; seq: number; iterations: number }
  /** No call to Redis is repeated after this. */
  killed: AbortSignal
  /** Redis refuses what it will accept later. */
  onRetry: (error: unknown) => void
}

/** `serve` rejects with FENCED, DIVERGED, or whatever broke the loop. */
export type OpenReplica = { store: ReplicaStore; serve(): Promise<ServeResult> }

export function openReplica(options: ReplicaOptions): OpenReplica {
  const { graph, loop, run, replica, lease, control, killed, onRetry, pulse } = options
  const ports = { ...options.ports, redis: watchedRedis(options.ports.redis, options.ports.clock, pulse) }
  const id = { workflow: graph.workflow.id, loop: loop.id, replica }
  const store = new ReplicaStore(id, lease, { ...ports, aborted: control.aborted, killed, onRetry })
  const completion = completionTest(graph, loop, run.id)
  const runner = new FlowRunner({ ...options, ports, completion }, { store, iterations: lease.iterations })
  return { store, serve: () => runner.serve() }
}

/** What must be empty and ended before `loop`, with its cycle, can end. */
function completionTest(graph: FlowGraph, loop: FlowLoop, run: string): CompletionTest {
  const cycle = graph.loops.filter(other => loop.cycle.includes(other.id))
  const unique = (names: readonly string[]) => [...new Set(names)]
  return {
    run,
    cycle: cycle.map(member => member.id),
    queues: unique(cycle.flatMap(member => [...member.sources, requeueQueue(member.id)])),
    replicas: cycle.flatMap(member => Array.from({ length: member.replicas }, (_, n) => replicaName(member.id, n))),
    upstream: unique(cycle.flatMap(member => member.upstream)),
    wake: unique(cycle.flatMap(member => [member.id, ...member.downstream])),
  }
}
