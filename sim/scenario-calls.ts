/** What a scenario says that people ask over HTTP, line by line, and the calls of a plan that it stands for. */
import { z } from 'zod'
import { limits } from '../engine/limits.ts'
import type { PlanCall } from './calls.ts'

/** `time` reads `3s`, `2m`, or milliseconds. */
export function callSchema<T extends z.ZodType>(time: T) {
  const at = { at: time, times: z.number().int().min(1).max(1_000).default(1) }
  return z.union(
    [
      z.strictObject({ ...at, post: z.string(), key: z.string().optional() }),
      z.strictObject({ ...at, ask: z.literal(true), timeout: time.optional(), gone: time.optional() }),
      z.strictObject({
        ...at,
        develop: z.string(),
        session: z.string().optional(),
        each: z.enum(['element', 'all']).optional(),
        input: z.literal(true).optional(),
      }),
    ],
    {
      error:
        'must be { at, post: WEBHOOK, key }, { at, ask: true, timeout, gone } or { at, develop: NODE, session, … }',
    },
  )
}

type Time = string | number
export type SaidCall = { at: Time; times: number } & (
  | { post: string; key?: string | undefined }
  | { ask: true; timeout?: Time | undefined; gone?: Time | undefined }
  | { develop: string; session?: string | undefined; each?: 'element' | 'all' | undefined; input?: true | undefined }
)

/** The calls, numbered from 1 in the order in which they are written. */
export function callsOf(said: readonly SaidCall[], readTime: (time: Time) => number): PlanCall[] {
  const all = said.flatMap(call => Array.from({ length: call.times }, () => call))
  return all.map((call, i): PlanCall => {
    const when = { at: readTime(call.at), n: i + 1 }
    if ('post' in call) return { ...when, kind: 'post', webhook: call.post, ...present({ key: call.key }) }
    if ('ask' in call) {
      const timeoutMs = call.timeout === undefined ? limits.requestMs : readTime(call.timeout)
      const gone = call.gone === undefined ? {} : { goneMs: readTime(call.gone) }
      return { ...when, kind: 'ask', timeoutMs, ...gone }
    }
    const { session, each, input } = call
    return { ...when, kind: 'develop', node: call.develop, ...present({ session, each, hasInput: input }) }
  })
}

/** Without what is undefined. */
function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}
