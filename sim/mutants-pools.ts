/** Bugs planted in what loops in workers need: the words that pass, the watch, the blame, the back-off. */
import type { Mutant } from './mutants.ts'

const planted = { canary: 'pooled' } as const

export const poolMutants: readonly Mutant[] = [
  {
    name: 'the lease of a dead worker is kept for ever',
    file: 'run/remote-loop',
    find: 'this.#settle(this.#outcome(cause))',
    replace: 'if (this.#said !== undefined) this.#settle(this.#outcome(cause))',
    // its loop stands still while others go on
    caughtBy: ['stuck', 'isolation'],
    faults: ['worker-replied', 'worker-oom'],
    ...planted,
  },
  {
    name: 'nobody is blamed for the death of a worker',
    file: 'run/remote-loop',
    find: "const blame = this.#verdict?.blame ?? 'blame'",
    replace: "const blame = 'spare'",
    caughtBy: ['stuck', 'inconclusive'],
    faults: ['node-kills'],
    ...planted,
  },
  {
    name: 'a worker does not hear that it shall drain',
    file: 'run/loop-worker',
    find: 'this.#control[message.kind]()',
    replace: "if (message.kind !== 'drain') this.#control[message.kind]()",
    caughtBy: ['supervision'],
    faults: ['stop'],
    ...planted,
  },
  {
    name: 'a worker of another version is believed',
    file: 'run/remote-loop',
    find: 'message.protocol === poolProtocol',
    replace: 'message.protocol !== undefined',
    caughtBy: ['sequential'],
    faults: ['worker-version'],
    ...planted,
  },
  {
    name: 'progress is taken for a crash',
    file: 'run/backoff',
    find: 'this.#crashes = 0',
    replace: 'this.#crashes += 1',
    caughtBy: ['supervision'],
    faults: ['worker-before', 'worker-applied', 'worker-replied', 'worker-oom'],
    ...planted,
  },
  {
    name: 'a worker is ended without a word',
    file: 'run/remote-loop',
    find: "this.#send({ kind: 'abort', reason: toErrorRecord(reason) })",
    replace: 'void reason',
    caughtBy: ['supervision'],
    faults: ['stop', 'node-hangs'],
    ...planted,
  },
  {
    name: 'a worker that waits is taken for one that hangs',
    file: 'run/watchdog',
    find: 'idleMs > bounds.idleMsMax',
    replace: 'idleMs > -3000',
    caughtBy: ['supervision'],
    ...planted,
  },
  {
    name: 'a process that stands still is waited for',
    file: 'run/watchdog',
    find: 'if (silentMs > limits.workerSilenceMsMax)',
    replace: 'if (silentMs > 1000 * limits.workerSilenceMsMax)',
    caughtBy: ['supervision'],
    faults: ['worker-hang'],
    ...planted,
  },
  {
    name: 'a worker that cannot be asked is not forced',
    file: 'run/remote-loop',
    find: 'if (!this.#gone.signal.aborted)',
    replace: 'if (this.#gone.signal.aborted)',
    caughtBy: ['supervision', 'stuck'],
    faults: ['worker-hang'],
    ...planted,
  },
]
