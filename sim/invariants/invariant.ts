/**
 * What every invariant has in common. It sees each operation right after the server applied it, with the keys as they
 * are then, and each event of the engine; it keeps books of its own, which go back in time with a server that loses
 * writes. The first violation ends the run.
 */
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import type { Keyspace } from '../../engine/memory-redis/keyspace.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { CallNews } from '../callers.ts'
import type { Difference, Expected } from '../expected.ts'
import type { FaultKind, OperationName } from '../faults.ts'
import type { InstanceNews, LifeNews } from '../life.ts'
import type { MemoryFiles } from '../outside.ts'
import type { Applied } from '../server.ts'

export type InvariantName = keyof typeof inWords
export type Violation = { invariant: InvariantName; expected: string; seen: string }

/** The world when a workflow has completed and everything has come to rest. */
export type EndState = {
  db: Keyspace
  files: MemoryFiles
  /** Whether the server went back in time. */
  hasLost: boolean
  /** Whether somebody had items that failed tried again. */
  hasRequeued: boolean
  /** Undefined when it is not determined. */
  expected: Expected | undefined
}

/** An operation as it leaves a daemon. */
export type Sent = OperationName & { pid: number; args: readonly string[] }

/** Whether somebody got the lease of a replica; who finds its loop ended may give back the lease of somebody gone. */
export function takesLease({ op, outcome }: Applied): boolean {
  return op === 'acquire' && outcome.ok && outcome.changed && !String(outcome.reply).startsWith('ended')
}

export type Report = (expected: string, seen: string) => void

export interface Invariant {
  readonly name: InvariantName
  applied?(applied: Applied): void
  /** `teller`: a life of a daemon, or one of its workers. */
  event?(event: EngineEvent, teller: string): void
  /** A daemon or worker died: what it had begun to tell has no end. */
  forget?(teller: string): void
  /** A daemon sends an operation; what is sent again on a new connection is not told again. */
  sent?(sent: Sent): void
  life?(news: LifeNews, db: Keyspace): void
  instance?(news: InstanceNews): void
  /** Of what people ask over HTTP. */
  call?(news: CallNews): void
  /** A fault came about. */
  disturbed?(kind: FaultKind, at: OperationName): void
  end?(end: EndState): void | Promise<void>
  /** A copy of the books; calling it goes back to them. */
  save?(): () => void
}

export type InvariantContext = {
  graph: FlowGraph
  report: Report
}

export type MakeInvariant = (context: InvariantContext) => Invariant

/** The invariants in words, for people. */
export const inWords = {
  conservation: 'each item is in exactly one place: a queue, one claimed list, committed, or the dead letters',
  'exactly-once': 'what the run left behind is what the reference interpreter leaves behind',
  fifo: 'with one replica, the items of a queue commit in the order in which they were pushed',
  sequential: 'the iterations of a replica never overlap, and each follows the last committed one',
  completion:
    'a loop completes once, after its writers ended and its queues and claims are empty, and then does nothing',
  branches: 'exactly the chosen branches run, a join once and after all that leads to it, a for-each round by round',
  'fail-fast': 'a failed item becomes one dead letter that says what happened, and is not tried again on its own',
  'back-pressure': 'no queue is filled beyond its limit',
  check: 'what the scenario says must hold in the end, holds',
  fencing: 'who does not hold a replica, or was left behind, changes nothing in its name',
  definition: 'an old definition of a loop never runs beside a new one',
  wishes: 'what somebody stopped is served by nobody who came later, and what is paused claims nothing',
  drain: 'after stop nothing is claimed; a replica that is given back leaves no holder, and its claims as they were',
  isolation: 'a loop that fails or hangs holds no other up',
  waking: 'who waits is woken by what it waits for',
  answers:
    'each call gets one answer, its own, in its time; what is told to have happened has, and what failed has not',
  intake: 'a webhook that was accepted was queued once, as it was sent; one that was refused was not',
  development:
    'in development a call runs its node, a session goes on where it stopped, and outputs are kept for a day',
  separation: 'development mode leaves the keys of production untouched',
  lifecycle: 'node instances are set up and cleaned up once, and a daemon that ends leaves nothing open',
  determinism: 'one plan, one trace, however often it runs',
  supervision:
    'a worker that is well is not ended, one that drains begins nothing, and a loop is given up only after crashes in a row',
} as const

export function describe({ what, expected, seen }: Difference): [string, string] {
  return [`${what}: ${expected}`, `${what}: ${seen}`]
}
