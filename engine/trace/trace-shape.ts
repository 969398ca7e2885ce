/** What lines must look like to be read: whoever replays them relies on every part. Checked by hand: there are millions. */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'

type Fits = (value: Json | undefined) => boolean

const isText: Fits = value => typeof value === 'string'
const isNumber: Fits = value => typeof value === 'number'
const isFlag: Fits = value => typeof value === 'boolean'
const isAnything: Fits = () => true
const isJsonText: Fits = value => {
  if (typeof value !== 'string') return false
  try {
    JSON.parse(value)
    return true
  } catch {
    return false
  }
}

const orNull =
  (fits: Fits): Fits =>
  value =>
    value === null || fits(value)
const optional =
  (fits: Fits): Fits =>
  value =>
    value === undefined || fits(value)
const listOf =
  (fits: Fits): Fits =>
  value =>
    Array.isArray(value) && value.every(fits)
const mapOf =
  (fits: Fits): Fits =>
  value =>
    isJsonObject(value) && Object.values(value).every(fits)

function objectOf(fields: Record<string, Fits>): Fits {
  const entries = Object.entries(fields)
  return value => isJsonObject(value) && entries.every(([key, fits]) => fits(value[key]))
}

/** By the value of one of its fields. */
function oneOf(field: string, kinds: Record<string, Fits>): Fits {
  return value => {
    const kind = isJsonObject(value) ? value[field] : undefined
    return typeof kind === 'string' && Object.hasOwn(kinds, kind) && kinds[kind]?.(value) === true
  }
}

const error = objectOf({ name: isText, code: isText, message: isText })
const item = objectOf({ id: isText, data: isJsonObject, metadata: isJsonObject })
const call = objectOf({ at: isText, op: isText, ask: isJsonObject, answer: isAnything, error: optional(error) })
const operations = ['http', 'read', 'write', 'sleep', 'delay', 'timeout']

const step = oneOf('did', {
  complete: objectOf({
    at: isText,
    set: isJsonObject,
    unset: listOf(isText),
    id: optional(isText),
    metadata: optional(isJsonObject),
    route: isText,
  }),
  skip: objectOf({ at: isText }),
  fail: objectOf({ at: isText, error }),
})

/** By field of `TraceHeader`. */
export const headerShape: Record<string, Fits> = {
  engine: isText,
  hash: isText,
  source: value => value === 'recorded' || isJsonObject(value),
  workflow: objectOf({
    id: isText,
    nodes: listOf(objectOf({ id: isText, type: isText, data: isJsonObject })),
    edges: listOf(objectOf({ source: isText, target: isText })),
  }),
}

/** By field of `CommitLine`. */
export const commitShape: Record<string, Fits> = {
  time: isNumber,
  instance: isText,
  run: isText,
  loop: isText,
  replica: isNumber,
  iteration: isNumber,
  key: isText,
}

/** By field of `IterationLine`. */
export const iterationShape: Record<string, Fits> = {
  ...commitShape,
  prefix: isText,
  entry: orNull(
    objectOf({ key: isText, enqueuedAt: isNumber, suspect: isFlag, charges: isNumber, queue: isText, item }),
  ),
  reads: objectOf({ state: mapOf(orNull(isJsonText)), runtime: mapOf(orNull(isJsonText)) }),
  clock: mapOf(listOf(isNumber)),
  calls: listOf(oneOf('op', Object.fromEntries(operations.map(op => [op, call])))),
  steps: listOf(step),
  outcome: oneOf('as', {
    ok: isAnything,
    failed: objectOf({ node: isText, error }),
    none: objectOf({ until: orNull(isNumber) }),
  }),
  writes: objectOf({
    state: mapOf(isJsonText),
    runtime: mapOf(orNull(isJsonText)),
    delays: listOf(isText),
    pushes: listOf(objectOf({ at: isText, queue: isText })),
    response: optional(objectOf({ status: isNumber, headers: mapOf(isText), body: isAnything })),
  }),
}

/** The first field that is not as it must be. */
export function misshapen(line: JsonObject, shape: Record<string, Fits>): string | undefined {
  for (const key in shape) if (shape[key]?.(line[key]) !== true) return key
  return undefined
}
