/** Situations of workers: how they ended, and whether their daemons did too. */
import type { EngineEvent } from '../engine/trace/events.ts'
import type { Situation, Watch } from './situations.ts'

function warning(isIt: (event: EngineEvent & { type: 'warning' }) => boolean): Watch {
  return { events: { warning: event => event.type === 'warning' && isIt(event) } }
}

export const ofPools: readonly Situation[] = [
  {
    name: 'the worker of a loop died, and its daemon did not',
    watch: () => warning(({ cause }) => cause !== undefined && cause.signal === null),
  },
  {
    name: 'a worker that stood still was ended',
    watch: () => warning(({ cause }) => cause !== undefined && cause.signal !== null),
  },
  {
    name: 'a worker of another version was refused',
    watch: () => warning(({ code }) => code === 'WORKER_REFUSED'),
  },
]
