/** Which workflows a webhook feeds, with what secret each wants it signed, and which take it from anybody. */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import { compileTemplate } from '../engine/node/template.ts'
import { namesWebhook } from '../engine/run/webhook-intake.ts'
import { type Signed, signatureFault } from './webhook-signature.ts'

type Sent = Signed & { /** by somebody who needs no secret */ isTrusted: boolean }

/** Why a webhook without a secret is refused. */
export const keyFault = 'it has no key, and the webhook neither a secret nor "public: true"'

/** The workflows that take this request, and why others do not. */
export function takersOf(graphs: readonly FlowGraph[], webhookId: string, signed: Sent) {
  const named = graphs.filter(graph => namesWebhook(graph, webhookId))
  const checked = named.map(graph => ({ graph, fault: faultOf(graph, webhookId, signed) }))
  return {
    named,
    takers: checked.flatMap(({ graph, fault }) => (fault === undefined ? [graph] : [])),
    fault: checked.find(({ fault }) => fault !== undefined)?.fault,
  }
}

/** Every producer of the webhook in a workflow feeds from one queue, so that the strictest of them counts. */
function faultOf(graph: FlowGraph, webhookId: string, signed: Sent): string | undefined {
  for (const { producer } of graph.loops) {
    const { webhook_id, secret, public: isPublic } = producer?.form.values ?? {}
    if (webhook_id !== webhookId) continue
    const isOpen = signed.isTrusted || isPublic === true
    const withoutSecret = isOpen ? undefined : keyFault
    const hasSecret = typeof secret === 'string' && secret !== ''
    const fault = hasSecret ? secretFault(secret, graph, signed) : withoutSecret
    if (fault !== undefined) return fault
  }
  return undefined
}

function secretFault(secret: string, graph: FlowGraph, signed: Signed): string | undefined {
  const text = secretText(secret, graph)
  return text === undefined ? 'its secret cannot be read' : signatureFault(text, signed)
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
