/** What a workflow is doing right now, folded from its events: bounded, however long it runs. */
import { limits } from '../limits.ts'
import type { EngineEvent } from './events.ts'
import { Ring } from './ring.ts'

export type CompletedNode = { node_id: string; iteration: number /** seconds */; duration: number; route?: string }

export type LoopState = {
  /** Of the iteration that runs, or ran last; 0 before the first. */
  iteration: number
  executing_nodes: string[]
  /** The last `limits.completedNodesMax`, the oldest first. */
  completed_nodes: CompletedNode[]
  completed_count: number
}

class LoopTrack {
  iteration = 0
  readonly executing = new Set<string>()
  readonly completed = new Ring<CompletedNode>(limits.completedNodesMax)
}

export class StateTracker {
  readonly #loops = new Map<string, LoopTrack>()

  see(event: EngineEvent): void {
    if (event.type === 'node_started') this.#loop(event.loop).executing.add(event.node_id)
    else if (event.type === 'node_completed') this.#completed(event)
    else if (event.type === 'node_failed') this.#loop(event.loop).executing.delete(event.node_id)
    else if (event.type === 'iteration_started') this.#loop(event.loop).iteration = event.iteration
    // nodes that were aborted with their iteration tell nothing themselves
    else if (event.type === 'iteration_failed') this.#loop(event.loop).executing.clear()
  }

  /** The state of one loop; empty for one of which nothing was seen. */
  loop(id: string): LoopState {
    const { iteration, executing, completed } = this.#loops.get(id) ?? new LoopTrack()
    return {
      iteration,
      executing_nodes: [...executing],
      completed_nodes: completed.toArray(),
      completed_count: completed.total,
    }
  }

  #completed(event: Extract<EngineEvent, { type: 'node_completed' }>): void {
    const { node_id, iteration, duration, route } = event
    const track = this.#loop(event.loop)
    track.executing.delete(node_id)
    track.completed.push({ node_id, iteration, duration, ...(route === undefined ? {} : { route }) })
  }

  #loop(id: string): LoopTrack {
    const known = this.#loops.get(id)
    if (known !== undefined) return known
    const track = new LoopTrack()
    this.#loops.set(id, track)
    return track
  }
}
