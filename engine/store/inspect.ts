/** Queues and dead letters as an operator sees and handles them (spec 4.1 `queue`, `dlq`); loops never come here. */
import { EngineError } from '../errors.ts'
import { type JsonObject, utf8Bytes } from '../json.ts'
import { limits } from '../limits.ts'
import { freezeJson } from '../node/node.ts'
import type { Clock, Redis } from '../ports.ts'
import type { DeadLetter } from '../trace/events.ts'
import { decodeClaim, decodeEntry, encodeEntry, encodeItem } from './entry.ts'
import { keysOf, requeueQueue, workflowPrefix } from './keys.ts'
import { purgeDeadLetters, purgeQueue, push, requeue } from './scripts/operator.ts'
import { listArg } from './scripts/prelude.ts'

export type QueueInfo = {
  name: string
  length: number
  claimed: number /** seconds; null when empty */
  oldest_age: number | null
}
export type QueuedItem = {
  id: string
  data: JsonObject
  metadata: JsonObject /** epoch milliseconds */
  enqueued_at: number
}

/** Every queue the workflow ever declared or got items for; empty requeue queues are left out. */
export async function listQueues(redis: Redis, workflow: string, now: number): Promise<QueueInfo[]> {
  const keys = keysOf(workflow)
  const claimed = await countClaims(redis, workflow)
  const infos: QueueInfo[] = []
  for (const name of (await redis.smembers(keys.queues)).sort()) {
    const length = await redis.llen(keys.queue(name))
    const [oldest] = await redis.lrange(keys.queue(name), 0, 0)
    const info = {
      name,
      length,
      claimed: claimed.get(name) ?? 0,
      oldest_age: oldest === undefined ? null : Math.max(0, now - decodeEntry(oldest).enqueuedAt) / 1000,
    }
    if (!name.startsWith(requeueQueue('')) || info.length + info.claimed > 0) infos.push(info)
  }
  return infos
}

async function countClaims(redis: Redis, workflow: string): Promise<Map<string, number>> {
  const keys = keysOf(workflow)
  const counts = new Map<string, number>()
  for (const replica of await redis.smembers(keys.replicas)) {
    for (const claim of await redis.lrange(keys.claims(replica), 0, -1)) {
      const { queue } = decodeClaim(claim)
      counts.set(queue, (counts.get(queue) ?? 0) + 1)
    }
  }
  return counts
}

/** The oldest items first, at most `limit` (0: all), without claimed ones. QUEUE_UNKNOWN names those there are. */
export async function peekQueue(redis: Redis, workflow: string, queue: string, limit: number): Promise<QueuedItem[]> {
  await requireQueue(redis, workflow, queue)
  const entries = await redis.lrange(keysOf(workflow).queue(queue), 0, limit - 1)
  return entries.map(decodeEntry).map(({ item, enqueuedAt }) => ({ ...item, enqueued_at: enqueuedAt }))
}

/** The oldest item of a queue as it lies there, or undefined; also when there is no such queue. */
export async function firstEntry(redis: Redis, workflow: string, queue: string): Promise<string | undefined> {
  return (await redis.lrange(keysOf(workflow).queue(queue), 0, 0))[0]
}

async function requireQueue(redis: Redis, workflow: string, queue: string): Promise<void> {
  const known = (await redis.smembers(keysOf(workflow).queues)).sort()
  if (known.includes(queue)) return
  const there =
    known.length === 0 ? 'it has none yet; run it first' : `it has ${known.map(name => `"${name}"`).join(', ')}`
  throw new EngineError('QUEUE_UNKNOWN', `Cannot find queue "${queue}" of workflow "${workflow}": ${there}`)
}

/**
 * Appends items, all or none. `nonce` names this push: repeated, it changes nothing. Items get `nonce-N` as their id.
 * Errors: QUEUE_UNKNOWN, QUEUE_FULL, PAYLOAD_TOO_LARGE, OUTPUT_NOT_JSON.
 */
export async function pushToQueue(
  redis: Redis,
  target: { workflow: string; queue: string },
  items: readonly JsonObject[],
  origin: { nonce: string; now: number },
): Promise<number> {
  await requireQueue(redis, target.workflow, target.queue)
  const entries = items.map((data, i) => encodePushed(data, `${origin.nonce}-${i + 1}`, origin.now))
  const args = [origin.nonce, target.queue, ...listArg(entries)]
  const answer = (await redis.call(push, [workflowPrefix(target.workflow)], args)) as string
  const [word, n, most] = answer.split('\n')
  if (word === 'pushed') return Number(n)
  const hint = `it holds ${n} of at most ${most} items; push fewer, or when it has drained`
  throw new EngineError('QUEUE_FULL', `Cannot push ${items.length} items to queue "${target.queue}": ${hint}`)
}

function encodePushed(data: JsonObject, id: string, now: number): string {
  freezeJson(data, () => `item "${id}"`)
  const payload = encodeItem({ id, data, metadata: {} })
  const bytes = utf8Bytes(payload)
  if (bytes <= limits.payloadBytesMax) return encodeEntry(id, now, payload)
  const most = `at most ${limits.payloadBytesMax} are allowed`
  throw new EngineError('PAYLOAD_TOO_LARGE', `Cannot push item "${id}": it has ${bytes} bytes, ${most}`)
}

/** Removes all items that wait in the queue (claimed ones go on); how many there were. */
export async function purgeItems(redis: Redis, workflow: string, queue: string): Promise<number> {
  await requireQueue(redis, workflow, queue)
  const answer = (await redis.call(purgeQueue, [workflowPrefix(workflow)], [queue])) as string
  return Number(answer.split('\n')[1])
}

/** Dead letters, the oldest first. */
export async function listDeadLetters(redis: Redis, workflow: string): Promise<DeadLetter[]> {
  const keys = keysOf(workflow)
  const records = await redis.hgetall(keys.deadLetters)
  const ids = await redis.lrange(keys.deadLetterOrder, 0, -1)
  return ids.flatMap(id => (records[id] === undefined ? [] : [JSON.parse(records[id]) as DeadLetter]))
}

export async function showDeadLetter(redis: Pick<Redis, 'hget'>, workflow: string, id: string): Promise<DeadLetter> {
  const record = await redis.hget(keysOf(workflow).deadLetters, id)
  if (record === null) throw unknownDeadLetter(workflow, id)
  return JSON.parse(record) as DeadLetter
}

function unknownDeadLetter(workflow: string, id: string): EngineError {
  const hint = `see "theoneeye dlq list ${workflow}"`
  return new EngineError(
    'DEAD_LETTER_UNKNOWN',
    `Cannot find dead letter "${id}" of workflow "${workflow}": it was requeued, purged or never there; ${hint}`,
  )
}

/** `read`: a loop of the definition that ran last serves the queue; else the item waits there for one that does. */
export type Requeued = { queue: string; read: boolean }

/** Puts the item back where it came from, once: a second call is DEAD_LETTER_UNKNOWN. */
export async function requeueDeadLetter(
  redis: Pick<Redis, 'hget' | 'call'>,
  workflow: string,
  id: string,
  clock: Pick<Clock, 'now'>,
): Promise<Requeued> {
  const letter = await showDeadLetter(redis, workflow, id)
  const queue = letter.queue ?? requeueQueue(letter.loop)
  const item = { id: letter.item.id, data: letter.item.data, metadata: letter.item.metadata }
  const entry = encodeEntry(letter.trace_id, clock.now(), encodeItem(item))
  const answer = await redis.call(requeue, [workflowPrefix(workflow)], [id, queue, letter.loop, entry])
  if (answer !== 'requeued') throw unknownDeadLetter(workflow, id)
  return { queue, read: (await redis.hget(keysOf(workflow).bells, queue)) !== null }
}

/** Drops the dead letters of these ids, or all; how many there were. */
export async function dropDeadLetters(redis: Redis, workflow: string, ids: readonly string[]): Promise<number> {
  const answer = (await redis.call(purgeDeadLetters, [workflowPrefix(workflow)], listArg(ids))) as string
  return Number(answer.split('\n')[1])
}
