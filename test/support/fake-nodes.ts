/**
 * Node classes for tests of the graph, one per kind and trait, and a short way to write workflows with them. They never
 * run: what they would do with an item is no business of the graph.
 */
import type { Json, JsonObject } from '../../engine/json.ts'
import { defineForm } from '../../engine/node/form.ts'
import { json, number, text } from '../../engine/node/form-fields.ts'
import {
  BlockingNode,
  ConditionalNode,
  LoopNode,
  type NodeClass,
  NonBlockingNode,
  ProducerNode,
  type WorkflowType,
} from '../../engine/node/node.ts'
import { NodeRegistry } from '../../engine/node/node-registry.ts'

const queueForm = defineForm({ queue_name: text({ label: 'Queue' }) })
const plainForm = defineForm({ size: number({ label: 'Size', min: 1 }), note: text({ label: 'Note' }) })
const neverRuns = (): Promise<never> => Promise.reject(new Error('fake nodes never run'))

class Source extends ProducerNode {
  static override identifier = 'source'
  static override form = plainForm
  static override workflowTypes: readonly WorkflowType[] = ['production', 'api']
  execute(): Promise<never> {
    return neverRuns()
  }
}
class Counting extends Source {
  static override identifier = 'counting'
  static override stateful = true
  static override workflowTypes: readonly WorkflowType[] = ['production']
}
class Reader extends ProducerNode {
  static override identifier = 'reader'
  static override source = 'claimed' as const
  static override queueRole = 'reader' as const
  static override form = queueForm
  execute(): Promise<never> {
    return neverRuns()
  }
}
class Step extends BlockingNode {
  static override identifier = 'step'
  static override aliases = ['stage']
  static override form = plainForm
  execute(): Promise<never> {
    return neverRuns()
  }
}
class Heavy extends Step {
  static override identifier = 'heavy'
  static override aliases = []
  static override pool = 'thread' as const
}
class Waiting extends Step {
  static override identifier = 'waiting'
  static override aliases = []
  static override untimed = true
}
class Choose extends ConditionalNode {
  static override identifier = 'choose'
  static override form = plainForm
  execute(): Promise<never> {
    return neverRuns()
  }
}
/** Offers the keys of its form, as `switch` does; without a list it throws. */
class Pick extends ConditionalNode {
  static override identifier = 'pick'
  static override form = defineForm({ keys: json({ label: 'Keys' }) })
  static override ports({ keys }: JsonObject): readonly string[] {
    return [...(keys as Json[]).map(String), 'default']
  }
  execute(): Promise<never> {
    return neverRuns()
  }
}
class Each extends LoopNode {
  static override identifier = 'each'
  static override form = plainForm
  execute(): Promise<never> {
    return neverRuns()
  }
}
class Later extends NonBlockingNode {
  static override identifier = 'later'
  static override form = plainForm
  execute(): Promise<never> {
    return neverRuns()
  }
}
class Writer extends NonBlockingNode {
  static override identifier = 'writer'
  static override queueRole = 'writer' as const
  static override form = queueForm
  execute(): Promise<never> {
    return neverRuns()
  }
}

export const fakeRegistry = new NodeRegistry([
  ...[Source, Counting, Reader, Step, Heavy, Waiting, Choose, Pick, Each, Later, Writer],
] as unknown as NodeClass[])

type NodeSpec = string | { type: string; form?: JsonObject; config?: JsonObject }

/**
 * A React-Flow workflow. Nodes by id; edges as `a>b`, or `a:port>b`, separated by spaces.
 * @example flow({ s: 'source', a: 'step' }, 's>a')
 */
export function flow(nodes: Record<string, NodeSpec>, edges = '', extra: JsonObject = {}): JsonObject {
  return {
    id: 'test',
    nodes: Object.entries(nodes).map(([id, spec]) => {
      const { type, form = {}, config = {} } = typeof spec === 'string' ? { type: spec } : spec
      return { id, type, data: { form, config } }
    }),
    edges: edges
      .split(' ')
      .filter(edge => edge !== '')
      .map((edge, index) => {
        const [from = '', target = ''] = edge.split('>')
        const [source = '', port] = from.split(':')
        return { id: `e${index}`, source, target, sourceHandle: port ?? null }
      }),
    ...extra,
  }
}
