/**
 * Loading never stops at the first problem: every step adds what it finds to one list and goes on with the rest. Each
 * problem says where (a JSON pointer into the file as given), what is wrong, and, where that helps, what to do.
 */
import type { Problem } from './flow-graph.ts'

const codes = {
  NOT_JSON: 'the file is not JSON',
  WRONG_SHAPE: 'a key is missing or holds another kind of value',
  TOO_DEEP: 'the JSON is nested too deeply',
  TOO_MANY_NODES: 'the workflow is larger than the engine takes',
  MISSING_ID: 'neither the file nor its name gives an id',
  INVALID_NAME: 'an id is too long or holds characters that cannot be in one',
  DUPLICATE_ID: 'two nodes or two edges have the same id',
  SETTING_TYPE: 'a setting has the wrong type',
  SETTING_RANGE: 'a setting is out of range',
  TIMEOUT: 'config.timeout_seconds is no positive number',
  UNKNOWN_TYPE: 'no node class has this name',
  UNSUPPORTED_TYPE: 'this node does not work in this type of workflow',
  PORTS_FAILED: 'a custom node threw when asked for its branches',
  MISSING_NODE: 'an edge names a node that does not exist',
  DUPLICATE_EDGE: 'two edges join the same nodes by the same branch',
  UNKNOWN_PORT: 'the source of an edge does not offer this branch',
  QUEUE_EDGE: 'something other than a queue writer leads to a queue reader',
  EDGE_INTO_PRODUCER: 'an edge leads into a node that has no input',
  QUEUE_NAME: 'a queue name is not usable',
  QUEUE_NAMES_DIFFER: 'writer and reader of an edge name different queues',
  QUEUE_NAME_TAKEN: 'two different queues would get the same name',
  NO_QUEUE: 'a queue node has neither edge nor queue_name',
  CYCLE: 'execution edges form a cycle',
  NO_PRODUCER: 'nothing starts a loop',
  TOO_MANY_PRODUCERS: 'an api workflow has more than one producer',
  FORBIDDEN_JOIN: 'a node joins paths of different transactions',
  BODY_ENTERED: 'the body of a loop node is entered from outside',
  BODY_TOO_DEEP: 'loop nodes are nested too deeply',
  NON_BLOCKING_IN_BODY: 'something follows a non-blocking node within a body',
  LOOP_ID_TAKEN: 'two loops would get the same id',
  REPLICAS: 'a loop that keeps state has several replicas',
  UNREACHABLE: 'warning: a node that never runs',
  UNKNOWN_LOOP: 'warning: settings for a loop that does not exist',
  CYCLE_OF_LOOPS: 'warning: queues within a cycle of loops have no limit',
  SHARED_QUEUE: 'warning: several readers share one queue',
} as const

export type ProblemCode = keyof typeof codes

/** What each code of a load means; problems of a form have the form's own codes. */
export const problemCodes: Readonly<Record<ProblemCode, string>> = codes

/** What the steps of a load collect. The same problem found twice (by two loops that share a node) is kept once. */
export class Problems {
  readonly list: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #seen = new Set<string>()

  add(pointer: string, code: ProblemCode, message: string, hint?: string): void {
    this.addOfField(pointer, { code, message, ...(hint === undefined ? {} : { hint }) })
  }

  /** A problem that a form found in one of its fields. */
  addOfField(pointer: string, problem: Omit<Problem, 'pointer'>): void {
    this.#push(this.list, { pointer, ...problem })
  }

  warn(pointer: string, code: ProblemCode, message: string, hint?: string): void {
    this.#push(this.warnings, { pointer, code, message, ...(hint === undefined ? {} : { hint }) })
  }

  #push(list: Problem[], problem: Problem): void {
    const key = JSON.stringify(problem)
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    list.push(problem)
  }
}

/** One key of a JSON pointer, escaped as RFC 6901 says. */
export function pointerKey(key: string | number): string {
  return `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** The line that people read: `/nodes/3/type: unknown node type "http-reqest"; did you mean "http-request"?` */
export function formatProblem(problem: Problem): string {
  const where = problem.pointer === '' ? 'workflow' : problem.pointer
  return `${where}: ${problem.message}${problem.hint === undefined ? '' : `; ${problem.hint}`}`
}

/** `"a", "b" and "c"`, cut after eight: a message is read by people. */
export function quoted(names: readonly string[], word = 'and'): string {
  const shown = names.slice(0, 8).map(name => `"${name}"`)
  if (names.length > 8) return `${shown.join(', ')} ${word} ${names.length - 8} more`
  return shown.length < 2 ? (shown[0] ?? '') : `${shown.slice(0, -1).join(', ')} ${word} ${shown.at(-1)}`
}
