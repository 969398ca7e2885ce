/**
 * Counts, per loop, what a run does in this process: for the progress line and the rates at its end. The figures that
 * count, of the whole run over all processes, come from Redis. Memory does not grow with the run.
 */
import type { FlowGraph } from '../../engine/graph/flow-graph.ts'
import type { Clock } from '../../engine/ports.ts'
import type { EngineEvent } from '../../engine/trace/events.ts'

/** Times are monotonic milliseconds. */
export type LoopTally = {
  ended: number
  failed: number
  firstMs: number | undefined
  lastMs: number
  completed: boolean
}

export class RunTally {
  readonly #loops: ReadonlyMap<string, LoopTally>
  readonly #clock: Clock
  #startedMs: number

  constructor(graph: FlowGraph, clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonic()
    this.#loops = new Map(
      graph.loops.map(loop => [loop.id, { ended: 0, failed: 0, firstMs: undefined, lastMs: 0, completed: false }]),
    )
  }

  /** The run starts now. */
  begin(): void {
    this.#startedMs = this.#clock.monotonic()
  }

  seconds(): number {
    return (this.#clock.monotonic() - this.#startedMs) / 1000
  }

  add(event: EngineEvent): void {
    if (!('loop' in event) || event.loop === undefined) return
    const loop = this.#loops.get(event.loop)
    if (loop === undefined) return
    if (event.type === 'iteration_started') loop.firstMs ??= this.#clock.monotonic()
    if (event.type === 'loop_completed') loop.completed = true
    if (event.type !== 'iteration_completed' && event.type !== 'iteration_failed') return
    loop.ended += 1
    loop.failed += event.type === 'iteration_failed' ? 1 : 0
    loop.lastMs = this.#clock.monotonic()
  }

  /** Items per second of one loop between its first and its last; 0 when there was nothing. */
  rate(id: string): number {
    const loop = this.#loops.get(id)
    if (loop?.firstMs === undefined || loop.lastMs <= loop.firstMs) return 0
    return Math.round((loop.ended * 1000) / (loop.lastMs - loop.firstMs))
  }

  /** Everything on one line: `read-orders 120 ✓ · take-express 30 · 2 failed · 3 s`. */
  line(): string {
    const loops = [...this.#loops].map(([id, loop]) => `${id} ${loop.ended}${loop.completed ? ' ✓' : ''}`)
    const failed = [...this.#loops.values()].reduce((sum, loop) => sum + loop.failed, 0)
    const rest = [...(failed > 0 ? [`${failed} failed`] : []), `${this.seconds().toFixed(0)} s`]
    return [...loops, ...rest].join(' · ')
  }
}
