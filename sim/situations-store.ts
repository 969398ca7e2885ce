/** Situations at the server: commits that come twice or in part, queues that are full, a Redis that forgets. */
import { codeOf } from '../engine/errors.ts'
import type { FaultKind } from './faults.ts'
import type { Situation, Watch } from './situations.ts'

/** Of one operation. */
function op(name: string, test: NonNullable<Watch['ops']>[string]): Watch {
  return { ops: { [name]: test } }
}

const isDone = (answer: readonly string[]): boolean => answer[0] === 'ok' || answer[0] === 'full'

export const ofStore: readonly Situation[] = [
  { name: 'a commit was sent again after it was applied', watch: () => op('commit', (_, [word]) => word === 'again') },
  {
    name: 'a commit was lost on its way, and arrived when it was sent again',
    watch: () => {
      const lost = new Set<string>()
      const isLoss = (kind: FaultKind): boolean => kind === 'lost-before' || kind === 'refused'
      return {
        faults: (kind, at) => {
          if (at.op === 'commit' && isLoss(kind)) lost.add(at.loop)
          return false
        },
        ...op('commit', ({ loop }, answer) => lost.has(loop) && isDone(answer)),
      }
    },
  },
  {
    name: 'several iterations were committed at once',
    watch: () => op('commit', (_, [word, n]) => word === 'ok' && Number(n) > 1),
  },
  {
    name: 'a group was committed in part: a queue had no room for the rest',
    watch: () => op('commit', (_, [word, n]) => word === 'full' && Number(n) > 0),
  },
  {
    name: 'a loop waited for room in a full queue',
    watch: () => op('commit', (_, [word, n]) => word === 'full' && n === '0'),
  },
  {
    name: 'Redis had no memory for a commit',
    watch: () => op('commit', ({ outcome }) => !outcome.ok && codeOf(outcome.error) === 'REDIS_OUT_OF_MEMORY'),
  },
  {
    name: 'a commit met a Redis that accepts no writes',
    watch: () => ({ faults: (kind, at) => kind === 'readonly' && at.op === 'commit' }),
  },
  {
    name: 'a claim was sent again after it was applied',
    watch: () => op('claim', ({ outcome }, [word]) => word === 'claimed' && !outcome.changed),
  },
  {
    name: 'a completion was sent again after it was applied',
    watch: () => op('complete', (_, [word]) => word === 'again'),
  },
  {
    name: 'a replica was told that Redis went back in time',
    watch: () => {
      const isTold: NonNullable<Watch['ops']>[string] = (_, [word]) => word === 'diverged'
      return { ops: { claim: isTold, commit: isTold, complete: isTold, delay: isTold, release: isTold } }
    },
  },
  {
    name: 'a restart of Redis lost committed iterations',
    watch: () => ({ lost: (by, iterations) => by === 'restart-loses' && iterations > 0 }),
  },
  {
    name: 'a fail-over lost committed iterations',
    watch: () => ({ lost: (by, iterations) => by === 'failover' && iterations > 0 }),
  },
  {
    name: 'Redis lost the whole run',
    watch: () => ({ events: { warning: event => event.type === 'warning' && event.code === 'RUN_LOST' } }),
  },
  {
    name: 'a delay went on after a crash with only its rest left',
    watch: () =>
      op('delay', ({ args, db }, [word, until]) => {
        return word === 'delay' && until !== args[6] && Number(until) > db.timeMs()
      }),
  },
  {
    name: 'a delay ended while nobody was there to notice',
    watch: () =>
      op('delay', ({ args, db }, [word, until]) => {
        return word === 'delay' && until !== args[6] && Number(until) <= db.timeMs()
      }),
  },
  {
    name: 'a cycle of loops ended',
    watch: ({ graph }) => {
      const inCycle = new Set(graph.loops.filter(({ cycle }) => cycle.length > 1).map(({ id }) => id))
      return op('complete', ({ loop }, [word]) => inCycle.has(loop) && (word === 'completed' || word === 'workflow'))
    },
  },
  {
    name: 'a wake-up was lost with its connection',
    watch: () => ({ faults: (kind, at) => kind === 'reply-lost' && at.op === 'wait' }),
  },
  {
    name: 'a wake-up was given back',
    watch: () => op('wake', () => true),
  },
]
