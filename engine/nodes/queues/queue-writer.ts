/** Ends an iteration's path by queueing its data: the runner pushes what it passes on, when the iteration commits. */
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { text } from '../../node/form-fields.ts'
import { type NodeOutput, NonBlockingNode } from '../../node/node.ts'

export class QueueWriter extends NonBlockingNode {
  static override identifier = 'queue-writer'
  static override aliases = ['queue-node-writer']
  static override queueRole = 'writer' as const
  static override category = 'Queues'
  static override label = 'Queue writer'
  static override description = 'Puts the data into the queue of each reader it is connected to'
  static override form = defineForm({
    queue_name: text({ label: 'Queue', help: 'Empty: a queue of its own for each reader it is connected to' }),
  })

  async execute(input: NodeOutput, _context: NodeContext): Promise<NodeOutput> {
    return input
  }
}
