/**
 * What a workflow and its loops shall be doing, as anybody may ask for it: it is kept in Redis, and whoever serves the
 * workflow, now or later, obeys. A wish outlives the process that asked, and those that were asked.
 */
import { assert, EngineError } from '../errors.ts'
import type { Redis } from '../ports.ts'
import { knownWorkflows, workflowPrefix } from './keys.ts'
import { attend } from './scripts/attend.ts'
import { desire } from './scripts/operator.ts'
import { listArg } from './scripts/prelude.ts'

/**
 * '' is no wish: a daemon goes on with what is unfinished, and begins what never ran. `run:` and `try:` are events, each
 * with a token of its own: begin a run; have a loop go on, also one that was given up. Who has seen a token obeys it no more.
 */
export type Wish = '' | 'pause' | 'stop' | 'kill' | `run:${string}` | `try:${string}`

/** `yield`: let go of the loop, because it is being redefined; nobody wishes for that, a reload asks for it. */
export type LoopWish = Wish | 'yield'

/** What the status of the run was when the wish was put down; '' when the workflow never ran. */
export type RunStatus = '' | 'running' | 'completed'

/**
 * Puts down what a loop (or, with '', the workflow) shall be doing. With `instead`, only when that is wished now; else
 * `differs` tells what is. The wish for a run is to go on with the one that is unfinished, if there is one.
 */
export async function setWish(
  redis: Redis,
  target: { workflow: string; loop: string },
  wish: Wish,
  instead: Wish | '*' = '*',
): Promise<{ status: RunStatus } | { differs: Wish }> {
  const answer = (await redis.call(desire, [workflowPrefix(target.workflow)], [target.loop, wish, instead])) as string
  const [word, rest = ''] = answer.split('\n')
  assert(word === 'ok' || word === 'differs', () => `desire answers one of its words, not "${word}"`)
  return word === 'ok' ? { status: rest as RunStatus } : { differs: rest as Wish }
}

/** How a workflow is doing in Redis, and what it shall be doing. `run` is '' when it never ran. */
export type Told = {
  /** As it came. */
  text: string
  status: RunStatus
  run: string
  hash: string
  wish: Wish
  /** Only loops of which something is wished. */
  loops: ReadonlyMap<string, LoopWish>
}

/**
 * What a daemon says of itself, as one line; undefined: it goes. `staleMs`: other daemons without a sign of life for so
 * long are dropped.
 */
export type SignOfLife = { id: string; about: string | undefined; staleMs: number }

/**
 * Gives a sign of life, and tells of these workflows, in their order. `before`: what was told last; of hundreds of
 * workflows hardly one is told anything new.
 */
export async function attendTo(
  redis: Redis,
  sign: SignOfLife,
  workflows: readonly string[],
  before: readonly Told[] = [],
): Promise<Told[]> {
  const args = [sign.id, sign.about ?? '', String(sign.staleMs), ...listArg(workflows.map(workflowPrefix))]
  const answer = await redis.call(attend, [], args)
  if (!Array.isArray(answer)) throw new EngineError('REDIS_FAILED', `attend answers with a list, not "${answer}"`)
  const [, ...texts] = answer as string[]
  return texts.map((text, i) => (before[i]?.text === text ? before[i] : parseTold(text)))
}

function parseTold(text: string): Told {
  const [status = '', run = '', hash = '', wish = '', ...lines] = text.split('\n')
  const loops = lines.map(line => line.split('\t') as [string, LoopWish])
  return { text, status: status as RunStatus, run, hash, wish: wish as Wish, loops: new Map(loops) }
}

/** Of these workflows, those that never ran wait until somebody starts them. What was asked of one stays. */
export async function letRest(redis: Redis, workflows: readonly string[]): Promise<void> {
  const known = new Set(await redis.smembers(knownWorkflows))
  const fresh = workflows.filter(id => !known.has(workflowPrefix(id)))
  await Promise.all(fresh.map(workflow => setWish(redis, { workflow, loop: '' }, 'stop', '')))
}
