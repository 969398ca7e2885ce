/** What the server's answers mean, for people who do not know the operations. */

const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
const isFenced = 'refused: another holder has taken over'
const isDiverged = 'refused: Redis has gone back in time'

/** By operation, and by the first word of the answer; `n` is its second. */
const meanings: Record<string, Record<string, (n: number) => string>> = {
  'start-run': { new: () => 'a new run begins', resumed: () => 'the run goes on', joined: () => 'the run goes on' },
  acquire: {
    acquired: () => 'this daemon runs the loop from now on',
    held: () => 'another daemon runs the loop',
  },
  claim: {
    claimed: n => `${plural(n, 'item')} taken from the queue`,
    fenced: () => isFenced,
    diverged: () => isDiverged,
  },
  commit: {
    ok: n => `${plural(n, 'iteration')} and all that came of it now final`,
    again: () => 'it was applied already, and nothing is done twice',
    full: n => `a queue is full; ${plural(n, 'iteration')} final`,
    fenced: () => isFenced,
    diverged: () => isDiverged,
    lost: () => 'refused: the items are not there any more',
  },
  complete: {
    waiting: () => 'the loop may still get items',
    completed: () => 'the loop is complete',
    workflow: () => 'the loop is complete, and with it the whole run',
  },
  release: { released: () => 'the daemon lets go of the loop' },
}

/** In brackets, or nothing. */
export function meaningOf(op: string, answer: string): string {
  const [word = '', n] = answer.split(/\s/)
  const meaning = meanings[op]?.[word]?.(Number(n))
  return meaning === undefined ? '' : ` (${meaning})`
}
