/** Starts a loop with what others queued. The runner claims the item; this node only hands it on. */
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { text } from '../../node/form-fields.ts'
import { type NodeOutput, type Produced, ProducerNode } from '../../node/node.ts'

export class QueueReader extends ProducerNode {
  static override identifier = 'queue-reader'
  static override aliases = ['queue-reader-dummy']
  static override source = 'claimed' as const
  static override queueRole = 'reader' as const
  static override category = 'Queues'
  static override label = 'Queue reader'
  static override description =
    'Takes one item from its queues per iteration; completes when all their writers have ended'
  static override form = defineForm({
    queue_name: text({ label: 'Queue', help: 'Empty: the queues of the edges that lead here' }),
  })

  async execute(input: NodeOutput, _context: NodeContext): Promise<Produced> {
    return input
  }
}
