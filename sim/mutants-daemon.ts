/** Bugs planted in what several daemons share: definitions that change while they run, and what people ask for. */
import type { Mutant } from './mutants.ts'

export const daemonMutants: readonly Mutant[] = [
  {
    name: 'an old definition of a loop is leased',
    file: 'store/scripts/leases',
    find: 'db.hget(`${p}loops`, loop) !== hash',
    replace: 'db.hget(`${p}loops`, loop) === undefined',
    caughtBy: ['definition'],
    faults: ['reload', 'crash-replied'],
  },
  {
    name: 'a redefinition takes no notice of who holds what',
    file: 'store/scripts/redefine',
    find: 'if (held.length > 0) {',
    replace: 'if (held.length > 99) {',
    caughtBy: ['fencing'],
    faults: ['reload'],
  },
  {
    name: 'a reload leaves its own loops as they were',
    file: 'run/supervisor',
    find: 'group.isRetiring || loop.hash !== group.loop.hash',
    replace: 'loop.hash === undefined',
    caughtBy: ['stuck', 'definition'],
    faults: ['reload'],
  },
  {
    name: 'a daemon starts what somebody stopped',
    file: 'store/scripts/start-run',
    find: "if (wish === 'stop' || wish === 'kill')",
    replace: "if (wish === 'never')",
    caughtBy: ['wishes'],
    faults: ['wish', 'crash-replied', 'crash-before'],
  },
  {
    name: 'a pause is not heard of',
    file: 'run/supervisor',
    find: "workflow === 'pause' || wish === 'pause'",
    replace: "workflow === 'never' || wish === 'never'",
    caughtBy: ['wishes'],
    canary: 'steady',
    faults: ['wish'],
  },
  {
    name: 'a loop that was given up does not hear that it shall go on',
    file: 'run/supervisor',
    find: 'this.#isNewTry(loop, wish) || this.isPaused(loop)',
    replace: 'this.isPaused(loop)',
    caughtBy: ['stuck', 'isolation'],
    canary: 'pooled',
    faults: ['worker-fails'],
  },
  {
    name: 'a requeued item stays a dead letter',
    file: 'store/scripts/operator',
    find: 'db.hdel(`${p}dl`, id)',
    replace: 'void (id)',
    caughtBy: ['conservation', 'fail-fast'],
    canary: 'failing',
    faults: ['requeue'],
  },
]
