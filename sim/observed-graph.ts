/** A workflow whose nodes tell what is done to their instances; nothing else about them changes, not even by a microtask. */
import type { FlowGraph, FlowLoop, FlowNode, Plan } from '../engine/graph/flow-graph.ts'
import type { Node, NodeClass, NodeDefinition } from '../engine/node/node.ts'
import type { InstanceNews } from './life.ts'

type Tell = (news: Omit<InstanceNews, 'pid'>) => void

/** Where an instance finds who is told of it: beside its configuration, under a name that no JSON has. */
const watcher = Symbol('who is told of this instance')
type Watcher = { tell: Tell; next(): number }

export function observedGraph(graph: FlowGraph, tell: Tell): FlowGraph {
  let instances = 0
  const told: Watcher = { tell, next: () => ++instances }
  const nodes = new Map<FlowNode, FlowNode>()
  const of = (node: FlowNode): FlowNode => {
    const config = { ...node.config, [watcher]: told }
    const known = nodes.get(node) ?? { ...node, config, class: observed(node.class) }
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

/** Each made once for all simulations: whatever calls nodes is slow while it meets ever new classes. */
const made = new WeakMap<NodeClass, NodeClass>()

/** The same class, whose instances tell. */
function observed(base: NodeClass): NodeClass {
  const known = made.get(base) ?? observing(base)
  made.set(base, known)
  return known
}

function observing(base: NodeClass): NodeClass {
  const does = (base as unknown as { prototype: Node }).prototype
  return class extends base {
    readonly #watcher: Watcher
    readonly #instance: number
    constructor(definition: NodeDefinition) {
      super(definition)
      this.#watcher = (definition.config as unknown as { [watcher]: Watcher })[watcher]
      this.#instance = this.#watcher.next()
    }
    #tell(what: InstanceNews['what']): void {
      this.#watcher.tell({ node: this.definition.id, instance: this.#instance, what })
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
