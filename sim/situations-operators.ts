/** Situations that people bring about who look after the daemons. */
import type { Situation, Watch } from './situations.ts'

function pausedAndResumed(): Watch {
  const paused = new Set<string>()
  return {
    ops: {
      desire: ({ args: [loop = '', wish] }) => {
        if (wish === 'pause') paused.add(loop)
        return wish !== 'pause' && paused.has(loop)
      },
    },
  }
}

function triedAgain(): Watch {
  const givenUp = new Set<string>()
  const tried = new Set<string>()
  return {
    ops: {
      desire: ({ args: [loop = '', wish = ''] }) => {
        if (wish.startsWith('try:') && givenUp.has(loop)) tried.add(loop)
        return false
      },
    },
    events: {
      warning: event => {
        if (event.type === 'warning' && event.code === 'LOOP_FAILED') givenUp.add(event.loop ?? '')
        return false
      },
      iteration_completed: event => 'loop' in event && tried.has(event.loop ?? ''),
    },
  }
}

export const ofOperators: readonly Situation[] = [
  { name: 'a workflow or loop was paused, and resumed', watch: pausedAndResumed },
  { name: 'a loop that was given up went on when somebody wanted it to', watch: triedAgain },
  {
    name: 'an item that had failed was tried again',
    watch: () => ({ ops: { requeue: (_, [word]) => word === 'requeued' } }),
  },
  {
    name: 'two people wanted the same item to be tried again',
    watch: () => ({ ops: { requeue: (_, [word]) => word === 'unknown' } }),
  },
]
