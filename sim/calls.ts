/**
 * What people ask of a daemon over HTTP while everything else goes wrong: posts to webhooks, requests of an `api`
 * workflow, runs of single nodes in development. A plan lists them, flat and timed, beside its faults, so that any of
 * them can be cut. Here they are drawn; `callers.ts` makes them.
 */
import type { FlowGraph } from '../engine/graph/flow-graph.ts'
import type { JsonObject } from '../engine/json.ts'
import { limits } from '../engine/limits.ts'
import type { Draws } from './random.ts'

/** `at` is in milliseconds since the beginning; `n` names the call, and is in what it sends. */
export type PlanCall = { at: number; n: number } & (
  | {
      kind: 'post'
      webhook: string
      /** An Idempotency-Key; several calls with one bring the same. */
      key?: string
    }
  /** `goneMs`: the client waits no longer. */
  | { kind: 'ask'; timeoutMs: number; goneMs?: number }
  | { kind: 'develop'; node: string; session?: string; each?: 'element' | 'all'; hasInput?: boolean }
)
export type CallOf<K extends PlanCall['kind']> = Extract<PlanCall, { kind: K }>

/** What a call brings along: nobody else's answer has its mark. */
export function inputOf({ n }: Pick<PlanCall, 'n'>): JsonObject {
  return { n, mark: markOf(n) }
}

export function markOf(n: number): string {
  return `<call ${n}>`
}

/** What a post brings: those with one key bring the same. */
export function bodyOf(call: CallOf<'post'>): JsonObject {
  return call.key === undefined ? inputOf(call) : { key: call.key }
}

/** The marks in a text. */
export function marksIn(text: string): string[] {
  return [...new Set(text.match(/<call \d+>/g) ?? [])]
}

/** Webhooks that feed the workflow. */
export function webhooksOf({ workflow, loops }: FlowGraph): string[] {
  if (workflow.type !== 'production') return []
  const ids = loops.flatMap(({ endless, producer }) => (endless ? [producer?.form.values.webhook_id] : []))
  return [...new Set(ids.filter(id => typeof id === 'string'))]
}

/** Whether it has no end of its own: it is done when nobody asks anything of it any more. */
export function isEndless({ workflow, loops }: FlowGraph): boolean {
  return workflow.type === 'api' || loops.some(loop => loop.endless)
}

/** All calls of a life. Development goes on beside production only in some lives, for what it costs. */
export function drawCalls(graph: FlowGraph, draws: Draws, develops: 'never' | 'sometimes'): PlanCall[] {
  const isAsked = graph.workflow.type === 'api'
  const isDeveloped = develops === 'sometimes' && draws.chance('calls develop', isAsked ? 0.5 : 0.1)
  const calls = [
    ...webhooksOf(graph).flatMap(webhook => posts(webhook, draws)),
    ...(isAsked ? asks(draws) : []),
    ...(isDeveloped ? developments(graph, draws) : []),
  ]
  return calls.map((call, i) => ({ ...call, n: i + 1 })).sort((a, b) => a.at - b.at)
}

type Unnumbered = Omit<PlanCall, 'n'> & PlanCall

/** Some come alone and some in bursts; some are sent twice, by a sender that did not hear that they had arrived. */
function posts(webhook: string, draws: Draws): Unnumbered[] {
  const spreadMs = draws.pick(`post ${webhook} spread`, [50, 5_000, 60_000])
  const keyed = draws.pick(`post ${webhook} keyed`, [0, 0.5])
  return Array.from({ length: draws.whole(`post ${webhook} count`, 5, 40) }, () => {
    const key = draws.chance(`post ${webhook} key`, keyed) ? draws.whole(`post ${webhook} which`, 1, 8) : 0
    const at = draws.whole(`post ${webhook} at`, 1, spreadMs)
    return { at, n: 0, kind: 'post', webhook, ...(key === 0 ? {} : { key: `key-${key}` }) }
  })
}

function asks(draws: Draws): Unnumbered[] {
  const spreadMs = draws.pick('ask spread', [20, 5_000, 60_000])
  return Array.from({ length: draws.whole('ask count', 5, 40) }, () => {
    const timeoutMs = draws.pick('ask timeout', [50, 2_000, limits.requestMs, limits.requestMs])
    const isGone = draws.chance('ask gone', 0.1)
    const gone = isGone ? { goneMs: draws.whole('ask gone ms', 1, 3_000) } : {}
    return { at: draws.whole('ask at', 1, spreadMs), n: 0, kind: 'ask', timeoutMs, ...gone }
  })
}

/** A developer goes from node to node, in a few sessions; where nothing else goes on, also after a night and a day. */
function developments(graph: FlowGraph, draws: Draws): Unnumbered[] {
  // nobody works at everything at once
  const all = draws.shuffled('develop at', [...graph.nodes.values()])
  const some = all.filter(({ class: { kind } }, i) => i < 2 || kind === 'loop').slice(0, 4)
  const nodes = (draws.chance('develop all', 0.3) ? all : some).map(({ id }) => id)
  const pauses = graph.workflow.type === 'api' ? [5, 500, 5_000, 2 * limits.devSessionIdleMs] : [5, 50, 500]
  let at = 0
  return Array.from({ length: draws.whole('develop count', 4, 20) }, () => {
    at += draws.pick('develop pause', pauses)
    if (pauses.length > 3 && draws.chance('develop night', 0.1)) at += 1.1 * limits.devCacheMs
    const session = draws.pick('develop session', ['a', 'a', 'b', undefined])
    return {
      ...{ at, n: 0, kind: 'develop' as const, node: draws.pick('develop node', nodes) },
      ...(session === undefined ? {} : { session }),
      ...(draws.chance('develop element', 0.7) ? { each: 'element' as const } : {}),
      ...(draws.chance('develop input', 0.5) ? { hasInput: true } : {}),
    }
  })
}
