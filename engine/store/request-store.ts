/** What a request of an `api` workflow commits, and what all of them did so far. Nothing is claimed and nothing leased. */
import { EngineError } from '../errors.ts'
import type { FlowGraph } from '../graph/flow-graph.ts'
import type { Redis } from '../ports.ts'
import { workflowPrefix } from './keys.ts'
import { commitRequest } from './scripts/commit-request.ts'
import { listArg } from './scripts/prelude.ts'

export type RequestCommit = {
  /** Names this request: committed again, it changes nothing. */
  token: string
  outcome: 'ok' | 'failed'
  pushes: readonly { queue: string; lengthMax: number; entry: string }[]
  /** `undefined` deletes. */
  runtime: ReadonlyMap<string, string | undefined>
}

/** Commits a request, wholly or not at all. Rejects with QUEUE_FULL, or a `REDIS_…` error. */
export async function commitOfRequest(redis: Redis, graph: FlowGraph, request: RequestCommit): Promise<void> {
  const { id } = graph.workflow
  const pushes = request.pushes.flatMap(({ queue, lengthMax, entry }) => [queue, String(lengthMax), entry])
  const runtime = [...request.runtime].flatMap(([key, text]) => [key, text ?? ''])
  const loop = graph.loops[0]?.id ?? ''
  const args = [request.token, loop, request.outcome, ...listArg(pushes), ...listArg(runtime)]
  const answer = (await redis.call(commitRequest, [workflowPrefix(id)], args)) as string
  if (answer === 'ok') return
  const queue = answer.slice('full\n'.length)
  throw new EngineError('QUEUE_FULL', `Cannot commit the request of workflow "${id}": queue "${queue}" is full`)
}
