/**
 * `queue list|peek|push|purge`: what waits in a workflow's queues, and putting items in or out by hand. Looking never
 * takes anything; a push is all or nothing, and counts as one even when its answer is lost.
 */
import { readFile } from 'node:fs/promises'
import { EngineError, messageOf } from '../../engine/errors.ts'
import { isJsonObject, type JsonObject } from '../../engine/json.ts'
import { listQueues, peekQueue, purgeItems, pushToQueue } from '../../engine/store/inspect.ts'
import type { Output } from '../output.ts'
import { type CommonOptions, findWorkflow, withRedis } from '../session.ts'
import { systemClock, systemRandom } from '../system-ports.ts'
import {
  type AddCommand,
  dataDirDefault,
  short,
  wholeNumber,
  withDataOption,
  withJson,
  withNodes,
  withRedisOption,
} from './command.ts'

const shownInText = 10

export const addQueue: AddCommand = (program, register) => {
  const group = program.command('queue').description('look into the queues of a workflow, push to them, empty them')
  const declare = (name: string, description: string) => {
    const command = group.command(name).description(description).argument('<workflow>', 'its id, or its file')
    return withNodes(withJson(command))
  }
  const add = (name: string, description: string) => withDataOption(withRedisOption(declare(name, description)))
  register(add('list', 'all queues: length, claimed items, age of the oldest'), (out, [workflow], options) =>
    list(out, workflow, options),
  )
  const peek = add('peek', 'the items that wait, oldest first; claimed ones are not shown')
    .argument('<queue>', 'its name')
    .option('--limit <n>', `how many (0: all; default ${shownInText}, with --json all)`, wholeNumber)
  register(peek, (out, [workflow, queue], options) => show(out, { workflow, queue }, options))
  const push = withRedisOption(declare('push', 'append items'))
    .argument('<queue>', 'its name')
    .requiredOption(
      '--data <json>',
      'one JSON object, or JSON Lines of them, or @FILE; also, a second time, the folder of the embedded Redis',
      (value: string, before: string[] = []) => [...before, value],
    )
  register(push, (out, [workflow, queue], options) => append(out, { workflow, queue }, options))
  const purge = add('purge', 'remove all items that wait').argument('<queue>', 'its name')
  register(purge, (out, [workflow, queue], options) => empty(out, { workflow, queue }, options))
}

type Target = { workflow: string; queue: string }

async function list(out: Output, word: string, options: CommonOptions): Promise<number> {
  const { id } = await findWorkflow(word, options)
  const queues = await withRedis(options, out, redis => listQueues(redis, id, systemClock().now()))
  for (const queue of queues) out.json(queue)
  if (queues.length === 0) out.text(`workflow ${id} has no queues here; run it first`)
  else {
    const rows = queues.map(queue => [queue.name, queue.length, queue.claimed, age(queue.oldest_age)])
    out.table(['queue', 'length', 'claimed', 'oldest'], rows)
  }
  return 0
}

async function show(out: Output, target: Target, options: CommonOptions & { limit?: number }): Promise<number> {
  const { id } = await findWorkflow(target.workflow, options)
  const limit = options.limit ?? (out.format === 'json' ? 0 : shownInText)
  const items = await withRedis(options, out, redis => peekQueue(redis, id, target.queue, limit))
  for (const item of items) {
    out.json(item)
    out.text(
      `${out.bold(item.id)}  ${new Date(item.enqueued_at).toISOString()}  ${short(JSON.stringify(item.data), 400)}`,
    )
  }
  if (items.length === 0) out.text(`queue ${target.queue} is empty`)
  return 0
}

/** The contract has `--data` twice: the items here, the folder everywhere. What is JSON or @FILE is items. */
async function append(out: Output, target: Target, words: Omit<CommonOptions, 'data'> & { data: string[] }) {
  const isItems = (word: string): boolean => /^\s*[{["@]/.test(word)
  const options = { ...words, data: words.data.findLast(word => !isItems(word)) ?? dataDirDefault }
  const items = (await Promise.all(words.data.filter(isItems).map(parseItems))).flat()
  if (items.length === 0) {
    throw new EngineError(
      'USAGE',
      `Cannot push to queue "${target.queue}": --data holds no JSON object; give {…} or @FILE`,
    )
  }
  const { id } = await findWorkflow(target.workflow, options)
  const origin = { nonce: systemRandom().nonce('push'), now: systemClock().now() }
  const pushed = await withRedis(options, out, redis =>
    pushToQueue(redis, { workflow: id, queue: target.queue }, items, origin),
  )
  out.json({ type: 'pushed', queue: target.queue, count: pushed })
  out.text(`pushed ${pushed} items to queue ${target.queue}`)
  return 0
}

async function empty(out: Output, { workflow, queue }: Target, options: CommonOptions): Promise<number> {
  const { id } = await findWorkflow(workflow, options)
  const purged = await withRedis(options, out, redis => purgeItems(redis, id, queue))
  out.json({ type: 'purged', queue, count: purged })
  out.text(`removed ${purged} items from queue ${queue}`)
  return 0
}

/** One JSON object, or one per line. Rejects with `USAGE`, naming the line. */
async function parseItems(text: string): Promise<JsonObject[]> {
  const source = text.startsWith('@') ? await readData(text.slice(1)) : text
  const whole = tryParse(source)
  if (isJsonObject(whole)) return [whole]
  const lines = source.split('\n').map((line, i) => ({ line: line.trim(), number: i + 1 }))
  return lines.filter(({ line }) => line !== '').map(({ line, number }) => parseItem(line, number))
}

function parseItem(line: string, number: number): JsonObject {
  const value = tryParse(line)
  if (isJsonObject(value)) return value
  throw new EngineError(
    'USAGE',
    `Cannot push line ${number} of the data: ${short(line, 60)} is not a JSON object; correct it`,
  )
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readData(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(error => {
    throw new EngineError('USAGE', `Cannot read data from "${path}": ${messageOf(error)}; name a file after the @`)
  })
}

function age(seconds: number | null): string {
  if (seconds === null) return '–'
  if (seconds < 120) return `${seconds.toFixed(0)} s`
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(0)} h`
}
