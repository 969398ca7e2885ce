/** A process that answers for an `api` workflow: nothing runs but what it is asked, so it only waits to be stopped. */
import type { RunEnd } from '../engine/flow-engine.ts'
import type { Engine } from './instance.ts'

export class ApiEngine implements Engine {
  readonly done: Promise<RunEnd>
  readonly isAtRest = true
  #end: (end: RunEnd) => void = () => undefined

  constructor() {
    this.done = new Promise(resolve => {
      this.#end = resolve
    })
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#end({ status: 'stopped' })
  }
}
