/**
 * Where a workflow leaves no doubt about the order of its items: one replica, one queue, one writer, all the way up. What
 * two loops write to one queue, or replicas take from it, may come in any order, and so may everything behind it.
 */
import type { FlowGraph, FlowLoop } from '../engine/graph/flow-graph.ts'

export type Order = { loops: ReadonlySet<string>; queues: ReadonlySet<string> }

export function orderOf(graph: FlowGraph): Order {
  const loops = new Set<string>()
  const writersOf = (queue: string) => graph.loops.filter(loop => loop.nodes.some(node => node.targets.includes(queue)))
  const isSure = (queue: string): boolean => {
    const writers = writersOf(queue)
    return writers.length < 2 && writers.every(writer => loops.has(writer.id))
  }
  const isOrdered = (loop: FlowLoop): boolean => {
    const isAlone = loop.replicas === 1 && loop.cycle.length === 1 && !loop.downstream.includes(loop.id)
    return isAlone && loop.sources.length < 2 && loop.sources.every(isSure)
  }
  // a loop is ordered once those before it are: in as many rounds as there are loops
  for (const _ of graph.loops) {
    for (const loop of graph.loops) if (isOrdered(loop)) loops.add(loop.id)
  }
  return { loops, queues: new Set(graph.queues.map(({ name }) => name).filter(isSure)) }
}
