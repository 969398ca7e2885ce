/** `dlq list|show|requeue|purge`: the items that failed, why, and what becomes of them. */
import { EngineError } from '../../engine/errors.ts'
import { dropDeadLetters, listDeadLetters, requeueDeadLetter, showDeadLetter } from '../../engine/store/inspect.ts'
import type { DeadLetter } from '../../engine/trace/events.ts'
import type { Output } from '../output.ts'
import { type CommonOptions, findWorkflow, withRedis } from '../session.ts'
import { systemClock } from '../system-ports.ts'
import { type AddCommand, short, wholeNumber, withDataOption, withJson, withNodes, withRedisOption } from './command.ts'

type Options = CommonOptions & { limit?: number }
type Target = { workflow: string; ids: readonly string[] }

const shownInText = 20

export const addDeadLetters: AddCommand = (program, register) => {
  const group = program.command('dlq').description('dead letters: the items that failed, and why')
  const add = (name: string, description: string) =>
    withNodes(withDataOption(withRedisOption(withJson(group.command(name).description(description))))).argument(
      '<workflow>',
      'its id, or its file',
    )
  const lister = add('list', 'all dead letters, oldest first').option(
    '--limit <n>',
    `how many (0: all; default ${shownInText}, with --json all)`,
    wholeNumber,
  )
  register(lister, (out, [workflow], options) => list(out, workflow, options))
  register(add('show', 'dead letters in full').argument('<ids...>'), (out, [workflow, ids], options) =>
    show(out, { workflow, ids }, options),
  )
  const requeuer = add('requeue', 'put items back where they came from, once; all without an ID').argument('[ids...]')
  register(requeuer, (out, [workflow, ids], options) => requeue(out, { workflow, ids }, options))
  const purger = add('purge', 'drop dead letters for good; all without an ID').argument('[ids...]')
  register(purger, (out, [workflow, ids], options) => purge(out, { workflow, ids }, options))
}

async function list(out: Output, word: string, options: Options): Promise<number> {
  const { id } = await findWorkflow(word, options)
  const letters = await withRedis(options, out, redis => listDeadLetters(redis, id))
  const limit = options.limit ?? (out.format === 'json' ? 0 : shownInText)
  const shown = limit === 0 ? letters : letters.slice(0, limit)
  for (const letter of shown) out.json(withoutStack(letter))
  if (letters.length === 0) out.text(`workflow ${id} has no dead letters here`)
  else {
    const rows = shown.map(letter => {
      const { code, message } = letter.error
      return [letter.id, letter.loop, letter.node, code, short(message, 120)]
    })
    out.table(['id', 'loop', 'node', 'code', 'why'], rows)
    if (shown.length < letters.length) out.text(`… and ${letters.length - shown.length} more (--limit 0 shows all)`)
    out.text(`\nTry: theoneeye dlq show ${id} ID, theoneeye dlq requeue ${id} ID`)
  }
  return 0
}

/** The record as spec 1.6 has it; `queue`, where a requeued item goes, is ours. */
function withoutStack(letter: DeadLetter): object {
  const { stack: _, ...error } = letter.error
  return { ...letter, error }
}

async function show(out: Output, { workflow, ids }: Target, options: Options): Promise<number> {
  const { id } = await findWorkflow(workflow, options)
  await withRedis(options, out, async redis => {
    for (const each of ids) {
      const letter = await showDeadLetter(redis, id, each)
      out.json(letter)
      out.text(JSON.stringify(letter, null, 2))
    }
  })
  return 0
}

async function requeue(out: Output, { workflow, ids }: Target, options: Options): Promise<number> {
  const { id } = await findWorkflow(workflow, options)
  return withRedis(options, out, async redis => {
    const wanted = ids.length > 0 ? ids : (await listDeadLetters(redis, id)).map(letter => letter.id)
    let missing = 0
    for (const each of wanted) {
      try {
        const { queue, read } = await requeueDeadLetter(redis, id, each, systemClock())
        if (!read) out.note(`warning: no loop of "${id}" reads queue "${queue}": the item waits there`)
        out.json({ type: 'requeued', id: each, queue })
        out.text(`requeued ${each} to queue ${queue}`)
      } catch (error) {
        if (!(error instanceof EngineError) || error.code !== 'DEAD_LETTER_UNKNOWN') throw error
        missing += 1
        out.error(error)
      }
    }
    if (wanted.length === 0) out.text(`workflow ${id} has no dead letters here`)
    return missing > 0 ? 2 : 0
  })
}

async function purge(out: Output, { workflow, ids }: Target, options: Options): Promise<number> {
  const { id } = await findWorkflow(workflow, options)
  const purged = await withRedis(options, out, redis => dropDeadLetters(redis, id, ids))
  out.json({ type: 'purged', count: purged })
  out.text(`dropped ${purged} dead letters`)
  return 0
}
