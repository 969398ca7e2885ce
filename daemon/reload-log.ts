/** What a reload did, for people: one line for each loop that is concerned, or why nothing was done. */
import type { LoopChange, ReloadReport } from '../engine/flow-daemon.ts'
import type { Log } from '../engine/ports.ts'

const changes: Readonly<Record<LoopChange['change'], string>> = {
  unchanged: 'loop unchanged: it goes on untouched',
  changed: 'loop changed: it was drained, and goes on by its new definition',
  added: 'loop added: it is served from now on',
  removed: 'loop removed: it was drained and has stopped',
}

export function sayReload(log: Log, reports: readonly ReloadReport[]): void {
  for (const { workflow, status, loops, error } of reports) {
    if (error !== undefined) log.write('error', error.message, { workflow, code: error.code })
    else if (status === 'unchanged') log.write('debug', 'workflow unchanged: it goes on untouched', { workflow })
    else for (const { id, change } of loops) log.write('info', changes[change], { workflow, loop: id })
  }
}
