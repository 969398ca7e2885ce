/**
 * Whether iterations get on: one whose nodes are slow, again and again in the body of a for-each, may take longer than the
 * world's patience and stand still at no moment. What is done again after a crash is no headway until it gets further.
 */
import type { EngineEvent } from '../engine/trace/events.ts'

export class Headway {
  /** By loop and iteration: nodes completed in this attempt, and in the one that got furthest. */
  readonly #done = new Map<string, { now: number; most: number }>()

  /** True when an iteration has got further than ever. */
  see(event: EngineEvent): boolean {
    if (event.type === 'iteration_started') this.#of(event).now = 0
    if (event.type === 'iteration_completed' || event.type === 'iteration_failed') this.#done.delete(keyOf(event))
    if (event.type !== 'node_completed') return false
    const done = this.#of(event)
    done.now += 1
    if (done.now <= done.most) return false
    done.most = done.now
    return true
  }

  #of(event: { loop: string; iteration: number }): { now: number; most: number } {
    const done = this.#done.get(keyOf(event)) ?? { now: 0, most: 0 }
    this.#done.set(keyOf(event), done)
    return done
  }
}

function keyOf({ loop, iteration }: { loop: string; iteration: number }): string {
  return `${loop} ${iteration}`
}
