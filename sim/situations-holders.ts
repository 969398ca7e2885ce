/** Situations of leases, holders and daemons: who dies, sleeps, stops, takes over, and what becomes of the claims. */
import { keysOf, replicaName } from '../engine/store/keys.ts'
import { placeOf } from './places.ts'
import type { Applied } from './server.ts'
import type { Known, Situation } from './situations.ts'

const pidOf = ({ args }: Applied): number => Number(args[6])
const nameOf = ({ args }: Applied): string => replicaName(args[0] ?? '', Number(args[1]))
const isTaken = ({ outcome }: Applied, [word]: readonly string[]): boolean => word === 'acquired' && outcome.changed

/** An acquisition that really was one. */
function acquire(test: (applied: Applied, returned: number) => boolean) {
  return {
    ops: {
      acquire: (applied: Applied, answer: readonly string[]) => {
        return isTaken(applied, answer) && test(applied, Number(answer[3]))
      },
    },
  }
}

/** How many of the items that moved are marked so, in queues or in claims. */
function marked({ moves }: Applied, how: { kind: 'in' | 'out'; place: 'queue' | 'claims'; mark: RegExp }): number {
  const isMarked = (move: Applied['moves'][number]): boolean => {
    if (move.kind !== how.kind || placeOf(move.key).kind !== how.place) return false
    const entry = how.place === 'claims' ? move.value.slice(move.value.indexOf('\n') + 1) : move.value
    return how.mark.test(entry)
  }
  return moves.filter(isMarked).length
}
const suspect = /^s/
const charged = /^s[1-9]/
const spared = /^s0/
const claimsSuspect = (applied: Applied): boolean => marked(applied, { kind: 'in', place: 'claims', mark: suspect }) > 0

export const ofHolders: readonly Situation[] = [
  { name: 'claims of a dead holder were recovered', watch: () => acquire((_, returned) => returned > 0) },
  {
    name: 'a replica waited for the lease of another holder',
    watch: () => ({ ops: { acquire: (_, [word]) => word === 'held' } }),
  },
  {
    name: 'an acquisition was sent again after it was applied',
    watch: () => ({ ops: { acquire: ({ outcome }, [word]) => word === 'acquired' && !outcome.changed } }),
  },
  {
    name: 'a replica took over at once from a dead holder on the same machine',
    watch: known =>
      acquire(applied => {
        const { before } = known
        return before !== undefined && before.pid !== pidOf(applied) && applied.args[8] === before.holder
      }),
  },
  {
    name: 'a lease was lost in mid-iteration by a daemon that lived',
    watch: known =>
      acquire((applied, returned) => {
        const { before } = known
        return returned > 0 && before !== undefined && before.pid !== pidOf(applied) && known.isAlive(before.pid)
      }),
  },
  { name: 'recovery met a half-done recovery', watch: halfDone },
  {
    name: 'a renewal was told that its lease is gone',
    watch: () => ({ ops: { renew: (_, lines) => lines.slice(0, -1).some(line => line.startsWith('0')) } }),
  },
  {
    name: 'replicas of one loop ran in two daemons at once',
    watch: known =>
      acquire(applied => {
        const own = nameOf(applied)
        const daemon = known.lives.get(pidOf(applied))?.daemon
        return [...known.holders].some(([name, { pid }]) => {
          const other = known.lives.get(pid)
          const isSibling = name !== own && name.slice(0, name.lastIndexOf(':')) === applied.loop
          return isSibling && other?.isAlive === true && other.daemon !== daemon
        })
      }),
  },
  {
    name: 'a daemon had to wait for a lease of its own earlier life',
    watch: known => ({
      ops: {
        acquire: (applied, [word, , , pid]) => {
          const own = known.lives.get(pidOf(applied))?.daemon
          return word === 'held' && Number(pid) !== pidOf(applied) && known.lives.get(Number(pid))?.daemon === own
        },
      },
    }),
  },
  {
    name: 'a commit was fenced: another had taken over',
    watch: () => ({ ops: { commit: (_, [word]) => word === 'fenced' } }),
  },
  { name: 'a daemon woke up from a pause to find its commit refused', watch: refusedAfterPause },
  {
    name: 'two daemons began at the same time',
    watch: ({ lives }) => ({
      lives: ({ what, daemon }) => {
        const isBeginning = (each: { daemon: number; isAlive: boolean; holds: boolean }) =>
          each.daemon !== daemon && each.isAlive && !each.holds
        return what === 'begins' && [...lives.values()].some(isBeginning)
      },
    }),
  },
  {
    name: 'the only claim of a dead holder was charged for its death',
    watch: () => acquire(applied => marked(applied, { kind: 'in', place: 'queue', mark: charged }) === 1),
  },
  {
    name: 'several claims of a dead holder became suspects, none was charged',
    watch: () => acquire(applied => marked(applied, { kind: 'in', place: 'queue', mark: spared }) > 1),
  },
  { name: 'a suspect was claimed alone', watch: () => ({ ops: { claim: claimsSuspect, commit: claimsSuspect } }) },
  {
    name: 'a suspect turned out to be innocent',
    watch: () => ({
      ops: {
        commit: applied => {
          const left = marked(applied, { kind: 'out', place: 'claims', mark: suspect })
          return left > 0 && applied.moves.every(({ key }) => placeOf(key).kind !== 'dead-letters')
        },
      },
    }),
  },
  {
    name: 'an item was given up as poison',
    watch: ({ graph }) => {
      const { deadLetters } = keysOf(graph.workflow.id)
      return {
        ops: {
          commit: ({ moves, db }) => {
            const came = moves.filter(({ key, kind }) => kind === 'in' && key === deadLetters)
            return came.some(({ value }) => db.hget(deadLetters, value)?.includes('"code":"POISON"') === true)
          },
        },
      }
    },
  },
  {
    name: 'a drain timed out and kept its claims',
    watch: () => ({
      ops: { release: ({ args, outcome }, [word]) => word === 'released' && outcome.changed && args[5] === 'keep' },
    }),
  },
  {
    name: 'a drain gave back what was claimed ahead',
    watch: () => ({ ops: { release: (_, [word, n]) => word === 'released' && Number(n) > 0 } }),
  },
  { name: 'a daemon was told to stop while it recovered claims', watch: stoppedInRecovery },
  {
    name: 'a daemon died while it drained',
    watch: () => {
      const stopping = new Set<number>()
      return {
        lives: ({ what, pid }) => {
          if (what === 'is told to stop') stopping.add(pid)
          return what === 'dies' && stopping.has(pid)
        },
      }
    },
  },
]

/** Somebody recovered claims and died before it did anything with them; the next one begins where that one was. */
function halfDone({ lives }: Known) {
  const begun = new Map<string, number>()
  const goesOn = (applied: Applied): boolean => {
    begun.delete(nameOf(applied))
    return false
  }
  return {
    ops: {
      claim: goesOn,
      acquire: (applied: Applied, answer: readonly string[]) => {
        if (!isTaken(applied, answer)) return false
        const before = begun.get(nameOf(applied))
        if (Number(answer[3]) > 0) begun.set(nameOf(applied), pidOf(applied))
        return before !== undefined && before !== pidOf(applied) && lives.get(before)?.isAlive === false
      },
    },
  }
}

function refusedAfterPause({ holders }: Known) {
  const woken = new Set<number>()
  const mine = new Map<string, number>()
  return {
    lives: ({ what, pid }: { what: string; pid: number }) => {
      if (what === 'wakes') woken.add(pid)
      return false
    },
    ops: {
      acquire: () => {
        for (const { holder, pid } of holders.values()) mine.set(holder, pid)
        return false
      },
      commit: ({ args }: Applied, [word]: readonly string[]) =>
        word === 'fenced' && woken.has(mine.get(args[2] ?? '') ?? 0),
    },
  }
}

function stoppedInRecovery() {
  const stopping = new Set<number>()
  return {
    lives: ({ what, pid }: { what: string; pid: number }) => {
      if (what === 'is told to stop') stopping.add(pid)
      return false
    },
    ...acquire((applied, returned) => returned > 0 && stopping.has(pidOf(applied))),
  }
}
