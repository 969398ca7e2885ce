/**
 * Tells what happens in one loop. Each event is one literal, stamped with time, workflow, run and loop: this runs several
 * times per node and item, where copying objects together would cost more than the work itself.
 */
import { type ErrorRecord, messageOf } from '../errors.ts'
import type { FlowNode } from '../graph/flow-graph.ts'
import type { Routed } from '../node/node.ts'
import type { Clock } from '../ports.ts'
import type { DeadLetter, EngineEvent, EventSink } from '../trace/events.ts'

export class LoopEvents {
  readonly #clock: Clock
  readonly #sink: EventSink
  readonly #workflow: string
  readonly #run: string
  readonly #loop: string

  constructor(where: { workflow: string; run: string; loop: string }, clock: Clock, sink: EventSink) {
    this.#clock = clock
    this.#sink = sink
    this.#workflow = where.workflow
    this.#run = where.run
    this.#loop = where.loop
  }

  loopStarted(): void {
    this.#sink({ type: 'loop_started', ...this.#stamp(this.#loop) })
  }

  /** Also for other loops: the replica that ends a cycle speaks for all of them. */
  loopCompleted(loop: string): void {
    this.#sink({ type: 'loop_completed', ...this.#stamp(loop) })
  }

  iterationStarted(iteration: number): void {
    this.#sink({
      type: 'iteration_started',
      time: this.#clock.now(),
      workflow_id: this.#workflow,
      run: this.#run,
      loop: this.#loop,
      iteration,
    })
  }

  iterationCompleted(iteration: number, duration: number): void {
    this.#sink({
      type: 'iteration_completed',
      time: this.#clock.now(),
      workflow_id: this.#workflow,
      run: this.#run,
      loop: this.#loop,
      iteration,
      duration,
    })
  }

  iterationFailed(iteration: number, error: ErrorRecord, duration: number): void {
    this.#sink({ type: 'iteration_failed', ...this.#stamp(this.#loop), iteration, error, duration })
  }

  nodeStarted(iteration: number, node: FlowNode): void {
    this.#sink({
      type: 'node_started',
      time: this.#clock.now(),
      workflow_id: this.#workflow,
      run: this.#run,
      loop: this.#loop,
      iteration,
      node_id: node.id,
      node_type: node.class.identifier,
    })
  }

  /** `duration` in seconds. The route is told of conditionals only. */
  nodeCompleted(iteration: number, node: FlowNode, duration: number, { output, route }: Routed): void {
    const event: Extract<EngineEvent, { type: 'node_completed' }> = {
      type: 'node_completed',
      time: this.#clock.now(),
      workflow_id: this.#workflow,
      run: this.#run,
      loop: this.#loop,
      iteration,
      node_id: node.id,
      node_type: node.class.identifier,
      duration,
    }
    if (node.class.kind === 'conditional') event.route = route
    this.#sink(event, output)
  }

  nodeSkipped(iteration: number, node: FlowNode): void {
    this.#sink({
      type: 'node_skipped',
      time: this.#clock.now(),
      workflow_id: this.#workflow,
      run: this.#run,
      loop: this.#loop,
      iteration,
      node_id: node.id,
      node_type: node.class.identifier,
    })
  }

  nodeFailed(iteration: number, node: FlowNode, error: ErrorRecord, duration: number): void {
    const named = { node_id: node.id, node_type: node.class.identifier }
    this.#sink({ type: 'node_failed', ...this.#stamp(this.#loop), iteration, ...named, error, duration })
  }

  deadLetter(letter: DeadLetter): void {
    this.#sink({ type: 'dead_letter', workflow_id: letter.workflow, ...letter })
  }

  cleanupFailed(node: string, error: unknown): void {
    this.warning('CLEANUP_FAILED', `Cleanup of node "${node}" failed: ${messageOf(error)}`)
  }

  warning(code: string, message: string): void {
    this.#sink({ type: 'warning', ...this.#stamp(this.#loop), code, message })
  }

  #stamp(loop: string) {
    return { time: this.#clock.now(), workflow_id: this.#workflow, run: this.#run, loop }
  }
}
