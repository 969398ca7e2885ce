/**
 * What somebody does to a workflow file while it runs: some of its loops are defined otherwise, and do the same as before,
 * so that what comes out may still be compared with the reference. An edit is a number whose bits say which loops.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'

export const editMax = 15
const sign = '#'

/** Edit 0 is the file as it was. */
export function edited(graph: FlowGraph, edit: number): FlowGraph {
  if (edit === 0) return graph
  const mark = (hash: string): string => `${hash}${sign}${edit}`
  const loops = graph.loops.map((loop, i) => (isTouched(edit, i) ? { ...loop, hash: mark(loop.hash) } : loop))
  return { ...graph, hash: mark(graph.hash), loops }
}

/** The edit that a definition is made of. */
export function editOf(hash: string): number {
  return Number(hash.split(sign)[1] ?? 0)
}

function isTouched(edit: number, loop: number): boolean {
  return Math.floor(edit / 2 ** (loop % 4)) % 2 === 1
}
