/** Bugs planted in what runs loops: the walk, iterations, committing, supervision. */
import type { Mutant } from './mutants.ts'

export const runMutants: readonly Mutant[] = [
  {
    name: 'commit before execute',
    file: 'run/flow-runner',
    find: 'const failure = await this.#outcome(next)',
    replace: `const before = { ...next.iteration.effects.toCommit(next.entry?.key), pushes: [], outcome: 'state' }
    if (next.entry !== undefined) await this.#store.commit([before], 1000, { ...this.#source.wish(), most: 0 })
    const failure = await this.#outcome(next)`,
    caughtBy: ['exactly-once', 'conservation'],
  },
  {
    name: 'state saved outside the commit',
    file: 'run/flow-runner',
    find: 'const failure = await this.#outcome(next)',
    replace: `if (next.iteration.effects.state.size > 0)
      await this.#store.commit([{ ...next.iteration.effects.toCommit(undefined), pushes: [], outcome: 'state' }], 1000, { ...this.#source.wish(), most: 0 })
    const failure = await this.#outcome(next)`,
    caughtBy: ['exactly-once'],
  },
  {
    name: 'a failed iteration is committed as a good one',
    file: 'run/flow-runner',
    find: 'if (failure === undefined) {',
    replace: 'if (failure !== null) {',
    caughtBy: ['fail-fast', 'branches'],
    canary: 'failing',
  },
  {
    name: 'iterations are not counted',
    file: 'run/flow-runner',
    find: 'this.#count += 1',
    replace: 'this.#count += 0',
    caughtBy: ['conservation', 'sequential', 'exactly-once'],
  },
  {
    name: 'reads give up in an outage',
    file: 'run/flow-runner',
    find: 'return retryTransient({ clock: ports.clock, signal: control.aborted, pauseMsMax: limits.wakeWaitMs }, call)',
    replace: 'return call()',
    caughtBy: ['crash'],
  },
  {
    name: 'join that waits for a dead branch',
    file: 'run/walk',
    find: 'this.#open[to] = open',
    replace: `const isDead = this.#live[edge] === false && this.#plan.steps[to].incoming.length > 1
      this.#open[to] = isDead ? open + 1 : open`,
    caughtBy: ['exactly-once', 'branches', 'crash'],
  },
  {
    name: 'join that runs for each of its branches',
    file: 'run/iteration',
    find: 'const live = next.filter(each => each.live)',
    replace: `const live = next.filter(each => each.live)
        for (const each of [...live]) if (plan.steps[each.step].incoming.length > 1) live.push(each)`,
    caughtBy: ['branches', 'crash'],
    canary: 'shapes',
  },
  {
    name: 'a branch that was not chosen runs',
    file: 'run/walk',
    find: '?.port === route',
    replace: '?.port !== undefined',
    caughtBy: ['branches', 'exactly-once'],
  },
  {
    name: 'a join keeps only its first branch',
    file: 'run/merge',
    find: 'if (branches.length === 1)',
    replace: 'if (branches.length > 0)',
    caughtBy: ['exactly-once'],
    canary: 'shapes',
  },
  {
    name: 'a for-each goes backwards',
    file: 'run/for-each',
    find: 'of items.entries()',
    replace: 'of [...items.entries()].reverse()',
    caughtBy: ['exactly-once'],
    canary: 'shapes',
  },
  {
    name: 'a for-each leaves out its last element',
    file: 'run/for-each',
    find: 'of items.entries()',
    replace: 'of items.slice(0, -1).entries()',
    caughtBy: ['exactly-once'],
    canary: 'shapes',
  },
  {
    name: 'group commit out of order',
    file: 'run/committer',
    find: 'this.#waiting.map(',
    replace: 'this.#waiting.toReversed().map(',
    caughtBy: ['fifo', 'conservation'],
    also: 'a commit that names a claim which is not the first releases the wrong one',
    canary: 'tight',
  },
  {
    name: 'told as completed before it is committed',
    file: 'run/committer',
    find: 'this.#waiting.push(finished)',
    replace: `if (this.#waiting.length > 1) {
      finished.committed()
      this.#waiting.push({ ...finished, committed: () => undefined })
    } else this.#waiting.push(finished)`,
    caughtBy: ['sequential', 'exactly-once'],
    canary: 'shapes',
  },
  {
    name: 'garbage is taken for an answer',
    file: 'run/iteration',
    find: 'freezeJson(output.data, what)',
    replace: 'void output.data',
    caughtBy: ['exactly-once', 'crash'],
  },
  {
    name: 'a node that answers something else is believed',
    file: 'run/iteration',
    find: "if (typeof output?.id !== 'string' ||",
    replace: "if (output !== undefined && typeof output !== 'string' && 0 &&",
    caughtBy: ['exactly-once', 'crash', 'fail-fast'],
  },
  {
    name: 'a failed iteration keeps what it pushed',
    file: 'run/effects',
    find: 'pushes: [],',
    replace: 'pushes: this.pushes,',
    caughtBy: ['exactly-once'],
    canary: 'failing',
  },
  {
    name: 'a dead letter without its error',
    file: 'run/dead-letter',
    find: 'JSON.stringify(letter)',
    replace: 'JSON.stringify({ ...letter, error: undefined })',
    caughtBy: ['fail-fast', 'crash'],
    canary: 'failing',
  },
  {
    name: 'an item that took its daemon down once is poison',
    file: 'run/item-source',
    find: 'entry.charges >=',
    replace: 'entry.charges + 2 >=',
    caughtBy: ['fail-fast'],
  },
  {
    name: 'what this loop wrote is not seen before it is committed',
    file: 'run/runtime-cache',
    find: 'this.#uncommitted.push(writes)',
    replace: 'void writes',
    caughtBy: ['exactly-once'],
    canary: 'shapes',
  },
  {
    name: 'an ended loop is forgotten before the run is complete',
    file: 'run/supervisor',
    find: 'if (this.#allEnded(answer.run))',
    replace: 'if (replica !== undefined)',
    caughtBy: ['stuck'],
    faults: ['restart-loses', 'failover'],
  },
  {
    name: 'a replica that lost its lease is not served again',
    file: 'run/supervisor',
    find: 'own = { holder: answer.holder, blame: end.blame }',
    replace: "if (own !== undefined) return 'stopped'",
    caughtBy: ['stuck'],
  },
  {
    name: 'a loop does not wait for its writers',
    file: 'run/supervisor',
    find: 'upstream: unique(cycle.flatMap(',
    replace: 'upstream: unique([].flatMap(',
    caughtBy: ['completion'],
  },
]
