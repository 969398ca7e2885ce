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

export const ofOperators: readonly Situation[] = [
  { name: 'a workflow or loop was paused, and resumed', watch: pausedAndResumed },
  {
    name: 'an item that had failed was tried again',
    watch: () => ({ ops: { requeue: (_, [word]) => word === 'requeued' } }),
  },
  {
    name: 'two people wanted the same item to be tried again',
    watch: () => ({ ops: { requeue: (_, [word]) => word === 'unknown' } }),
  },
]
