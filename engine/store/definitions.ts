/**
 * Workflow definitions that live in Redis, whoever edits them: each with a version, so that two editors never overwrite
 * each other unseen. What is kept is the file as it was given, and what an editor says about it.
 */
import { EngineError } from '../errors.ts'
import type { JsonObject } from '../json.ts'
import type { Redis } from '../ports.ts'
import { definitions, sharedPrefix } from './keys.ts'
import { define } from './scripts/define.ts'

/** Times are epoch milliseconds. `file` is a workflow file of any shape; `about` is free: description, tags, category. */
export type StoredDefinition = {
  id: string
  version: number
  createdAt: number
  updatedAt: number
  file: JsonObject
  /** False: it is kept and never runs. */
  active: boolean
  about: JsonObject
}

export type DefinitionBody = Pick<StoredDefinition, 'file' | 'active' | 'about'>

/** The version that a change expects: a number, `new` when there must be none, `any` when it does not matter. */
export type Expected = number | 'new' | 'any'

/** Counts every change of any definition: copies are good while it stays the same. */
export async function definitionsNumber(redis: Redis): Promise<string> {
  return (await redis.hget(definitions, '')) ?? '0'
}

export async function listDefinitions(redis: Redis): Promise<StoredDefinition[]> {
  const records = await redis.hgetall(definitions)
  return Object.entries(records)
    .filter(([id]) => id !== '')
    .map(([id, record]) => decode(id, record))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

export async function readDefinition(redis: Redis, id: string): Promise<StoredDefinition | undefined> {
  const record = await redis.hget(definitions, id)
  return record === null ? undefined : decode(id, record)
}

/** Writes a definition over the expected version; the version it has now. Errors: VERSION_CONFLICT, WORKFLOW_UNKNOWN. */
export async function writeDefinition(
  redis: Redis,
  id: string,
  body: DefinitionBody,
  how: { expected: Expected; now: number },
): Promise<number> {
  const { file, active, about } = body
  return await change(redis, id, JSON.stringify({ file, active, about }), how)
}

/** Removes a definition; its queues and dead letters stay. Errors: VERSION_CONFLICT, WORKFLOW_UNKNOWN. */
export async function removeDefinition(
  redis: Redis,
  id: string,
  how: { expected: Expected; now: number },
): Promise<void> {
  await change(redis, id, '', how)
}

async function change(
  redis: Redis,
  id: string,
  json: string,
  { expected, now }: { expected: Expected; now: number },
): Promise<number> {
  const answer = (await redis.call(define, [sharedPrefix], [id, String(expected), String(now), json])) as string
  const [word, version] = answer.split('\n')
  if (word === 'ok') return Number(version)
  if (word === 'missing') throw new EngineError('WORKFLOW_UNKNOWN', `Cannot find workflow "${id}"`)
  const wanted = expected === 'new' ? 'there is one already' : `you changed version ${expected}`
  const hint = expected === 'new' ? 'choose another id' : 'read it again and repeat the change'
  throw new EngineError(
    'VERSION_CONFLICT',
    `Cannot write workflow "${id}": ${wanted}, and it has version ${version}; ${hint}`,
  )
}

function decode(id: string, record: string): StoredDefinition {
  const [version, createdAt, updatedAt] = record.split('\n', 3)
  const json = record.slice(`${version}\n${createdAt}\n${updatedAt}\n`.length)
  const body = JSON.parse(json) as DefinitionBody
  return { id, version: Number(version), createdAt: Number(createdAt), updatedAt: Number(updatedAt), ...body }
}
