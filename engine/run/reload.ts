/**
 * Another definition for a workflow in the middle of its run: asks Redis to put it in the place of the current one, again
 * and again until nobody holds what changes or goes. Until that one step nothing is different, and when it is refused,
 * nothing was.
 */
import { EngineError, type ErrorRecord } from '../errors.ts'
import type { FlowGraph } from '../graph/flow-graph.ts'
import { limits } from '../limits.ts'
import type { Ports } from '../ports.ts'
import { type RedefineAnswer, redefineRun } from '../store/redefine.ts'
import { retryTransient } from '../store/retry.ts'

export type LoopChange = { id: string; change: 'unchanged' | 'changed' | 'added' | 'removed' }

/**
 * `adopted`: another daemon had put it in place already. `unchanged`: it is what this one serves. `added`, `removed`: the
 * whole workflow. `refused`: `error` tells why, and the old definition goes on.
 */
export type ReloadReport = {
  workflow: string
  status: 'reloaded' | 'adopted' | 'unchanged' | 'added' | 'removed' | 'refused'
  loops: LoopChange[]
  error?: ErrorRecord
}

/** Loop by loop, in the order of the new definition, those that go last. */
export function changesBetween(before: FlowGraph, after: FlowGraph): LoopChange[] {
  const old = new Map(before.loops.map(loop => [loop.id, loop.hash]))
  const now = new Set(after.loops.map(loop => loop.id))
  const changes = after.loops.map(({ id, hash }): LoopChange => {
    if (!old.has(id)) return { id, change: 'added' }
    return { id, change: old.get(id) === hash ? 'unchanged' : 'changed' }
  })
  const gone = before.loops.filter(loop => !now.has(loop.id))
  return [...changes, ...gone.map(({ id }): LoopChange => ({ id, change: 'removed' }))]
}

export type ReloadHost = {
  ports: Ports
  /** What this process serves now. */
  before: FlowGraph
  /** Lets go of these loops here; does not wait until that is done. */
  letGo: (loops: readonly string[]) => void
  /** The workflow stops: a reload that is not through is given up. */
  stopped: AbortSignal
}

/** Errors: QUEUE_ORPHANED, RELOAD_FAILED, SCHEMA_TOO_NEW, REDIS_…. Then the old definition goes on. */
export async function putInPlace(after: FlowGraph, host: ReloadHost): Promise<'reloaded' | 'adopted'> {
  const { ports, before, letGo, stopped } = host
  const { clock } = ports
  const { drain_timeout_seconds, lease_seconds } = before.workflow.settings
  const untilMs = clock.monotonic() + 1000 * (drain_timeout_seconds + 2 * lease_seconds)
  const leaving = changesBetween(before, after).filter(({ change }) => change === 'changed' || change === 'removed')
  let expected = before.hash
  for (;;) {
    const answer = await ask(after, expected, host).catch(error => {
      throw stopped.aborted ? stops(after.workflow.id) : error
    })
    if (answer.kind === 'redefined') return 'reloaded'
    if (answer.kind === 'adopted' || answer.kind === 'none') return 'adopted'
    if (answer.kind === 'other') expected = answer.hash
    else if (answer.kind === 'held' && clock.monotonic() < untilMs) {
      letGo(leaving.map(({ id }) => id))
      await clock.sleep(limits.reloadPollMs, stopped).catch(() => undefined)
    } else throw refusal(after.workflow.id, answer)
    if (stopped.aborted) throw stops(after.workflow.id)
  }
}

function ask(after: FlowGraph, expected: string, { ports, stopped }: ReloadHost): Promise<RedefineAnswer> {
  const { redis, clock, host } = ports
  const how = { clock, signal: stopped, pauseMsMax: limits.producerPauseMs }
  return retryTransient(how, () =>
    redefineRun(redis, after, { expected, yieldMs: limits.yieldMs, now: clock.now(), host }),
  )
}

function stops(workflow: string): EngineError {
  return new EngineError('RELOAD_FAILED', `${cannot(workflow)}: it stops`)
}

function cannot(workflow: string): string {
  return `Cannot reload workflow "${workflow}", its old definition goes on`
}

function refusal(workflow: string, answer: RedefineAnswer): EngineError {
  if (answer.kind === 'orphans') {
    const names = answer.queues.map(name => `"${name}"`).join(', ')
    const what = `no loop would read ${answer.queues.length > 1 ? 'the queues' : 'the queue'} ${names} any more, with items in it`
    return new EngineError('QUEUE_ORPHANED', `${cannot(workflow)}: ${what}; let it run empty, or purge it`)
  }
  if (answer.kind === 'too-new') {
    return new EngineError('SCHEMA_TOO_NEW', `${cannot(workflow)}: its keys were written by a newer version; upgrade`)
  }
  const held = answer.kind === 'held' ? answer.replicas.join(', ') : ''
  return new EngineError('RELOAD_FAILED', `${cannot(workflow)}: replica ${held} was not let go of in time; try again`)
}
