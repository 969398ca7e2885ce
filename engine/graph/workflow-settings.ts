/**
 * `settings` of a workflow file: every known key checked for type and range, defaults filled in. Unknown keys are the
 * user's own and ignored.
 */
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { limits } from '../limits.ts'
import type { LoopSettings, Settings } from './flow-graph.ts'
import { type Problems, pointerKey } from './problems.ts'

type Range = { min: number; max: number; kind: 'whole number' | 'number' }

const ranges = {
  max_length: { min: 0, max: 1_000_000_000, kind: 'whole number' },
  dead_letters_max: { min: 1, max: 10_000_000, kind: 'whole number' },
  max_deliveries: { min: 1, max: 1_000, kind: 'whole number' },
  drain_timeout_seconds: { min: 0, max: 86_400, kind: 'number' },
  lease_seconds: { min: 1, max: 3_600, kind: 'number' },
  replicas: { min: 1, max: 256, kind: 'whole number' },
  memory_mb: { min: 16, max: 1_048_576, kind: 'whole number' },
} as const satisfies Record<string, Range>

/** @param pointer where the settings stand in the file */
export function parseSettings(raw: Json | undefined, pointer: string, problems: Problems): Settings {
  const read = reader(problems)
  const settings = read.object(raw, pointer)
  const queues = read.object(settings.queues, `${pointer}/queues`)
  const deadLetters = read.object(settings.dead_letters, `${pointer}/dead_letters`)
  return {
    queues: {
      max_length: read.number(
        queues.max_length,
        `${pointer}/queues/max_length`,
        ranges.max_length,
        limits.queueLengthMax,
      ),
    },
    dead_letters: {
      max: read.number(deadLetters.max, `${pointer}/dead_letters/max`, ranges.dead_letters_max, limits.deadLettersMax),
    },
    loops: parseLoops(read.object(settings.loops, `${pointer}/loops`), `${pointer}/loops`, read),
    strict_templates: read.flag(settings.strict_templates, `${pointer}/strict_templates`),
    max_deliveries: read.number(
      settings.max_deliveries,
      `${pointer}/max_deliveries`,
      ranges.max_deliveries,
      limits.deliveriesMax,
    ),
    drain_timeout_seconds: read.number(
      settings.drain_timeout_seconds,
      `${pointer}/drain_timeout_seconds`,
      ranges.drain_timeout_seconds,
      limits.drainMs / 1000,
    ),
    lease_seconds: read.number(
      settings.lease_seconds,
      `${pointer}/lease_seconds`,
      ranges.lease_seconds,
      limits.leaseMs / 1000,
    ),
  }
}

function parseLoops(raw: JsonObject, pointer: string, read: Reader): Record<string, LoopSettings> {
  const entries = Object.entries(raw).map(([loop, value]): [string, LoopSettings] => {
    const at = `${pointer}${pointerKey(loop)}`
    const given = read.object(value, at)
    const settings: LoopSettings = {}
    const pool = read.pool(given.pool, `${at}/pool`)
    if (pool !== undefined) settings.pool = pool
    if (isGiven(given.replicas)) settings.replicas = read.number(given.replicas, `${at}/replicas`, ranges.replicas, 1)
    if (isGiven(given.memory_mb))
      settings.memory_mb = read.number(given.memory_mb, `${at}/memory_mb`, ranges.memory_mb, 0)
    return [loop, settings]
  })
  return Object.fromEntries(entries)
}

type Reader = ReturnType<typeof reader>

function reader(problems: Problems) {
  const refuse = (pointer: string, value: Json, wanted: string): void => {
    const code = typeof value === 'number' && wanted.includes('number') ? 'SETTING_RANGE' : 'SETTING_TYPE'
    problems.add(pointer, code, `must be ${wanted}, is ${shown(value)}`)
  }
  return {
    object(value: Json | undefined, pointer: string): JsonObject {
      if (!isGiven(value)) return {}
      if (isJsonObject(value)) return value
      refuse(pointer, value, 'an object')
      return {}
    },
    number(value: Json | undefined, pointer: string, range: Range, fallback: number): number {
      if (!isGiven(value)) return fallback
      const fits = typeof value === 'number' && value >= range.min && value <= range.max
      if (fits && (range.kind === 'number' || Number.isInteger(value))) return value
      refuse(pointer, value, `a ${range.kind} from ${range.min} to ${range.max}`)
      return fallback
    },
    flag(value: Json | undefined, pointer: string): boolean {
      if (isGiven(value) && typeof value !== 'boolean') refuse(pointer, value, 'true or false')
      return value === true
    },
    pool(value: Json | undefined, pointer: string): LoopSettings['pool'] {
      if (value === 'async' || value === 'thread' || value === 'process') return value
      if (isGiven(value)) refuse(pointer, value, '"async", "thread" or "process"')
      return undefined
    },
  }
}

/** null means the same as a missing key: editors write it. */
function isGiven(value: Json | undefined): value is Exclude<Json, null> {
  return value !== undefined && value !== null
}

/** A value as a message quotes it: short, and never walked into. */
export function shown(value: Json): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
