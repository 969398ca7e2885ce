/**
 * Graph algorithms over plain indices, knowing nothing of workflows: order, cycles, components, dominators. None
 * recurses, so that a chain of ten thousand nodes is as safe as one of ten; all answers are stable by index.
 */

/** Successors of each vertex, by index. */
export type Adjacency = readonly (readonly number[])[]

/** The vertices that some path leads to from one of `starts`, these included. */
export function reachableFrom(starts: Iterable<number>, successors: (vertex: number) => Iterable<number>): Set<number> {
  const reached = new Set(starts)
  for (const vertex of reached) {
    for (const next of successors(vertex)) reached.add(next)
  }
  return reached
}

/** All vertices, each after its predecessors; among those that could come next, the smallest index. Acyclic graphs only. */
export function topologicalOrder(successors: Adjacency): number[] {
  const waiting = successors.map(() => 0)
  for (const next of successors.flat()) waiting[next] = (waiting[next] as number) + 1
  const ready: number[] = []
  for (const [vertex, count] of waiting.entries()) if (count === 0) ready.push(vertex)
  ready.reverse()
  const order: number[] = []
  for (let vertex = ready.pop(); vertex !== undefined; vertex = ready.pop()) {
    order.push(vertex)
    for (const next of successors[vertex] as readonly number[]) {
      waiting[next] = (waiting[next] as number) - 1
      if (waiting[next] === 0) insertDescending(ready, next)
    }
  }
  return order
}

function insertDescending(list: number[], value: number): void {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle] as number) > value) low = middle + 1
    else high = middle
  }
  list.splice(low, 0, value)
}

/** Tarjan's strongly connected components: each sorted, in the order of their smallest vertex. */
export function stronglyConnected(successors: Adjacency): number[][] {
  const search = new Tarjan(successors)
  for (const root of successors.keys()) search.from(root)
  return search.found.sort((a, b) => (a[0] as number) - (b[0] as number))
}

class Tarjan {
  readonly found: number[][] = []
  readonly #successors: Adjacency
  readonly #index: number[] = []
  readonly #low: number[] = []
  #entered = 0
  readonly #onStack = new Set<number>()
  readonly #stack: number[] = []
  /** What recursion would keep: the vertices above, and which of their successors comes next. */
  readonly #path: { vertex: number; next: number }[] = []

  constructor(successors: Adjacency) {
    this.#successors = successors
  }

  from(root: number): void {
    if (this.#index[root] === undefined) this.#enter(root)
    for (let top = this.#path.at(-1); top !== undefined; top = this.#path.at(-1)) {
      const next = this.#successors[top.vertex]?.[top.next++]
      if (next === undefined) this.#leave(top.vertex)
      else if (this.#index[next] === undefined) this.#enter(next)
      else if (this.#onStack.has(next)) this.#lower(top.vertex, this.#index[next])
    }
  }

  #enter(vertex: number): void {
    const order = this.#entered++
    this.#index[vertex] = order
    this.#low[vertex] = order
    this.#stack.push(vertex)
    this.#onStack.add(vertex)
    this.#path.push({ vertex, next: 0 })
  }

  #leave(vertex: number): void {
    this.#path.pop()
    const low = this.#low[vertex] as number
    const above = this.#path.at(-1)
    if (above !== undefined) this.#lower(above.vertex, low)
    if (low !== this.#index[vertex]) return
    const component = this.#stack.splice(this.#stack.lastIndexOf(vertex))
    for (const member of component) this.#onStack.delete(member)
    this.found.push(component.sort((a, b) => a - b))
  }

  #lower(vertex: number, to: number): void {
    this.#low[vertex] = Math.min(this.#low[vertex] as number, to)
  }
}

/** The components that hold a cycle: several vertices, or one with an edge to itself. */
export function cyclicComponents(successors: Adjacency): number[][] {
  return stronglyConnected(successors).filter(
    component => component.length > 1 || successors[component[0] as number]?.includes(component[0] as number),
  )
}

/** A shortest cycle through the first vertex of a cyclic component, beginning there. */
export function shortestCycle(successors: Adjacency, component: readonly number[]): number[] {
  const start = component[0] as number
  const members = new Set(component)
  const cameFrom = new Map<number, number>()
  const queue = [start]
  for (const vertex of queue) {
    for (const next of successors[vertex] as readonly number[]) {
      if (next === start) return pathTo(vertex, cameFrom)
      if (!members.has(next) || cameFrom.has(next)) continue
      cameFrom.set(next, vertex)
      queue.push(next)
    }
  }
  return [start]
}

function pathTo(end: number, cameFrom: ReadonlyMap<number, number>): number[] {
  const path: number[] = []
  for (let vertex: number | undefined = end; vertex !== undefined; vertex = cameFrom.get(vertex)) path.push(vertex)
  return path.reverse()
}

/**
 * The nearest common dominator of `vertices` in a dominator tree given by each vertex's immediate dominator; vertices
 * dominate themselves, -1 is the entry. Indices must be topological: a dominator is always smaller.
 */
export function commonDominator(vertices: Iterable<number>, dominatorOf: (vertex: number) => number): number {
  let common: number | undefined
  for (const vertex of vertices) {
    let other = vertex
    common ??= vertex
    while (common !== other) {
      if (common > other) common = dominatorOf(common)
      else other = dominatorOf(other)
    }
  }
  return common ?? -1
}
