/**
 * One loop as one definition has it, from its start here to its end: what is told to it, and a keeper for each of its
 * replicas. A reload does not change a group; it retires the group and starts another one behind it.
 */
import { EngineError } from '../errors.ts'
import type { FlowGraph, FlowLoop } from '../graph/flow-graph.ts'
import { LoopControl } from './loop-control.ts'
import { type KeeperHost, ReplicaKeeper, type SuperviseResult } from './replica-keeper.ts'

export class LoopGroup {
  readonly loop: FlowLoop
  readonly control = new LoopControl()
  readonly keepers: readonly ReplicaKeeper[]
  /** Settles when no replica is kept here any more. Rejects with whatever Redis refuses for good. */
  readonly end: Promise<readonly SuperviseResult[]>
  /** What comes when it has been retired. */
  follow: () => void = () => undefined
  #results: readonly SuperviseResult[] | undefined
  /** Another group is to follow. */
  isRetiring = false

  constructor(graph: FlowGraph, loop: FlowLoop, host: Omit<KeeperHost, 'graph' | 'loop' | 'control'>) {
    this.loop = loop
    const own = { ...host, graph, loop, control: this.control }
    this.keepers = Array.from({ length: loop.replicas }, (_, number) => new ReplicaKeeper(own, number))
    this.end = Promise.all(this.keepers.map(keeper => keeper.keep())).then(results => {
      this.#results = results
      return results
    })
  }

  /** How its replicas ended; undefined while one is kept, or when another group is to follow. */
  get results(): readonly SuperviseResult[] | undefined {
    return this.isRetiring ? undefined : this.#results
  }

  /** No new iteration begins; running ones get `drainMs` by `sleep`, then they are aborted. Resolves when all is let go. */
  async retire(drainMs: number, sleep: (ms: number, signal: AbortSignal) => Promise<void>): Promise<void> {
    this.isRetiring = true
    this.control.drain()
    const over = new AbortController()
    const message = `The loop is redefined: its iteration did not end within ${drainMs / 1000} s`
    sleep(drainMs, over.signal).then(
      () => this.control.abort(new EngineError('ITERATION_ABORTED', message)),
      () => undefined,
    )
    try {
      await this.end
    } finally {
      over.abort()
    }
  }
}
