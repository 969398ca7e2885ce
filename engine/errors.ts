/**
 * Two kinds of wrong. A bug: `assert`, on in production too; it stops the loop it happens in and is reported as a crash.
 * Something expected (a bad form, Redis down, a node that threw): `EngineError` with a code of the table below.
 * Grammar of messages: what could not be done, values quoted, current and wanted state, what to do, no final period.
 */
import { limits } from './limits.ts'

const codes = {
  // workflow files (1.1)
  WORKFLOW_INVALID: 'a workflow file has problems; each is listed',
  WORKFLOW_CHANGED: 'an unfinished run belongs to another definition of this workflow',
  VERSION_CONFLICT: 'somebody else changed the definition meanwhile',
  WORKFLOW_RUNNING: 'the workflow runs elsewhere, so its state cannot be discarded',
  QUEUE_ORPHANED: 'a change would leave items in a queue that no loop reads any more',
  RELOAD_FAILED: 'another definition could not be put in the place of the one that runs',
  WORKFLOW_UNKNOWN: 'there is no workflow of this id on this Redis',
  LOOP_UNKNOWN: 'a workflow has no loop of this name',
  // nodes (1.2, 1.6)
  NODE_FAILED: 'a node threw',
  NODE_CLASS_INVALID: 'a node class contradicts itself or another one',
  NODE_TIMEOUT: 'a node ran longer than its time-out',
  FORM_INVALID: 'a form is invalid after rendering',
  OUTPUT_NOT_JSON: 'a node put out something that is not JSON',
  ROUTE_UNKNOWN: 'a conditional chose a branch that it does not declare',
  ITERATION_ENDED: 'a node used its context after its iteration had ended',
  ITERATION_ABORTED: 'the iteration was aborted: another node failed, or the loop stops',
  PAYLOAD_TOO_LARGE: 'an item or an iteration is larger than its limit',
  LIMIT_PASSED: 'a limit of the engine was passed',
  POISON: 'an item took its worker down too often',
  RESPONDED: 'two nodes answered the same request',
  API_TIMEOUT: 'a request took longer than its time-out',
  DRAINING: 'the daemon stops, and begins nothing new',
  OVERLOADED: 'as many requests run as may run at once',
  WORKER_DIED: 'the worker that a loop ran in ended before the loop did',
  WORKER_REFUSED: 'a worker speaks another version, or knows another definition',
  LOOP_STALLED: 'a loop neither polled nor committed while it should',
  NOT_SUPPORTED: 'something this version or this mode does not do',
  // development mode (1.9)
  NODE_UNKNOWN: 'a workflow has no node of this id',
  NO_INPUT: 'a node was run alone, and there is nothing to run it on',
  // templates (1.11)
  TEMPLATE_SYNTAX: 'a template or condition does not parse',
  TEMPLATE_FAILED: 'a template failed while it was rendered',
  TEMPLATE_BUDGET: 'a template passed a limit of steps, range, output or nesting',
  // outside
  FILE_FAILED: 'a file could not be read or written',
  FILE_OUTSIDE: 'a path leads out of the files directory',
  HTTP_FAILED: 'an HTTP request got no answer',
  // Redis (1.5)
  REDIS_UNAVAILABLE: 'Redis cannot be reached',
  REDIS_LOADING: 'Redis is loading its data',
  REDIS_READONLY: 'Redis is a read-only replica',
  REDIS_OUT_OF_MEMORY: 'Redis has no memory left for writes',
  REDIS_AUTH: 'Redis refuses the user or password',
  REDIS_WRONG_TYPE: 'a key holds something else than the engine expects',
  REDIS_FAILED: 'Redis answered with an error',
  FENCED: 'another holder has taken this replica over',
  DIVERGED: 'Redis is not where this replica left it',
  SCHEMA_TOO_NEW: 'the keys were written by a newer version',
  SCHEMA_TOO_OLD: 'the data were written by an older version that this one cannot read',
  // the embedded Redis (4.1)
  JOURNAL_CORRUPT: 'the journal of the embedded Redis is damaged',
  JOURNAL_LOCKED: 'another process uses the data directory',
  JOURNAL_FAILED: 'the journal of the embedded Redis cannot be written',
  // queues and dead letters
  QUEUE_FULL: 'a queue is at its limit',
  QUEUE_UNKNOWN: 'a workflow has no queue of this name',
  DEAD_LETTER_UNKNOWN: 'there is no dead letter of this id',
  // command line
  CONFIG_INVALID: 'the configuration of the daemon has problems; each is listed',
  REDIS_UNSUITABLE: 'this Redis is too old, or would lose data silently',
  USAGE: 'the command was called with words it does not take',
  BUG: 'an assertion of the engine does not hold',
} as const

export type ErrorCode = keyof typeof codes

/** What each code means, for documentation and for `--help`. */
export const errorCodes: Readonly<Record<ErrorCode, string>> = codes

/** Something that may be expected to go wrong, with a code that programs can act on. */
export class EngineError extends Error {
  readonly code: ErrorCode
  /** Further facts as plain JSON-like values, e.g. the problems of a workflow file. */
  readonly details: unknown

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'EngineError'
    this.code = code
    this.details = options.details
  }
}

/** A broken assertion: a bug of the engine, never of its user. */
export class AssertionError extends Error {
  readonly code = 'BUG'
  constructor(message: string) {
    super(message)
    this.name = 'AssertionError'
  }
}

/** Stops the loop when the engine contradicts itself. The message is built only on failure. */
export function assert(condition: unknown, message: () => string): asserts condition {
  if (!condition) throw new AssertionError(message())
}

/** The code of anything thrown: an EngineError's own, a host error's (`ENOENT`), or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** A text for anything thrown, whatever it is. Never throws itself. */
export function messageOf(error: unknown): string {
  return textOf(() => (error instanceof Error ? error.message : error))
}

function textOf(read: () => unknown): string {
  try {
    return String(read()).slice(0, limits.errorTextMax)
  } catch {
    return 'something that has no text'
  }
}

/** An error as plain data, as it stands in events and dead letters (1.6). */
export type ErrorRecord = { name: string; code: string; message: string; stack?: string }

/** `NODE_FAILED` is the code of whatever a node threw without one. Never throws. */
export function toErrorRecord(error: unknown): ErrorRecord {
  const record = { code: codeOf(error) ?? 'NODE_FAILED', message: messageOf(error) }
  if (!(error instanceof Error)) return { name: 'Error', ...record }
  const stack = error.stack === undefined ? {} : { stack: textOf(() => error.stack) }
  return { name: textOf(() => error.name), ...record, ...stack }
}
