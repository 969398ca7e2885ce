/**
 * Iterations of a loop with one replica come strictly one after the other: none starts while a node of another works,
 * nodes work only in the iteration that runs, and ends are told once each and in order (they follow behind, with the
 * commits).
 */
import type { EngineEvent } from '../../engine/trace/events.ts'
import type { Invariant, InvariantContext, MakeInvariant, Report } from './invariant.ts'

/** What one holder of the loop has done so far. */
class Track {
  /** The iteration that runs, or ran last. */
  current: number | undefined
  readonly working = new Set<string>()
  /** A node failed: those that were aborted with it tell nothing more. */
  failed = false
  /** Begun and not told as ended, in order. */
  readonly open: number[] = []
}

class Sequential implements Invariant {
  readonly name = 'sequential'
  readonly #report: Report
  readonly #loops: ReadonlySet<string>
  readonly #tracks = new Map<string, Track>()

  constructor({ graph, report }: InvariantContext) {
    this.#report = report
    this.#loops = new Set(graph.loops.filter(loop => loop.replicas === 1).map(loop => loop.id))
  }

  event(event: EngineEvent): void {
    if (!('loop' in event) || event.loop === undefined || !this.#loops.has(event.loop)) return
    if (event.type === 'loop_started') {
      this.#tracks.delete(event.loop)
      return
    }
    const track = this.#track(event.loop)
    if (event.type === 'iteration_started') this.#begins(event, track)
    else if (event.type === 'iteration_completed' || event.type === 'iteration_failed') this.#ends(event, track)
    else if ('node_id' in event) this.#works(event, track)
  }

  #begins(event: { loop: string; iteration: number }, track: Track): void {
    if (track.working.size > 0 && !track.failed) {
      const nodes = [...track.working].join(', ')
      this.#report(
        `iteration ${track.current} of "${event.loop}" ends first`,
        `iteration ${event.iteration} started while ${nodes} worked`,
      )
    }
    track.current = event.iteration
    track.working.clear()
    track.failed = false
    track.open.push(event.iteration)
  }

  #ends(event: EngineEvent & { loop: string; iteration: number }, track: Track): void {
    const next = track.open.shift()
    if (next === event.iteration) return
    this.#report(`${event.type} of "${event.loop}" tells of iteration ${next ?? 'none'}`, `it says ${event.iteration}`)
  }

  #works(event: EngineEvent & { loop: string; iteration: number; node_id: string }, track: Track): void {
    if (event.iteration !== track.current || !track.open.includes(event.iteration)) {
      this.#report(
        `${event.type} of "${event.loop}" belongs to the iteration that runs, ${track.current ?? 'none'}`,
        `it says ${event.iteration}`,
      )
    }
    if (event.type === 'node_started') track.working.add(event.node_id)
    else track.working.delete(event.node_id)
    if (event.type === 'node_failed') track.failed = true
  }

  #track(loop: string): Track {
    const known = this.#tracks.get(loop) ?? new Track()
    this.#tracks.set(loop, known)
    return known
  }
}

export const sequential: MakeInvariant = context => new Sequential(context)
