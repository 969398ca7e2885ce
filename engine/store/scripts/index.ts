/** All atomic operations, for whoever must know them by name: the journal, the contract suite, the mutants. */
import type { Script } from '../../ports.ts'
import { attend, time } from './attend.ts'
import { claim } from './claim.ts'
import { commit } from './commit.ts'
import { commitRequest } from './commit-request.ts'
import { complete } from './complete.ts'
import { define } from './define.ts'
import { delay } from './delay.ts'
import { devCache } from './dev-cache.ts'
import { intake } from './intake.ts'
import { acquire, release, renew, wake } from './leases.ts'
import { desire, purgeDeadLetters, purgeQueue, push, requeue } from './operator.ts'
import { redefine } from './redefine.ts'
import { spend } from './spend.ts'
import { startRun } from './start-run.ts'

export const allScripts: readonly Script[] = [
  startRun,
  redefine,
  acquire,
  renew,
  release,
  wake,
  claim,
  commit,
  commitRequest,
  complete,
  define,
  delay,
  devCache,
  intake,
  spend,
  push,
  requeue,
  purgeDeadLetters,
  purgeQueue,
  desire,
  attend,
  time,
]
