/** One call of development mode as a request brings it, and its answer as the existing clients read it (spec 4.3). */
import { EngineError } from '../engine/errors.ts'
import type { JsonObject } from '../engine/json.ts'
import type { NodeClass } from '../engine/node/node.ts'
import type { DevAnswer } from '../engine/run/dev-runner.ts'

/** As much of a `FastifyReply` as is needed here. */
type Reply = {
  raw: { on(event: 'close', listener: () => void): unknown; readonly writableEnded: boolean }
  code(status: number): { send(body: unknown): unknown }
}

/** A workflow that holds but one node of this type, under its type's name. */
export function workflowOfType(
  nodeClass: NodeClass,
  form: JsonObject,
  timeoutSeconds: number | undefined,
): { workflow: JsonObject; nodeId: string } {
  const { identifier, workflowTypes } = nodeClass
  const config: JsonObject = timeoutSeconds === undefined ? {} : { timeout_seconds: timeoutSeconds }
  const node = { id: identifier, type: identifier, data: { form, config } }
  const type = workflowTypes.includes('production') ? 'production' : 'api'
  return { workflow: { id: `node:${identifier}`, type, nodes: [node], edges: [] }, nodeId: identifier }
}

/** What went wrong is a 400, told in the words of development mode and in those of all errors. */
export async function send(reply: Reply, answer: DevAnswer): Promise<unknown> {
  if (answer.success) return answer
  return reply.code(400).send({ ...answer, detail: answer.error, error_code: answer.error_type })
}

/** Aborts when the client has gone before its answer, or the daemon waits no longer. */
export function closedOf({ raw }: Pick<Reply, 'raw'>, { ending }: { ending: AbortSignal }): AbortSignal {
  const closed = new AbortController()
  raw.on('close', () => {
    if (!raw.writableEnded) closed.abort(new EngineError('ITERATION_ABORTED', 'The request was closed by its client'))
  })
  return AbortSignal.any([closed.signal, ending])
}
