/**
 * One body for all Redises: the same operations in the same order; after each one the reply (or the error's code) and
 * the whole keyspace of every arm must equal the first arm's. Only times of the server's clock may differ: they stand in
 * fields named `lease_until`, in `yields`, in front of what daemons say of themselves, at the end of the answers `held` and `yield`, and are the
 * answer of `time`.
 */
import { isDeepStrictEqual } from 'node:util'
import { codeOf, messageOf } from '../../engine/errors.ts'
import type { KeyDump } from '../../engine/memory-redis/keyspace.ts'
import type { Reply, Script } from '../../engine/ports.ts'
import { knownDaemons } from '../../engine/store/keys.ts'
import type { Arm } from './arms.ts'

export type Op =
  | { kind: 'call'; script: Script; keys: readonly string[]; args: readonly string[] }
  /** Only on a key that has one. */
  | { kind: 'take'; key: string }
  | { kind: 'full'; full: boolean }
  | { kind: 'disturb' }

/** Operations may depend on what is there: they are made one by one, looking at the first arm. */
export type MakeOp = () => Op | undefined

/** `resent`: an arm loses replies, so that calls are sent again. */
export type Replies = 'exact' | 'resent'

/** Returns the situations that were reached, one per operation. Rejects at the first difference. */
export async function runSequence(
  arms: readonly Arm[],
  ops: Iterable<Op | MakeOp>,
  replies: Replies = 'exact',
): Promise<string[]> {
  for (const arm of arms) {
    await arm.setFull?.(false)
    await arm.reset()
  }
  const reached: string[] = []
  for (const each of ops) {
    const op = typeof each === 'function' ? each() : each
    if (op === undefined || (op.kind === 'full' && !arms.every(arm => arm.setFull !== undefined))) continue
    reached.push(await compare({ arms, op, replies, index: reached.length }))
  }
  return reached
}

async function compare(step: { arms: readonly Arm[]; op: Op; replies: Replies; index: number }): Promise<string> {
  const { arms, op, replies, index } = step
  const seen: { arm: string; outcome: unknown; keys: KeyDump[] }[] = []
  for (const arm of arms) {
    const outcome = await outcomeOf(arm, op, replies)
    seen.push({ arm: arm.name, outcome, keys: (await arm.dump()).map(withoutTimes) })
  }
  const [first, ...others] = seen
  for (const other of others) {
    const where = `operation ${index}, ${describe(op)}: ${first?.arm} and ${other.arm} differ`
    if (!sameOutcome(other.outcome, first?.outcome)) {
      throw new Error(`${where} in the reply:\n${show(first?.outcome)}\n${show(other.outcome)}`)
    }
    const keys = differing(first?.keys ?? [], other.keys)
    if (keys.length > 0) throw new Error(`${where} in the keys:\n${keys.join('\n')}`)
  }
  return situation(op, first?.outcome)
}

/** What was reached, for a list of what must be: `commit full`, `claim REDIS_WRONG_TYPE`. */
function situation(op: Op, outcome: unknown): string {
  if (op.kind !== 'call') return op.kind
  if (outcome instanceof Failure) return `${op.script.name} ${outcome.code}`
  return `${op.script.name} ${String(Array.isArray(outcome) ? outcome[0] : outcome).split('\n')[0]}`
}

async function outcomeOf(arm: Arm, op: Op, replies: Replies): Promise<unknown> {
  try {
    if (op.kind === 'call') return comparable(op, replies, await arm.call(op.script, op.keys, op.args))
    if (op.kind === 'take') return await arm.take(op.key)
    if (op.kind === 'full') await arm.setFull?.(op.full)
    else await arm.disturb?.()
    return null
  } catch (error) {
    return new Failure(error)
  }
}

/** Errors are equal when their codes are. */
class Failure {
  readonly code: string
  readonly message: string
  constructor(error: unknown) {
    this.code = codeOf(error) ?? 'none'
    this.message = messageOf(error)
  }
}

function sameOutcome(a: unknown, b: unknown): boolean {
  if (a instanceof Failure && b instanceof Failure) return a.code === b.code
  return isDeepStrictEqual(a, b)
}

function show(outcome: unknown): string {
  return outcome instanceof Failure ? `${outcome.code}: ${outcome.message}` : JSON.stringify(outcome)
}

/** What these answer depends on whether it is the first time: sent again, their replies may differ, the keys not. */
const answersOnce: ReadonlySet<string> = new Set([
  'requeue',
  'purge-dead-letters',
  'purge-queue',
  'start-run',
  'desire',
])

function comparable(op: Extract<Op, { kind: 'call' }>, replies: Replies, reply: Reply): unknown {
  if (op.script.name === 'time') return /^\d+$/.test(String(reply))
  if (replies === 'resent' && answersOnce.has(op.script.name)) return 'any'
  if (Array.isArray(reply)) return [comparableLine(replies, reply[0]), ...reply.slice(1)]
  return comparableLine(replies, reply)
}

function comparableLine(replies: Replies, line: unknown): unknown {
  if (typeof line !== 'string') return line
  const held = /^(held\n[\s\S]*\n|yield\n|(?:granted|spent)\n\d+\n)-?\d+$/.exec(line)
  const timeless = held === null ? line : `${held[1]}T`
  return replies === 'resent' ? timeless.replace(/^again\n/, '') : timeless
}

function withoutTimes(dump: KeyDump): KeyDump {
  if (dump.type !== 'hash') return dump
  if (dump.key.endsWith(':yields')) return { ...dump, value: dump.value.map(([loop]): [string, string] => [loop, 'T']) }
  return { ...dump, value: dump.value.map(dump.key === knownDaemons ? hideSeen : hideTime) }
}

function hideTime([field, value]: [string, string]): [string, string] {
  return [field, field === 'lease_until' ? 'T' : value]
}

function hideSeen([field, value]: [string, string]): [string, string] {
  return [field, value.replace(/^\d+\|/, 'T|')]
}

function differing(a: readonly KeyDump[], b: readonly KeyDump[]): string[] {
  const there = new Map(b.map(dump => [dump.key, dump]))
  const lines: string[] = []
  for (const dump of a) {
    if (!isDeepStrictEqual(there.get(dump.key), dump)) {
      lines.push(`- ${JSON.stringify(dump)}\n+ ${JSON.stringify(there.get(dump.key) ?? null)}`)
    }
    there.delete(dump.key)
  }
  for (const dump of there.values()) lines.push(`- null\n+ ${JSON.stringify(dump)}`)
  return lines
}

function describe(op: Op): string {
  if (op.kind === 'call') return `${op.script.name} ${JSON.stringify(op.keys)} ${JSON.stringify(op.args)}`
  return JSON.stringify(op)
}
