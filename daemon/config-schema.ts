/**
 * The keys of `theoneeye.yaml` (spec 4.4): their types, defaults, and the words that say what each wants. Everything
 * else (environment names, "did you mean", what may change while the daemon runs) is read off this one schema.
 */
import { z } from 'zod'
import { messageOf } from '../engine/errors.ts'
import { parseListen } from './listen.ts'
import { parseOutgoingRule } from './outgoing-policy.ts'
import { parseRedisUrl } from './redis-url.ts'

export type KeyMeta = {
  /** Completes "give …". */
  wants: string
  /** `path`: relative to the file that holds it. `secret`: never shown. */
  holds?: 'path' | 'secret'
  /** `reload`: taken over while the daemon runs; the others need a restart. */
  takes?: 'reload'
}

function key<T extends z.ZodType>(schema: T, meta: KeyMeta): T {
  return schema.meta(meta)
}

function path() {
  return z.string().min(1)
}

/** Takes what `parse` takes; its message becomes the problem's. */
function parsedBy(parse: (text: string) => unknown) {
  return z.string().superRefine((text, context) => {
    try {
      parse(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error).replace(/^Cannot .*?: /, '') })
    }
  })
}

/** Of `outgoing-policy.ts`. */
function rules() {
  return z.array(parsedBy(parseOutgoingRule)).default([])
}
const rulesWanted = 'a list of hosts, addresses and ranges: [api.example.com, "*.example.com", 10.0.0.0/8]'

function perMinute() {
  return z.int().min(0).max(1_000_000_000).optional()
}
const perMinuteWanted = 'a whole number, 0 for no limit'

const logLevels = ['debug', 'info', 'warn', 'error'] as const

export const configSchema = z.strictObject({
  redis: key(parsedBy(parseRedisUrl).optional(), {
    wants: 'a URL such as redis://127.0.0.1:6379/0, or leave it out for the embedded Redis',
    holds: 'secret',
  }),
  redis_accept: key(z.array(z.enum(['eviction'])).default([]), { wants: 'a list of risks to accept: [eviction]' }),
  data: key(path().default('.theoneeye'), { wants: 'a folder for the embedded Redis', holds: 'path' }),
  workflows: key(path().default('workflows'), { wants: 'the folder of the workflow files', holds: 'path' }),
  nodes: key(path().optional(), { wants: 'a folder of custom nodes', holds: 'path' }),
  files: key(path().default('files'), { wants: 'the folder that file nodes work in', holds: 'path' }),
  listen: key(parsedBy(parseListen).default('127.0.0.1:7878'), {
    wants: 'an address and port such as 127.0.0.1:7878',
  }),
  auth: key(z.enum(['optional', 'required']).default('optional'), {
    wants: 'required to have all requests need a key, or optional to ask for none on loopback',
  }),
  cors_origins: key(z.array(z.string().regex(/^https?:\/\/[^/\s*]+$/)).default([]), {
    wants: 'a list of origins whose pages may ask: [https://app.example.com]',
  }),
  rate_limit: z
    .strictObject({
      requests_per_minute: key(perMinute(), { wants: perMinuteWanted }),
      webhooks_per_minute: key(perMinute(), { wants: perMinuteWanted }),
    })
    .prefault({}),
  outgoing: z
    .strictObject({
      allow: key(rules(), { wants: rulesWanted }),
      deny: key(rules(), { wants: rulesWanted }),
      private: key(z.enum(['allow', 'deny']).optional(), { wants: 'allow or deny' }),
    })
    .prefault({}),
  lease_seconds: key(z.number().min(1).max(3_600).default(10), { wants: 'a number of seconds from 1 to 3600' }),
  drain_timeout_seconds: key(z.number().min(0).max(86_400).default(30), {
    wants: 'a number of seconds from 0 to 86400',
    takes: 'reload',
  }),
  log: z
    .strictObject({
      level: key(z.enum(logLevels).default('info'), { wants: `one of ${logLevels.join(', ')}`, takes: 'reload' }),
    })
    .prefault({}),
  trace: z
    .strictObject({
      dir: key(path().optional(), { wants: 'a folder for traces', holds: 'path' }),
      max_mb: key(z.int().min(1).max(1_000_000).default(512), { wants: 'a whole number of megabytes from 1' }),
      max_hours: key(z.int().min(1).max(8_760).optional(), { wants: 'a whole number of hours from 1' }),
      keep: key(z.int().min(1).max(10_000).default(10), { wants: 'a whole number of traces from 1' }),
      redact: key(z.array(z.string().min(1)).default([]), {
        wants: 'a list of keys such as [password, customer.email]',
      }),
    })
    .prefault({}),
})

/** What a program may give to `startDaemon`: the keys of `theoneeye.yaml`. */
export type ConfigInput = z.input<typeof configSchema>
/** A valid configuration, defaults filled in, paths absolute. */
export type DaemonConfig = z.output<typeof configSchema>

export type ConfigKey = {
  /** `log.level` */ path: string /** `THEONEEYE_LOG_LEVEL` */
  env: string
  schema: z.ZodType
} & KeyMeta

export const configKeys: readonly ConfigKey[] = keysOf(configSchema, [])

/** Keys that hold others, such as `log`. */
export const configGroups: readonly string[] = [
  ...new Set(configKeys.flatMap(({ path }) => path.split('.').slice(0, -1))),
]

function keysOf(schema: z.ZodObject, above: readonly string[]): ConfigKey[] {
  return Object.entries(schema.shape).flatMap(([name, value]) => {
    const words = [...above, name]
    const inner = value instanceof z.ZodPrefault ? value.unwrap() : value
    if (inner instanceof z.ZodObject) return keysOf(inner, words)
    const meta = (value as z.ZodType).meta() as KeyMeta
    return [{ path: words.join('.'), env: envName(words), schema: value as z.ZodType, ...meta }]
  })
}

function envName(words: readonly string[]): string {
  return `THEONEEYE_${words.join('_').toUpperCase()}`
}
