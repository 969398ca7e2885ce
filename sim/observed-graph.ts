/** A workflow whose nodes tell what is done to their instances; nothing else about them changes, not even by a microtask. */
import type { FlowGraph, FlowLoop, FlowNode, Plan } from '../engine/graph/flow-graph.ts'
import type { Node, NodeClass, NodeDefinition } from '../engine/node/node.ts'
import type { InstanceNews } from './life.ts'

type Tell = (news: Omit<InstanceNews, 'pid'>) => void

export function observedGraph(graph: FlowGraph, tell: Tell): FlowGraph {
  let instances = 0
  const observe = observing(tell, () => ++instances)
  const nodes = new Map<FlowNode, FlowNode>()
  const of = (node: FlowNode): FlowNode => {
    const known = nodes.get(node) ?? { ...node, class: observe(node.class) }
    nodes.set(node, known)
    return known
  }
  const planOf = ({ steps, ...rest }: Plan): Plan => ({
    ...rest,
    steps: steps.map(step => ({ ...step, node: of(step.node), ...(step.body && { body: planOf(step.body) }) })),
  })
  const loopOf = (loop: FlowLoop): FlowLoop => {
    const producer = loop.producer && of(loop.producer)
    return { ...loop, producer, nodes: loop.nodes.map(of), plan: planOf(loop.plan) }
  }
  const byId = new Map([...graph.nodes].map(([id, node]) => [id, of(node)]))
  return { ...graph, nodes: byId, loops: graph.loops.map(loopOf) }
}

/** The same classes, whose instances tell; each made once. */
function observing(tell: Tell, number: () => number): (base: NodeClass) => NodeClass {
  const made = new Map<NodeClass, NodeClass>()
  return base => {
    const known = made.get(base) ?? observed(base, tell, number)
    made.set(base, known)
    return known
  }
}

function observed(base: NodeClass, tell: Tell, number: () => number): NodeClass {
  const does = (base as unknown as { prototype: Node }).prototype
  return class extends base {
    readonly #instance = number()
    constructor(definition: NodeDefinition) {
      super(definition)
    }
    #tell(what: InstanceNews['what']): void {
      tell({ node: this.definition.id, instance: this.#instance, what })
    }
    override setup(): Promise<void> {
      this.#tell('is set up')
      return does.setup.call(this)
    }
    override execute(...args: Parameters<Node['execute']>): ReturnType<Node['execute']> {
      this.#tell('executes')
      return does.execute.call(this, ...args)
    }
    override cleanup(): Promise<void> {
      this.#tell('is cleaned up')
      return does.cleanup.call(this)
    }
  } as NodeClass
}
