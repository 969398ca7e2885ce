/** Cuts the flow: what follows goes on in a background loop, through a durable queue (1.4). */
import type { NodeContext } from '../../node/context.ts'
import { defineForm } from '../../node/form.ts'
import { type NodeOutput, NonBlockingNode } from '../../node/node.ts'

export class Background extends NonBlockingNode {
  static override identifier = 'background'
  static override category = 'Flow'
  static override label = 'Background'
  static override description = 'What follows goes on in the background; the producer does not wait for it'
  static override form = defineForm({})

  async execute(input: NodeOutput, _context: NodeContext): Promise<NodeOutput> {
    return input
  }
}
