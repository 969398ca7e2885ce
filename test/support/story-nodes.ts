/** Node classes for stories: nodes that fail, hang, remember and count what is done to them. */
import { EngineError } from '../../engine/errors.ts'
import type { Json } from '../../engine/json.ts'
import type { NodeContext } from '../../engine/node/context.ts'
import { defineForm } from '../../engine/node/form.ts'
import { anyText } from '../../engine/node/form-fields.ts'
import {
  BlockingNode,
  ExecutionCompleted,
  type NodeOutput,
  type Produced,
  ProducerNode,
  withResult,
} from '../../engine/node/node.ts'

/** What nodes did, over all instances; a test clears it. */
export const log: string[] = []

const named = defineForm({ name: anyText({ label: 'Name' }) })

/** Sets its name to true. */
export class Mark extends BlockingNode {
  static override identifier = 'mark'
  static override form = named
  override async setup() {
    log.push(`setup ${this.definition.id}`)
  }
  async execute(input: NodeOutput, context: NodeContext) {
    return withResult(input, String(context.form.name), true)
  }
  override async cleanup() {
    log.push(`cleanup ${this.definition.id}`)
  }
}

/** Fails for items whose counter is even. */
export class FailEven extends BlockingNode {
  static override identifier = 'fail-even'
  static override form = named
  async execute(input: NodeOutput) {
    const { current } = input.data.counter as { current: number }
    if (current % 2 === 0) throw new EngineError('HTTP_FAILED', `Cannot process ${current}`)
    return input
  }
}

/** Waits by the clock; notes how that ended. */
export class Slow extends BlockingNode {
  static override identifier = 'slow'
  static override form = named
  async execute(input: NodeOutput, context: NodeContext) {
    try {
      await context.clock.sleep(60_000)
      log.push('slow ended')
    } catch (error) {
      log.push('slow aborted')
      throw error
    }
    return input
  }
}

/** Never lets go, and keeps its context for later. */
export class Deaf extends BlockingNode {
  static override identifier = 'deaf'
  static override form = named
  static kept: NodeContext | undefined
  execute(_input: NodeOutput, context: NodeContext): Promise<NodeOutput> {
    Deaf.kept = context
    return new Promise(() => undefined)
  }
}

/** Counts its items in its state and writes draws that must repeat. */
export class Remember extends BlockingNode {
  static override identifier = 'remember'
  static override form = named
  static override stateful = true
  async execute(input: NodeOutput, context: NodeContext) {
    const seen = Number(context.state.get() ?? 0) + 1
    context.state.set(seen)
    const draws: Json[] = [context.random.next(), context.random.next(), context.ids.next(), context.idempotencyKey]
    return withResult(withResult(input, 'seen', seen), 'draws', draws)
  }
}

/** Throws the first `times` times it is asked, then yields one item. */
export class Flaky extends ProducerNode {
  static override identifier = 'flaky'
  static override form = named
  static override stateful = true
  static times = 0
  static asked: number[] = []
  async execute(input: NodeOutput, context: NodeContext): Promise<Produced> {
    if (context.state.get() === 'done') return new ExecutionCompleted()
    Flaky.asked.push(context.clock.now())
    if (Flaky.times-- > 0) throw new Error('not yet')
    context.state.set('done')
    return withResult(input, 'flaky', true)
  }
}

export const storyNodes = [Mark, FailEven, Slow, Deaf, Remember, Flaky]
