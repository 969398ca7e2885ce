/**
 * Starts a loop with what somebody sends over HTTP. In production a request is queued, durably, before it is answered,
 * and claimed from there like any item; in an `api` workflow the request itself is the item, and waits for the answer.
 */
import { hashText } from '../../hash.ts'
import type { Json, JsonObject } from '../../json.ts'
import { limits } from '../../limits.ts'
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { password, text, toggle } from '../../node/form-fields.ts'
import { type NodeOutput, type Produced, ProducerNode, type WorkflowType } from '../../node/node.ts'

export class WebhookProducer extends ProducerNode {
  static override identifier = 'webhook-producer'
  static override source = 'claimed' as const
  static override endless = true
  static override queueRole = 'reader' as const
  static override workflowTypes: readonly WorkflowType[] = ['production', 'api']
  static override category = 'Network'
  static override label = 'Webhook'
  static override description = 'Starts with each request to its webhook; an api workflow answers the request itself'
  static override example: JsonObject = { webhook_id: 'orders' }
  static override form = defineForm({
    webhook_id: text({
      label: 'Webhook',
      help: 'The last part of the address that others post to: /api/webhooks/…',
      required: true,
      pattern: /^[\w-]{1,255}$/,
      expected: 'must be 1 to 255 letters, digits, "-" or "_"',
    }),
    secret: password({
      label: 'Secret',
      help: 'When given, only requests signed with it are taken: X-Signature-256 is the HMAC-SHA256 of the body, in hex',
    }),
    public: toggle({
      label: 'Public',
      help: 'Without a secret: take requests from anybody who reaches the daemon, not only from holders of a key',
    }),
  })
  static override queueName(form: JsonObject): Json | undefined {
    return typeof form.webhook_id === 'string' ? webhookQueue(form.webhook_id) : undefined
  }

  async execute(input: NodeOutput, _context: NodeContext): Promise<Produced> {
    return input
  }
}

/** The queue that requests to a webhook wait in, one in each workflow that names it. An id may be longer than a name may. */
export function webhookQueue(webhookId: string): string {
  const name = `webhook_${webhookId}`
  return name.length <= limits.nameLengthMax ? name : `webhook_${hashText(webhookId)}`
}
