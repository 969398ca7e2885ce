/** Which workflows a webhook feeds, and with what secret each wants it signed. */

import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { compileTemplate } from '../engine/node/template.ts'
import { namesWebhook } from '../engine/run/webhook-intake.ts'
import { type Signed, signatureFault } from './webhook-signature.ts'

/** The workflows that take this request, and why others do not. */
export function takersOf(graphs: readonly FlowGraph[], webhookId: string, signed: Signed) {
  const named = graphs.filter(graph => namesWebhook(graph, webhookId))
  const checked = named.map(graph => ({ graph, fault: faultOf(graph, webhookId, signed) }))
  return {
    named,
    takers: checked.flatMap(({ graph, fault }) => (fault === undefined ? [graph] : [])),
    fault: checked.find(({ fault }) => fault !== undefined)?.fault,
  }
}

/** Every producer of the webhook in a workflow feeds from one queue, so that the strictest of them counts. */
function faultOf(graph: FlowGraph, webhookId: string, signed: Signed): string | undefined {
  for (const { producer } of graph.loops) {
    const { webhook_id, secret } = producer?.form.values ?? {}
    if (webhook_id !== webhookId || typeof secret !== 'string' || secret === '') continue
    const text = secretText(secret, graph)
    const fault = text === undefined ? 'its secret cannot be read' : signatureFault(text, signed)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** A secret may be a template, as `{{ workflowenv.HOOK_SECRET }}`. One that gives no text lets nobody in. */
function secretText(secret: string, { workflow }: FlowGraph): string | undefined {
  const runtime = { get: () => undefined, set: () => undefined, delete: () => undefined }
  try {
    const text = compileTemplate(secret).render({ data: {}, workflowenv: workflow.env, runtime, iteration: {} })
    return typeof text === 'string' && text !== '' ? text : undefined
  } catch {
    return undefined
  }
}
